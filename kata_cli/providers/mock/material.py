"""What the prompt of a request shows: files with their symbols, inputs, answers of earlier tasks."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from kata_cli.core.fence import blocks
from kata_cli.core.messages import Request
from kata_cli.core.text import one_line
from kata_cli.providers.mock.goal import Goal, read_goal

MAX_NAME_CHARS = 120
MAX_PATH_CHARS = 1000
DRAFT_LISTS = ("requirements", "criteria", "tasks", "verification", "risks", "rollback", "decisions")

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
_PAGES = ("README", "CHANGELOG", "DOCS/")
_DATA_PATH = re.compile(
    r"\.(json|jsonl|toml|ya?ml|ini|cfg|lock|csv|xml|svg|typed|ambr|snap)$|(^|/)(METADATA|PKG-INFO|RECORD)$"
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
        """The definitions that others may use, each name once; all of them where none is public."""
        symbols = [symbol for symbol in self.symbols if symbol.is_public] or self.symbols
        first = {symbol.bare: symbol for symbol in reversed(symbols)}
        return sorted(first.values(), key=lambda symbol: symbol.line)

    @property
    def is_test(self) -> bool:
        return bool(_TEST_PATH.search(self.path)) and not _DATA_PATH.search(self.path)

    @property
    def is_doc(self) -> bool:
        return _is_doc(self.path)

    @property
    def is_code(self) -> bool:
        return not (self.is_test or self.is_doc or _DATA_PATH.search(self.path))


class Material(msgspec.Struct, frozen=True):
    """A prompt as data. `draft` is the answer that is to be revised."""

    goal: Goal
    files: list[FileSeen]
    inputs: list[tuple[str, str]]
    outputs: list[tuple[str, str]]
    draft: dict[str, Any] | None = None

    @property
    def code(self) -> list[FileSeen]:
        return [file for file in self.files if file.is_code]

    @property
    def tests(self) -> list[FileSeen]:
        return [file for file in self.files if file.is_test]

    @property
    def docs(self) -> list[FileSeen]:
        return [file for file in self.files if file.is_doc]

    @property
    def pages(self) -> list[str]:
        """Paths of the pages where the project explains itself to its users."""
        return [file.path for file in self.docs if file.path.upper().startswith(_PAGES)]


def read_material(request: Request) -> Material:
    """Read a request as a model would: only what is in its text, and the goal it is for."""
    files, inputs, outputs, draft = [], [], [], None
    for block in blocks(request.prompt):
        if block.tag == "file":
            files.append(_file(block.attributes, block.text))
        elif block.tag == "input" and "revision" in block.attributes:
            draft = _draft(block.text)
        elif block.tag == "input":
            inputs.append((one_line(block.attributes.get("name", "input"), MAX_NAME_CHARS), block.text))
        elif block.tag == "output":
            outputs.append((one_line(block.attributes.get("task", "task"), MAX_NAME_CHARS), block.text))
    return Material(read_goal(request.goal), _merged(files), inputs, outputs, draft)


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


def _draft(text: str) -> dict[str, Any] | None:
    """The draft as data; a goal may hold anything, also what only looks like one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_whole = isinstance(found, dict) and all(isinstance(found.get(key), list) for key in DRAFT_LISTS)
    return found if is_whole else None


def _file(attributes: dict[str, str], text: str) -> FileSeen:
    first = attributes.get("lines", "1-").partition("-")[0]
    symbols = [
        Symbol(one_line(name, MAX_NAME_CHARS), int(line))
        for name, line in _SYMBOL.findall(attributes.get("symbols", ""))
    ]
    path = one_line(attributes.get("path", ""), MAX_PATH_CHARS)
    return FileSeen(path, text, int(first) if first.isdigit() else 1, [] if _is_doc(path) else symbols)


def _is_doc(path: str) -> bool:
    return bool(_DOC_PATH.search(path))


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
