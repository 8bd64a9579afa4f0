"""What changed between two documents, told by ids and texts, never by layout.

The difference of a document to itself is empty, and the difference the other way round is the same with
old and new exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Literal, TypeVar

import msgspec

from kata_cli.spec.document import (
    CRITERIA,
    GOAL,
    LIST_SECTIONS,
    QUESTIONS,
    REQUIREMENTS,
    SECTIONS,
    TASKS,
    VERIFICATION,
    Criterion,
    Document,
    Question,
    Requirement,
    Step,
    Task,
)
from kata_cli.spec.matter import KEYS

Row = Requirement | Criterion | Task | Question | Step
R = TypeVar("R")
Pair = tuple[tuple[int, R], tuple[int, R]]
ChangeKind = Literal["added", "removed", "changed", "moved"]

FRONT_MATTER = "Front matter"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One text that differs: `field` says which one of the entry; empty is what was not there."""

    field: str
    old: str
    new: str


class EntryChange(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with an id that came, went, changed, or stands under another id (`moved`, from `old_id`).

    A verification step has the id of its criterion.
    """

    kind: ChangeKind
    id: str
    old_id: str = ""
    changes: list[Change]


class SectionDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of one section; `added` and `removed` are items without ids.

    With `is_reordered`, what is in both stands in another order. `renamed_from` is the section that held
    all of these items before.
    """

    section: str
    changes: list[Change] = []
    entries: list[EntryChange] = []
    added: list[str] = []
    removed: list[str] = []
    is_reordered: bool = False
    renamed_from: str = ""


def diff(old: Document, new: Document) -> list[SectionDiff]:
    """The sections that differ, front matter first, in the order of the draft."""
    renamed = _renamed(old, new)
    found = [
        SectionDiff(section=FRONT_MATTER, changes=_changes(old, new, KEYS)),
        SectionDiff(section=GOAL, changes=_changes(old, new, ("goal",))),
        *(_list_diff(old, new, section, renamed) for section in LIST_SECTIONS),
        *(_entries_diff(section, rows(old), rows(new)) for section, rows in _ENTRIES.items()),
    ]
    order = (FRONT_MATTER, *SECTIONS)
    differing = [part for part in found if part != SectionDiff(section=part.section)]
    return sorted(differing, key=lambda part: order.index(part.section))


_ENTRIES: dict[str, Callable[[Document], Sequence[Row]]] = {
    REQUIREMENTS: lambda document: document.requirements,
    CRITERIA: lambda document: document.criteria,
    TASKS: lambda document: document.tasks,
    VERIFICATION: lambda document: document.verification,
    QUESTIONS: lambda document: document.open_questions,
}


def _changes(old: object, new: object, names: Iterable[str]) -> list[Change]:
    told = ((name, _text(getattr(old, name)), _text(getattr(new, name))) for name in names)
    return [Change(field=name, old=before, new=after) for name, before, after in told if before != after]


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return ("done" if value else "open") if isinstance(value, bool) else str(value)


def _renamed(old: Document, new: Document) -> dict[str, str]:
    """The sections whose items now stand below another heading: new heading to old one."""
    gone = [name for name, field in LIST_SECTIONS.items() if getattr(old, field) and not getattr(new, field)]
    come = [name for name, field in LIST_SECTIONS.items() if getattr(new, field) and not getattr(old, field)]
    pairs, _, _ = _paired(
        list(enumerate((name, getattr(old, LIST_SECTIONS[name])) for name in gone)),
        list(enumerate((name, getattr(new, LIST_SECTIONS[name])) for name in come)),
        lambda row: tuple(row[1]),
    )
    return {after[0]: before[0] for (_, before), (_, after) in pairs}


def _list_diff(old: Document, new: Document, section: str, renamed: dict[str, str]) -> SectionDiff:
    if section in renamed or section in renamed.values():
        return SectionDiff(section=section, renamed_from=renamed.get(section, ""))
    before, after = (getattr(document, LIST_SECTIONS[section]) for document in (old, new))
    pairs, removed, added = _paired(list(enumerate(before)), list(enumerate(after)), lambda item: item)
    return SectionDiff(
        section=section,
        added=[item for _, item in added],
        removed=[item for _, item in removed],
        is_reordered=_is_reordered(pairs),
    )


def _entries_diff(section: str, old: Sequence[Row], new: Sequence[Row]) -> SectionDiff:
    left, right = list(enumerate(old)), list(enumerate(new))
    pairs: list[Pair[Row]] = []
    for key in (_whole, _id_and_text, _distinct_text, _id):
        found, left, right = _paired(left, right, key)
        pairs += found
    changed = [
        _change(before, after) for (_, before), (_, after) in sorted(pairs, key=lambda pair: pair[1][0])
    ]
    return SectionDiff(
        section=section,
        entries=[
            *(EntryChange(kind="removed", id=_id(row), changes=_removed(row)) for _, row in left),
            *(change for change in changed if change is not None),
            *(EntryChange(kind="added", id=_id(row), changes=_added(row)) for _, row in right),
        ],
        is_reordered=_is_reordered(pairs),
    )


def _change(before: Row, after: Row) -> EntryChange | None:
    changes = _changes(before, after, _fields(after))
    if _id(before) != _id(after):
        return EntryChange(kind="moved", id=_id(after), old_id=_id(before), changes=changes)
    return EntryChange(kind="changed", id=_id(after), changes=changes) if changes else None


def _added(row: Row) -> list[Change]:
    return [Change(field=name, old="", new=text) for name, text in _texts(row)]


def _removed(row: Row) -> list[Change]:
    return [Change(field=name, old=text, new="") for name, text in _texts(row)]


def _texts(row: Row) -> list[tuple[str, str]]:
    told = ((name, _text(getattr(row, name))) for name in _fields(row))
    return [(name, text) for name, text in told if text]


def _fields(row: Row) -> list[str]:
    return [name for name in row.__struct_fields__ if name not in ("id", "criterion")]


def _id(row: Row) -> str:
    return row.criterion if isinstance(row, Step) else row.id


def _whole(row: Row) -> Hashable:
    return (_id(row), *(_text(getattr(row, name)) for name in _fields(row)))


def _id_and_text(row: Row) -> Hashable:
    return None if isinstance(row, Step) else (row.id, row.text)


def _distinct_text(row: Row) -> Hashable:
    """Many criteria may share a command, so that a step is known by its criterion alone."""
    return None if isinstance(row, Step) else row.text or None


def _paired(
    left: list[tuple[int, R]], right: list[tuple[int, R]], key: Callable[[R], Hashable]
) -> tuple[list[Pair[R]], list[tuple[int, R]], list[tuple[int, R]]]:
    """The numbered rows of both sides with the same key, first with first, and what is left of each side.

    A key of None has no partner.
    """
    waiting: dict[Hashable, list[tuple[int, R]]] = {}
    for row in reversed(right):
        waiting.setdefault(key(row[1]), []).append(row)
    waiting.pop(None, None)
    pairs: list[Pair[R]] = []
    rest: list[tuple[int, R]] = []
    for row in left:
        partners = waiting.get(key(row[1]))
        if partners:
            pairs.append((row, partners.pop()))
        else:
            rest.append(row)
    taken = {partner[0] for _, partner in pairs}
    return pairs, rest, [row for row in right if row[0] not in taken]


def _is_reordered(pairs: list[Pair[R]]) -> bool:
    places = [after for _, (after, _) in sorted(pairs, key=lambda pair: pair[0][0])]
    return places != sorted(places)
