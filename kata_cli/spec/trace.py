"""The threads of a document: requirement -> criterion -> check, requirement -> task, and tests citing them.

What is missing or leads nowhere is told by the lint rules about links, so both commands say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from kata_cli.spec.citations import Citation, padded
from kata_cli.spec.coverage import Coverage, coverage
from kata_cli.spec.document import CRITERIA, Criterion, Document, Step, Task
from kata_cli.spec.rules_links import (
    criterion_without_requirement,
    criterion_without_step,
    requirement_without_criterion,
    requirement_without_task,
    task_without_requirement,
    unknown_references,
)
from kata_cli.spec.subject import Problem, Subject, numbered

GapKind = Literal["uncovered", "dangling"]

_LINKS: tuple[tuple[GapKind, Callable[[Subject], Iterator[Problem]]], ...] = (
    ("uncovered", requirement_without_criterion),
    ("uncovered", requirement_without_task),
    ("uncovered", criterion_without_step),
    ("dangling", unknown_references),
    ("dangling", criterion_without_requirement),
    ("dangling", task_without_requirement),
)


class Gap(msgspec.Struct, frozen=True):
    """What is not covered, or leads nowhere; `path` and `line` (from 1, 0: the whole) say where it stands."""

    kind: GapKind
    message: str
    path: str
    line: int


class Place(msgspec.Struct, frozen=True):
    """A line of a test; lines count from 1."""

    path: str
    line: int


class TracedCriterion(msgspec.Struct, frozen=True, kw_only=True):
    """A criterion, how it is checked, and the tests that cite it."""

    id: str
    text: str
    requirements: list[str]
    checks: list[Step]
    tests: list[Place]


class TracedRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement, by id what accepts and builds it, and the tests that cite it itself."""

    id: str
    title: str
    criteria: list[str]
    tasks: list[str]
    tests: list[Place]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """All threads of one file."""

    path: str
    id: str
    title: str
    requirements: list[TracedRequirement]
    criteria: list[TracedCriterion]
    tasks: list[Task]
    coverage: Coverage
    gaps: list[Gap]


def trace(
    path: str, document: Document, lines: Mapping[str, int], cited: Sequence[Citation] | None = None
) -> Trace:
    """The threads of a document that stands in the file `path`.

    `lines` comes from `parse_with_lines`. `cited` is what tests cite, None where none were looked at.
    """
    tests = _tests(cited or ())
    gaps = _gaps(path, Subject(document, lines))
    tested = None
    if cited is not None:
        gaps += _untested(path, document, lines, tests)
        tested = {entry.id for entry in document.criteria if padded(entry.id) in tests}
    return Trace(
        path=path,
        id=document.id,
        title=document.title,
        requirements=_requirements(document, tests),
        criteria=_criteria(document, tests),
        tasks=document.tasks,
        coverage=coverage(document, tested),
        gaps=gaps,
    )


def unknown_citations(cited: Iterable[Citation], documents: Iterable[Document]) -> list[Gap]:
    """What tests cite though none of the documents has it."""
    known = {
        padded(entry.id)
        for document in documents
        for entries in (document.requirements, document.criteria)
        for entry in entries
    }
    return [
        Gap("dangling", f"{citation.id} is cited, and does not exist", citation.path, citation.line)
        for citation in cited
        if citation.id not in known
    ]


def _gaps(path: str, subject: Subject) -> list[Gap]:
    found = [
        Gap(kind, problem.message, path, subject.line(problem.place))
        for kind, check in _LINKS
        for problem in check(subject)
    ]
    return sorted(found, key=lambda gap: gap.line)


def _untested(
    path: str, document: Document, lines: Mapping[str, int], tests: Mapping[str, list[Place]]
) -> list[Gap]:
    return [
        Gap("uncovered", f"{criterion.id} is cited by no test", path, lines.get(place, 0))
        for place, criterion in numbered(CRITERIA, document.criteria)
        if padded(criterion.id) not in tests
    ]


def _tests(cited: Iterable[Citation]) -> dict[str, list[Place]]:
    tests: dict[str, list[Place]] = {}
    for citation in cited:
        tests.setdefault(citation.id, []).append(Place(citation.path, citation.line))
    return tests


def _requirements(document: Document, tests: Mapping[str, list[Place]]) -> list[TracedRequirement]:
    criteria, tasks = _citing(document.criteria), _citing(document.tasks)
    return [
        TracedRequirement(
            id=entry.id,
            title=entry.title,
            criteria=criteria.get(entry.id, []),
            tasks=tasks.get(entry.id, []),
            tests=tests.get(padded(entry.id), []),
        )
        for entry in document.requirements
    ]


def _citing(entries: Iterable[Criterion | Task]) -> dict[str, list[str]]:
    """By requirement, the ids of the entries that cite it."""
    citing: dict[str, list[str]] = {}
    for entry in entries:
        for cited in dict.fromkeys(entry.requirements):
            citing.setdefault(cited, []).append(entry.id)
    return citing


def _criteria(document: Document, tests: Mapping[str, list[Place]]) -> list[TracedCriterion]:
    checks: dict[str, list[Step]] = {}
    for step in document.verification:
        checks.setdefault(step.criterion, []).append(step)
    return [
        TracedCriterion(
            id=entry.id,
            text=entry.text,
            requirements=entry.requirements,
            checks=checks.get(entry.id, []),
            tests=tests.get(padded(entry.id), []),
        )
        for entry in document.criteria
    ]
