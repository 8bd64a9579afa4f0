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
from kata_cli.spec.inline import split_remark

_HEADING = re.compile(r"(#{1,6})(?:\s+(.*))?$")
_MARKER = re.compile(r"(?:[-*+]|[0-9]{1,9}[.)])(?:\s+|$)")
_FOREIGN = (
    (re.compile(r"`{3}|~{3}"), "a code block"),
    (re.compile(r">"), "a quote"),
    (re.compile(r"\|"), "a table"),
    (re.compile(r"(?:-{3,}|\*{3,}|_{3,})$"), "a rule"),
)

_FENCES = ("```", "~~~")
_HINT = "mend that line and run the same command again"

Kind = Literal["section", "entry", "item", "paragraph", "unread"]


class SpecSyntaxError(KataError):
    """A file that is no spec draft. `line` counts from 1, `problem` is the message without it."""

    def __init__(self, line: int, expected: str, found: str = "") -> None:
        seen = f", found `{one_line(found, 60)}`" if found else ""
        self.problem = f"expected {expected}{seen}"
        super().__init__("usage", f"line {line}: {self.problem}", _HINT)
        self.line = line


class MatterError(SpecSyntaxError):
    """Front matter that is none of kata's."""


class SectionError(SpecSyntaxError):
    """A section that stands twice, or that no draft has."""


class Block(msgspec.Struct, frozen=True):
    """One block: a `##` section, a `###` entry, a list item or a paragraph, with its rows.

    A block that is `unread` holds what a document cannot hold.
    """

    kind: Kind
    rows: list[str]
    line: int

    @property
    def text(self) -> str:
        """The block folded to one line."""
        return " ".join(self.rows).strip()

    @property
    def is_prose(self) -> bool:
        """Whether it is neither a code block nor an HTML comment."""
        return not self.rows[0].startswith((*_FENCES, "<!--"))


def read_blocks(rows: Iterable[tuple[int, str]], faults: list[SpecSyntaxError]) -> list[Block]:
    """The blocks of numbered lines, with a fault for each that is unread."""
    blocks: list[Block] = []
    fence = ""
    is_open = False  # whether the next row may go on with the last block
    for number, row in rows:
        text = row.strip()
        if fence:
            blocks[-1].rows.append(text)
            fence = "" if text.startswith(fence) else fence
        elif not text:
            is_open = False
        else:
            last = blocks[-1] if is_open or _is_remark(text, blocks) else None
            block = _next(number, row, last, blocks, faults)
            if block is not last:
                blocks.append(block)
            fence = text[:3] if block.kind == "unread" and text.startswith(_FENCES) else ""
            is_open = block.kind not in ("section", "entry")
    return blocks


def _is_remark(text: str, before: list[Block]) -> bool:
    """Whether the row is an HTML comment of its own, which belongs to the text above it."""
    return bool(before) and before[-1].kind in ("item", "paragraph") and split_remark(text)[0] == ""


def _next(
    number: int, row: str, last: Block | None, before: list[Block], faults: list[SpecSyntaxError]
) -> Block:
    """The block of a row: `last` if the row goes on with it, else a new one."""
    text = row.strip()
    try:
        block = _block(number, text)
        if block.kind != "paragraph" or last is None:
            _check_depth(row, block, before)
            return block
    except SpecSyntaxError as fault:
        if last is None or last.kind != "unread":
            faults.append(fault)
            return Block("unread", [text], number)
    last.rows.append(text)
    return last


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
