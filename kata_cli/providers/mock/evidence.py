"""Facts that can be read off the files shown: how tests run, what is refused today, what is left undone."""

from __future__ import annotations

import re

import msgspec

from kata_cli.providers.mock.material import FileSeen, Material, Place, Symbol

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
        return f"python -m pytest {target}".rstrip()
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
    return (
        f"grep -n '{name}' {place.file.path}" if name.replace("_", "").isalnum() else f"cat {place.file.path}"
    )


def refusals(places: list[Place]) -> list[Refusal]:
    """What the touched files refuse today, in file order."""
    return [refusal for place in places for refusal in _refusals_of(place.file)]


def undone(places: list[Place]) -> list[Note]:
    """TODO remarks in the touched files."""
    return [
        Note(place.file.path, _line(place.file, match.start()), match[1].strip())
        for place in places
        for match in _UNDONE.finditer(place.file.text)
    ]


def matching_test(material: Material, place: Place) -> FileSeen | None:
    """The test file shown that belongs to a place: by name first, then by what it mentions."""
    stem = re.sub(r"\.[a-z]+$", "", place.file.path.rpartition("/")[2])
    for test in material.tests:
        if stem and stem in test.path.rpartition("/")[2]:
            return test
    names = [symbol.bare for symbol in place.symbols]
    return next((test for test in material.tests if any(name in test.text for name in names)), None)


def new_test_path(material: Material, place: Place) -> str:
    """Where a test for a place would go, by the layout of the tests that are shown."""
    name = place.file.path.rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    if not _is_python(material):
        return f"{stem or name}.test.{ending}" if ending in ("js", "ts", "jsx", "tsx") else f"tests/{name}"
    folder = next((test.path.rpartition("/")[0] for test in material.tests), "tests")
    return f"{folder}/test_{stem.strip('_') or 'package'}.py".lstrip("/")


def _is_python(material: Material) -> bool:
    return any(file.path.endswith(".py") for file in material.code) or any(
        file.path == "pyproject.toml" for file in material.files
    )


def _refusals_of(file: FileSeen) -> list[Refusal]:
    found = [
        Refusal(match[1], file.path, line, _enclosing(file, line))
        for pattern in _REFUSALS
        for match in pattern.finditer(file.text)
        for line in [_line(file, match.start(1))]
    ]
    return sorted(found, key=lambda refusal: (not refusal.inside, refusal.line))


def _line(file: FileSeen, offset: int) -> int:
    return file.first_line + file.text.count("\n", 0, offset)


def _enclosing(file: FileSeen, line: int) -> str:
    above: list[Symbol] = [symbol for symbol in file.symbols if symbol.line <= line]
    return max(above, key=lambda symbol: symbol.line).bare if above else ""
