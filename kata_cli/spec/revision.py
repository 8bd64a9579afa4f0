"""What a new revision owes to the one before: ids keep their meaning, ticks stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from kata_cli.spec.document import Document
from kata_cli.spec.subject import Entry

MIN_LIKENESS = 0.1  # unrelated sentences share fewer of their trigrams than this, edited ones many more


def kept_ticks(document: Document, previous: Document | None) -> Document:
    """The document with the boxes ticked that were ticked before, where the task is still the same."""
    if previous is None:
        return document
    done = {(task.id, task.text) for task in previous.tasks if task.is_done}
    tasks = [msgspec.structs.replace(task, is_done=(task.id, task.text) in done) for task in document.tasks]
    return msgspec.structs.replace(document, tasks=tasks)


def moved_ids(document: Document, previous: Document | None) -> list[str]:
    """Ids that now mean something else, and unchanged entries under another id, as sentences."""
    if previous is None:
        return []
    groups = (
        (document.requirements, previous.requirements),
        (document.criteria, previous.criteria),
        (document.tasks, previous.tasks),
        (document.open_questions, previous.open_questions),
    )
    return [sentence for now, before in groups for sentence in _moved(now, before)]


def _moved(now: Sequence[Entry], before: Sequence[Entry]) -> Iterator[str]:
    text_of = {entry.id: entry.text for entry in before}
    id_of = {text: entry_id for entry_id, text in text_of.items() if text}
    for entry in now:
        earlier = id_of.get(entry.text, entry.id)
        if earlier != entry.id and text_of.get(entry.id) != entry.text:
            yield f"{entry.id} says what {earlier} said before: keep the id {earlier}"
        elif entry.id in text_of and _likeness(entry.text, text_of[entry.id]) < MIN_LIKENESS:
            yield f"{entry.id} meant something else before: give what is new an id that was never used"


def _likeness(one: str, other: str) -> float:
    """Shared trigrams over all trigrams, 0 to 1 (Jaccard); it needs no words, so any language will do."""
    if one == other:
        return 1.0
    first, second = _trigrams(one), _trigrams(other)
    return len(first & second) / max(len(first | second), 1)


def _trigrams(text: str) -> set[str]:
    folded = text.casefold()
    return {folded[start : start + 3] for start in range(len(folded) - 2)}
