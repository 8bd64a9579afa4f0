"""The small part of Markdown that a draft is made of: headings, flat lists, paragraphs.

Whatever a document cannot hold (tables, quotes, code blocks, nested lists) is refused with its line, so
that reading a file and writing it back never loses a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.text import one_line

_HEADING = re.compile(r"(#{1,6})(?:\s+(.*))?$")
_MARKER = re.compile(r"(?:[-*+]|[0-9]{1,9}[.)])(?:\s+|$)")
_FOREIGN = (
    (re.compile(r"`{3}|~{3}"), "a code block"),
    (re.compile(r">"), "a quote"),
    (re.compile(r"\|"), "a table"),
    (re.compile(r"(?:-{3,}|\*{3,}|_{3,})$"), "a rule"),
)

_HINT = "mend that line and run the same command again"

Kind = Literal["section", "entry", "item", "paragraph"]


class SpecSyntaxError(KataError):
    """A file that is no spec draft. `line` counts from 1."""

    def __init__(self, line: int, expected: str, found: str = "") -> None:
        seen = f", found `{one_line(found, 60)}`" if found else ""
        super().__init__("usage", f"line {line}: expected {expected}{seen}", _HINT)
        self.line = line


class Block(msgspec.Struct, frozen=True):
    """One block: a `##` section, a `###` entry, a list item or a paragraph, with its rows."""

    kind: Kind
    rows: list[str]
    line: int

    @property
    def text(self) -> str:
        """The block folded to one line."""
        return " ".join(self.rows).strip()


def read_blocks(rows: Iterable[tuple[int, str]]) -> list[Block]:
    """The blocks of numbered lines. Raises `SpecSyntaxError`."""
    blocks: list[Block] = []
    is_open = False
    for number, row in rows:
        text = row.strip()
        if not text:
            is_open = False
            continue
        block = _block(number, text)
        if block.kind == "paragraph" and is_open:
            blocks[-1].rows.append(text)
            continue
        _check_depth(row, block, blocks)
        blocks.append(block)
        is_open = block.kind in ("item", "paragraph")
    return blocks


def _block(number: int, text: str) -> Block:
    heading = _HEADING.match(text)
    if heading:
        return _heading(number, len(heading[1]), heading[2] or "")
    for pattern, what in _FOREIGN:
        if pattern.match(text):
            raise SpecSyntaxError(number, f"text or a list, not {what}", text)
    marker = _MARKER.match(text)
    if marker:
        return Block("item", [text[marker.end() :]], number)
    return Block("paragraph", [text], number)


def _heading(number: int, level: int, text: str) -> Block:
    if level == 2:
        return Block("section", [text], number)
    if level == 3:
        return Block("entry", [text], number)
    raise SpecSyntaxError(number, "a section (##) or a requirement (###)", f"{'#' * level} {text}")


def _check_depth(row: str, block: Block, before: list[Block]) -> None:
    is_indented = row.startswith(("  ", "\t"))
    if is_indented and before and before[-1].kind == "item" and block.kind in ("item", "paragraph"):
        raise SpecSyntaxError(block.line, "a flat list whose items are one paragraph each", block.text)
