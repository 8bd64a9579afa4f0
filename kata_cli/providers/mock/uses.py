"""Which of the files shown use another one: by what they import and name outside of comments."""

from __future__ import annotations

import re

from kata_cli.providers.mock.material import FileSeen, Material
from kata_cli.providers.mock.places import Place

# Shorter names (`run`, `get`) are words of every file and say nothing about what it uses.
MIN_TELLING_CHARS = 4

_TEST_ROOTS = ("", "test", "tests", "__tests__", "unit")
_COMMENT_LINE = re.compile(r"^\s*(?:#(?!include|!\[)|//|/\*|\*\s).*$", re.M)
_IMPORT_LINE = re.compile(r"^\s*(?:from|import)\s.*$", re.M)


def uses_of(material: Material, name: str, owner: FileSeen) -> list[str]:
    """Paths of the other code and test files that name a definition of `owner`, comments apart.

    In Python a file that uses another one imports it; elsewhere the name alone has to do.
    """
    word = re.compile(rf"\b{re.escape(name)}\b")
    return [
        file.path
        for file in material.files
        if file.path != owner.path
        and not file.is_doc
        and word.search(_code(file))
        and (not owner.path.endswith(".py") or imports(file, owner))
    ]


def matching_test(material: Material, place: Place) -> FileSeen | None:
    """The test file shown that covers a place best: by its name, what it imports, what it names."""
    ratings = [(_covering(test, place), -index) for index, test in enumerate(material.tests)]
    rating, index = max(ratings, default=(0, 0))
    return material.tests[-index] if rating else None


def imports(file: FileSeen, owner: FileSeen) -> bool:
    """Whether a file imports the module that `owner` is, by its dotted name or relatively."""
    parts = re.sub(r"(?:/__init__)?\.py$", "", owner.path).split("/")
    stem, parent = re.escape(parts[-1]), re.escape("".join(parts[-2:-1]))
    dotted = [line.replace(" import ", ".", 1) for line in _IMPORT_LINE.findall(_code(file))]
    named = rf"\b{parent}\.{stem}\b|\s\.+{stem}\b" if parent else rf"[\s.]{stem}\b"
    return any(re.search(named, line) for line in dotted)


def _covering(test: FileSeen, place: Place) -> int:
    folder, _, name = place.file.path.rpartition("/")
    stem = re.escape(re.sub(r"\.\w+$", "", name).strip("_"))
    is_named = bool(re.search(rf"(?:^|[_.-]){stem}(?:[_.-]|$)", test.path.rpartition("/")[2]))
    is_near = bool(folder) and folder.rpartition("/")[2] in re.split(r"[/_.]", test.path)
    if not is_near and test.path.rpartition("/")[0].rpartition("/")[2] not in _TEST_ROOTS:
        is_named = False  # a namesake: the test of `engine/run.py` is not that of `cli/run.py`
    named = [symbol.bare for symbol in place.file.public if _names(test, symbol.bare)]
    matched = any(symbol.bare in named for symbol in place.symbols)
    rating = 4 * is_named + 4 * imports(test, place.file) + 2 * matched + bool(named)
    return rating + is_near if rating else 0


def _names(test: FileSeen, name: str) -> bool:
    word = rf"\b{re.escape(name)}\b"
    return len(name) >= MIN_TELLING_CHARS and bool(re.search(word, _code(test)))


def _code(file: FileSeen) -> str:
    return _COMMENT_LINE.sub("", file.text)
