"""A difference as text: old and new below the section and the id where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kata_cli.core.text import one_line
from kata_cli.spec.diff import Change, EntryChange, SectionDiff

TEXT_CHARS = 1_000

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}


def diff_text(sections: Iterable[SectionDiff]) -> str:
    """Every section that differs, with all that differs in it."""
    return "".join(row for part in sections for row in _rows(part))


def _rows(part: SectionDiff) -> Iterator[str]:
    yield f"{part.section}{f' (was {part.renamed_from})' if part.renamed_from else ''}\n"
    yield from _change_rows(1, part.changes)
    for entry in part.entries:
        yield from _entry_rows(entry)
    yield from (_row(1, f"- {item}") for item in part.removed)
    yield from (_row(1, f"+ {item}") for item in part.added)
    if part.is_reordered:
        yield _row(1, "~ in another order")


def _entry_rows(entry: EntryChange) -> Iterator[str]:
    was = f" was {entry.old_id}" if entry.old_id else ""
    yield _row(1, f"{_SIGNS[entry.kind]} {entry.id}{was}")
    yield from _change_rows(2, entry.changes)


def _change_rows(depth: int, changes: list[Change]) -> Iterator[str]:
    for change in changes:
        if change.old:
            yield _row(depth, f"- {change.field}: {change.old}")
        if change.new:
            yield _row(depth, f"+ {change.field}: {change.new}")


def _row(depth: int, text: str) -> str:
    return f"{'  ' * depth}{one_line(text, TEXT_CHARS)}\n"
