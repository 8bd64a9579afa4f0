"""Facts that can be read off the files shown: how tests run, what is refused today, what is left undone."""

from __future__ import annotations

import posixpath
import re
import shlex

import msgspec

from kata_cli.providers.mock.material import FileSeen, Material, Symbol
from kata_cli.providers.mock.places import Place

_REFUSALS = (
    re.compile(r"^\s*raise\s+(?:[\w.]+\.)?(\w+(?:Error|Exception|Exit|Warning))\b", re.M),
    re.compile(r"\bthrow new (\w+)\(", re.M),
    re.compile(r"\b(panic)!?\("),
    re.compile(r"\breturn (?:nil, )?(err)\b"),
)
_UNDONE = re.compile(r"(?:#|//|/\*|<!--)\s*((?:TODO|FIXME|XXX|HACK)\b[^\n]{0,120})")


class Refusal(msgspec.Struct, frozen=True):
    """A place that refuses something today: what it raises, where, in which definition."""

    error: str
    path: str
    line: int
    inside: str


class Note(msgspec.Struct, frozen=True):
    """A remark in the code that something is left to do."""

    path: str
    line: int
    text: str


def runner_command(material: Material, target: str = "") -> str:
    """The command that runs the project's tests (those of one file where the runner can), or ``."""
    texts = {file.path: file.text for file in material.files}
    if "scripts/test" in texts:
        return "scripts/test"
    if _is_python(material):
        return f"python -m pytest {_quoted(target)}" if target else "python -m pytest"
    if '"test"' in texts.get("package.json", ""):
        return "npm test"
    if "Cargo.toml" in texts:
        return "cargo test"
    if "go.mod" in texts:
        return "go test ./..."
    if re.search(r"^test:", texts.get("Makefile", ""), re.M):
        return "make test"
    return ""


def find_command(place: Place) -> str:
    """A command that shows a place in the code, where no test runner is known."""
    name = place.symbols[0].bare if place.symbols else (place.terms[0] if place.terms else "")
    return grep_command(name, place.file.path) if name else show_command(place.file.path)


def show_command(path: str) -> str:
    """A command that shows a file."""
    return f"cat {_quoted(path)}"


def grep_command(name: str, path: str) -> str:
    """A command that shows where a file has a name. Both come from files, so both are quoted."""
    return f"grep -nF -e {shlex.quote(name)} {_quoted(path)}"


def refusals(places: list[Place]) -> list[Refusal]:
    """What the touched files refuse today: by place, what the matching definitions refuse first."""
    return [refusal for place in places for refusal in _refusals_of(place)]


def undone(places: list[Place]) -> list[Note]:
    """TODO remarks in the touched files."""
    return [
        Note(place.file.path, _line(place.file, match.start()), match[1].strip())
        for place in places
        for match in _UNDONE.finditer(place.file.text)
    ]


def new_test_path(material: Material, place: Place) -> str:
    """Where a test for a place would go, by the layout of the tests that are shown."""
    name = place.file.path.rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    if not _is_python(material):
        return f"{stem or name}.test.{ending}" if ending in ("js", "ts", "jsx", "tsx") else f"tests/{name}"
    folder = _test_folder([test.path.rpartition("/")[0] for test in material.tests], place)
    return posixpath.join(folder, f"test_{stem.strip('_') or 'package'}.py")


def _test_folder(folders: list[str], place: Place) -> str:
    """The folder of tests named like the folder of the place, else the one that all tests share."""
    parent = place.file.path.rpartition("/")[0].rpartition("/")[2]
    if not folders:
        return "tests"
    near = [folder for folder in folders if folder.rpartition("/")[2] == parent]
    return near[0] if near else "/".join(posixpath.commonprefix([folder.split("/") for folder in folders]))


def _quoted(path: str) -> str:
    """A path as one word of a shell, never read as an option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


def _is_python(material: Material) -> bool:
    return any(file.path.endswith(".py") for file in material.code) or any(
        file.path == "pyproject.toml" for file in material.files
    )


def _refusals_of(place: Place) -> list[Refusal]:
    file = place.file
    meant = {symbol.bare for symbol in place.symbols}
    found = [
        Refusal(match[1], file.path, line, _enclosing(file, line))
        for pattern in _REFUSALS
        for match in pattern.finditer(file.text)
        for line in [_line(file, match.start(1))]
    ]
    return sorted(found, key=lambda refusal: (refusal.inside not in meant, not refusal.inside, refusal.line))


def _line(file: FileSeen, offset: int) -> int:
    return file.first_line + file.text.count("\n", 0, offset)


def _enclosing(file: FileSeen, line: int) -> str:
    above: list[Symbol] = [symbol for symbol in file.symbols if symbol.line <= line]
    return max(above, key=lambda symbol: symbol.line).bare if above else ""
