"""What the prompt of a request shows: files with their symbols, inputs, answers of earlier tasks."""

from __future__ import annotations

import re

import msgspec

from kata_cli.core.fence import blocks
from kata_cli.core.messages import Request
from kata_cli.providers.mock.goal import Goal, read_goal

MAX_PLACES = 5

_SYMBOL = re.compile(r"([^,:]+):(\d+)(?:, |$)")
_NAME_IN_MANIFEST = (
    (re.compile(r"pyproject\.toml$"), re.compile(r"^name\s*=\s*[\"']([\w.-]+)", re.M)),
    (re.compile(r"Cargo\.toml$"), re.compile(r"^name\s*=\s*\"([\w.-]+)", re.M)),
    (re.compile(r"package\.json$"), re.compile(r"\"name\"\s*:\s*\"([^\"]+)\"")),
    (re.compile(r"go\.mod$"), re.compile(r"^module\s+\S*?([\w.-]+)\s*$", re.M)),
    (re.compile(r"(?:METADATA|PKG-INFO)$"), re.compile(r"^Name:\s*([\w.-]+)", re.M)),
)
_HEADING = re.compile(r"^#\s+([\w][\w .-]{1,40})\s*$", re.M)
_TEST_PATH = re.compile(r"(^|/)(tests?|__tests__)/|(^|/)test_[^/]+$|[._-](test|spec)\.[a-z]+$|_test\.go$")
_DOC_PATH = re.compile(
    r"\.(md|rst|txt|adoc)$|(^|/)(README|CHANGELOG|LICENSE|COPYING|NOTICE|AUTHORS)[^/]*$", re.I
)
_DATA_PATH = re.compile(
    r"\.(json|toml|ya?ml|ini|cfg|lock|csv|xml|svg|typed)$|(^|/)(METADATA|PKG-INFO|RECORD)$"
)


class Symbol(msgspec.Struct, frozen=True):
    """A definition: its kind and name as the context lists them, and its line from 1."""

    name: str
    line: int

    @property
    def bare(self) -> str:
        return self.name.rpartition(" ")[2]

    @property
    def is_public(self) -> bool:
        return not self.bare.startswith("_")


class FileSeen(msgspec.Struct, frozen=True):
    """A file, or the part of it that the prompt shows; `first_line` counts from 1."""

    path: str
    text: str
    first_line: int
    symbols: list[Symbol]

    @property
    def public(self) -> list[Symbol]:
        """The definitions that others may use; all of them where none is public."""
        return [symbol for symbol in self.symbols if symbol.is_public] or self.symbols

    @property
    def is_test(self) -> bool:
        return bool(_TEST_PATH.search(self.path))

    @property
    def is_doc(self) -> bool:
        return bool(_DOC_PATH.search(self.path))

    @property
    def is_code(self) -> bool:
        return not (self.is_test or self.is_doc or _DATA_PATH.search(self.path))


class Place(msgspec.Struct, frozen=True):
    """Where the goal touches the code: a file, its symbols that match best, the terms that matched."""

    file: FileSeen
    symbols: list[Symbol]
    terms: list[str]


class Material(msgspec.Struct, frozen=True):
    """A prompt as data."""

    goal: Goal
    files: list[FileSeen]
    inputs: list[tuple[str, str]]
    outputs: list[tuple[str, str]]

    @property
    def code(self) -> list[FileSeen]:
        return [file for file in self.files if file.is_code]

    @property
    def tests(self) -> list[FileSeen]:
        return [file for file in self.files if file.is_test]

    @property
    def docs(self) -> list[FileSeen]:
        return [file for file in self.files if file.is_doc]


def read_material(request: Request) -> Material:
    """Read a request as a model would: only what is in its text, and the goal it is for."""
    files, inputs, outputs = [], [], []
    for block in blocks(request.prompt):
        if block.tag == "file":
            files.append(_file(block.attributes, block.text))
        elif block.tag == "input":
            inputs.append((block.attributes.get("name", "input"), block.text))
        elif block.tag == "output":
            outputs.append((block.attributes.get("task", "task"), block.text))
    return Material(read_goal(request.goal), _merged(files), inputs, outputs)


def system_name(material: Material) -> str:
    """What the project calls itself: its manifest, else the heading of its README, else `system`."""
    for path, name in _NAME_IN_MANIFEST:
        for file in material.files:
            if path.search(file.path) and "/" not in file.path and (found := name.search(file.text)):
                return found[1]
    for file in material.files:
        if file.path.upper().startswith("README") and (found := _HEADING.search(file.text)):
            return found[1].strip()
    return "system"


def places(material: Material, terms: list[str] | None = None) -> list[Place]:
    """The code files that match some terms best (by default the goal's), best first.

    A term counts more the fewer files mention it, twice as much in a definition's name and three times in a
    path. Ties keep the context's own order, so that equal prompts give equal places.
    """
    wanted = material.goal.terms if terms is None else terms
    weights = {term: _weight(material, term) for term in wanted}
    rated = []
    for index, file in enumerate(material.code):
        place = Place(
            file, _matching_symbols(file, weights), [term for term in wanted if _mentions(file, term)]
        )
        rated.append((-_rating(place, weights), index, place))
    rated.sort(key=lambda entry: entry[:2])
    best = [place for rating, _, place in rated if rating < 0]
    return (best or [place for _, _, place in rated])[:MAX_PLACES]


def _weight(material: Material, term: str) -> int:
    """Whole numbers, so that no rounding of any machine decides an order."""
    mentioned = sum(_mentions(file, term) for file in material.code)
    return (4 * len(material.code) // mentioned).bit_length() if mentioned else 0


def _rating(place: Place, weights: dict[str, int]) -> int:
    named = {term for term in place.terms if _stem(term) in place.file.path.lower()}
    defined = {term for term in place.terms for symbol in place.symbols if _stem(term) in symbol.name.lower()}
    return sum(weights[term] * (1 + 2 * (term in named) + (term in defined)) for term in place.terms)


def unknown_terms(material: Material) -> list[str]:
    """Terms of the goal that no file shown mentions and that matter: names, or more than half of the goal."""
    terms = material.goal.terms
    unknown = [term for term in terms if not any(_mentions(file, term) for file in material.files)]
    if 2 * len(unknown) > len(terms):
        return unknown
    return [term for term in unknown if _is_name(term, material.goal.text)]


def _is_name(term: str, goal: str) -> bool:
    """Whether the goal writes a term as a name: in code, with an underscore or digit, or capitalised."""
    written = re.findall(rf"`[^`]*\b{re.escape(term)}\b[^`]*`|\b{re.escape(term)}\b", goal, re.I)
    within = [word for word in written if not goal.startswith(word)]
    return bool(re.search(r"[_\d]", term)) or any(not word[:1].islower() for word in within)


def mentions_of(material: Material, name: str, besides: str) -> list[str]:
    """Paths of other files shown that mention a name as a whole word."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    return [file.path for file in material.files if file.path != besides and word.search(file.text)]


def _file(attributes: dict[str, str], text: str) -> FileSeen:
    first = attributes.get("lines", "1-").partition("-")[0]
    symbols = [
        Symbol(name.strip(), int(line)) for name, line in _SYMBOL.findall(attributes.get("symbols", ""))
    ]
    return FileSeen(attributes.get("path", ""), text, int(first) if first.isdigit() else 1, symbols)


def _merged(pieces: list[FileSeen]) -> list[FileSeen]:
    """Several pieces of one file become one entry; the first piece sets its place."""
    merged: dict[str, FileSeen] = {}
    for piece in sorted(pieces, key=lambda piece: piece.first_line):
        known = merged.get(piece.path)
        merged[piece.path] = piece if known is None else _joined(known, piece)
    return [merged[path] for path in dict.fromkeys(piece.path for piece in pieces)]


def _joined(above: FileSeen, below: FileSeen) -> FileSeen:
    """Two pieces as one, with blank lines for what lies between, so that line numbers stay right."""
    gap = below.first_line - above.first_line - above.text.count("\n")
    symbols = list({(symbol.name, symbol.line): symbol for symbol in above.symbols + below.symbols}.values())
    return FileSeen(above.path, above.text + "\n" * max(gap, 1) + below.text, above.first_line, symbols)


def _mentions(file: FileSeen, term: str) -> bool:
    stem = _stem(term)
    return stem in file.path.lower() or stem in file.text.lower()


def _matching_symbols(file: FileSeen, weights: dict[str, int]) -> list[Symbol]:
    """Up to three definitions whose names match the weightiest terms."""

    def rating(symbol: Symbol) -> int:
        return -sum(weight for term, weight in weights.items() if _stem(term) in symbol.name.lower())

    matching = [symbol for symbol in file.symbols if rating(symbol) < 0]
    return sorted(matching, key=lambda symbol: (rating(symbol), symbol.line))[:3]


def _stem(term: str) -> str:
    """A term without its plural: `bodies` and `body` meet in `bod`, `flags` and `flag` in `flag`."""
    for ending in ("ies", "y", "s"):
        if term.endswith(ending) and len(term) > len(ending) + 2:
            return term.removesuffix(ending)
    return term
