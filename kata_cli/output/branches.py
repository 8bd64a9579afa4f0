"""A tree of rows drawn in plain ASCII: a chain stays in its column, a branch moves to the right."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the tree; `notes` are printed below it."""

    id: str
    parent: str | None
    text: str
    notes: list[str] = []


def draw(rows: list[Row]) -> Iterator[str]:
    """The lines of the tree. Every parent is None or the id of a row."""
    children: dict[str | None, list[Row]] = {}
    for row in rows:
        children.setdefault(row.parent, []).append(row)
    open_rows = _places(children.get(None, []), "")
    while open_rows:  # no recursion: a session may be longer than the stack
        row, lead, rest = open_rows.pop()
        below = children.get(row.id, [])
        yield lead + row.text
        margin = rest + ("|  " if len(below) > 1 else "   ")
        yield from (margin + note for note in row.notes)
        open_rows += _places(below, rest)


def _places(rows: list[Row], rest: str) -> list[tuple[Row, str, str]]:
    """Each row with what is printed before it and before what follows it; the first to print comes last."""
    if len(rows) == 1:
        return [(rows[0], rest, rest)]
    placed = [(row, f"{rest}|- ", f"{rest}|  ") for row in rows[:-1]]
    placed += [(row, f"{rest}`- ", f"{rest}   ") for row in rows[-1:]]
    return placed[::-1]
