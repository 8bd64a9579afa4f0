"""What a lint rule sees: a document, its lines, and every text in it with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Literal, TypeVar

import msgspec

from kata_cli.spec.blocks import Block, SpecSyntaxError
from kata_cli.spec.document import (
    CRITERIA,
    GOAL,
    LIST_SECTIONS,
    QUESTIONS,
    REQUIREMENTS,
    TASKS,
    VERIFICATION,
    Criterion,
    Document,
    Question,
    Requirement,
    Task,
)

Severity = Literal["error", "warning", "info"]
Entry = Requirement | Criterion | Task | Question
T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, and where: a section name, `<section> <n>` for its n-th entry, or a line."""

    place: str | int
    message: str


class Text(msgspec.Struct, frozen=True):
    """One text, where it stands (as in `Problem`), and the name a reader knows it by."""

    place: str | int
    name: str
    text: str


class Subject(msgspec.Struct, frozen=True):
    """What is checked: a document, where its parts stand, and what of the file it does not hold.

    `bare` is that of a `Draft`.
    """

    document: Document
    lines: Mapping[str, int]
    faults: Sequence[SpecSyntaxError] = ()
    unread: Sequence[Block] = ()
    unread_sections: Set[str] = frozenset()
    bare: Sequence[Block] | None = None
    is_english: bool = True

    def line(self, place: str | int) -> int:
        """The line of a place, else of its section, else 0."""
        if isinstance(place, int):
            return place
        return self.lines.get(place) or self.lines.get(place.rpartition(" ")[0], 0)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All that has an id, with its place, in the order of the draft."""
        document = self.document
        yield from numbered(REQUIREMENTS, document.requirements)
        yield from numbered(CRITERIA, document.criteria)
        yield from numbered(TASKS, document.tasks)
        yield from numbered(QUESTIONS, document.open_questions)

    def texts(self) -> Iterator[Text]:
        """All texts a person reads, but what is unread; commands and paths are code, not text."""
        yield Text("", "the title", self.document.title)
        yield Text(GOAL, "the goal", self.document.goal)
        for section, field in LIST_SECTIONS.items():
            for place, item in numbered(section, getattr(self.document, field)):
                yield Text(place, place, item)
        for place, requirement in numbered(REQUIREMENTS, self.document.requirements):
            yield Text(place, f"the title of {requirement.id}", requirement.title)
        for place, entry in self.entries():
            yield Text(place, entry.id, entry.text)
        for place, step in numbered(VERIFICATION, self.document.verification):
            yield Text(place, f"the step of {step.criterion}", step.note)

    def unread_texts(self, *, is_prose_only: bool) -> Iterator[Text]:
        """The rows of the file that the document does not hold."""
        for block in self.unread:
            if block.is_prose or not is_prose_only:
                for line, row in enumerate(block.rows, start=block.line):
                    yield Text(line, f"line {line}", row)

    def codes(self) -> Iterator[Text]:
        """All paths and commands."""
        for place, task in numbered(TASKS, self.document.tasks):
            yield Text(place, f"the path of {task.id}", task.path)
        for place, step in numbered(VERIFICATION, self.document.verification):
            yield Text(place, f"the command of {step.criterion}", step.command)


def numbered(section: str, entries: Iterable[T]) -> Iterator[tuple[str, T]]:
    """The entries of a section with their places."""
    return ((f"{section} {number}", entry) for number, entry in enumerate(entries, start=1))
