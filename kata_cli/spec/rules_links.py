"""Lint rules about ids and what refers to what."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from itertools import chain, combinations

from kata_cli.spec.document import CRITERIA, REQUIREMENTS, TASKS, VERIFICATION, Criterion, Document, Task
from kata_cli.spec.subject import Entry, Problem, Subject, numbered

_PADDED = re.compile(r"[A-Z]+-(?:[0-9]{3}|[1-9][0-9]{3,})")


def duplicate_ids(subject: Subject) -> Iterator[Problem]:
    """KS004: an id means one thing."""
    seen: set[str] = set()
    for place, entry in subject.entries():
        if entry.id in seen:
            yield Problem(place, f"{entry.id} stands twice")
        seen.add(entry.id)


def unpadded_ids(subject: Subject) -> Iterator[Problem]:
    """KS005: ids sort as text."""
    for place, entry in subject.entries():
        if not _PADDED.fullmatch(entry.id):
            prefix, _, number = entry.id.partition("-")
            yield Problem(place, f"{entry.id} should be {prefix}-{int(number):03d}")


def unknown_references(subject: Subject) -> Iterator[Problem]:
    """KS006: what is cited exists. (Predecessors of tasks are KS017.)"""
    document = subject.document
    requirements = _ids(document.requirements)
    citing: Iterable[tuple[str, Criterion | Task]] = chain(
        numbered(CRITERIA, document.criteria), numbered(TASKS, document.tasks)
    )
    for place, entry in citing:
        for missing in _missing(entry.requirements, requirements):
            yield Problem(place, f"{entry.id} refers to {missing}, which does not exist")
    criteria = _ids(document.criteria)
    for place, step in numbered(VERIFICATION, document.verification):
        if step.criterion not in criteria:
            yield Problem(place, f"a verification step refers to {step.criterion}, which does not exist")


def requirement_without_criterion(subject: Subject) -> Iterator[Problem]:
    """KS010: each requirement can be accepted."""
    cited = _cited(subject.document.criteria)
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        if requirement.id not in cited:
            yield Problem(place, f"{requirement.id} has no acceptance criterion")


def criterion_without_requirement(subject: Subject) -> Iterator[Problem]:
    """KS011: each criterion belongs to a requirement."""
    for place, criterion in numbered(CRITERIA, subject.document.criteria):
        if not criterion.requirements:
            yield Problem(place, f"{criterion.id} is not tied to a requirement")


def requirement_without_task(subject: Subject) -> Iterator[Problem]:
    """KS015: each requirement gets built."""
    cited = _cited(subject.document.tasks)
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        if requirement.id not in cited:
            yield Problem(place, f"{requirement.id} has no task")


def task_without_requirement(subject: Subject) -> Iterator[Problem]:
    """KS016: each task serves a requirement."""
    for place, task in numbered(TASKS, subject.document.tasks):
        if not task.requirements:
            yield Problem(place, f"{task.id} serves no requirement")


def broken_order(subject: Subject) -> Iterator[Problem]:
    """KS017: tasks can be done in some order."""
    before = _predecessors(subject.document)
    for place, task in numbered(TASKS, subject.document.tasks):
        for missing in _missing(task.after, before.keys()):
            yield Problem(place, f"{task.id} comes after {missing}, which does not exist")
        if task.id in before[task.id]:
            yield Problem(place, f"{task.id} comes after itself")


def shared_paths(subject: Subject) -> Iterator[Problem]:
    """KS018: tasks that may run at the same time touch different paths."""
    before = _predecessors(subject.document)
    tasks = [(place, task) for place, task in numbered(TASKS, subject.document.tasks) if task.path]
    for (_, first), (place, second) in combinations(tasks, 2):
        is_ordered = first.id in before[second.id] or second.id in before[first.id]
        if first.path == second.path and first.id != second.id and not is_ordered:
            yield Problem(place, f"{first.id} and {second.id} touch {first.path} in no order")


def criterion_without_step(subject: Subject) -> Iterator[Problem]:
    """KS020: each criterion is checked."""
    checked = {step.criterion for step in subject.document.verification}
    for place, criterion in numbered(CRITERIA, subject.document.criteria):
        if criterion.id not in checked:
            yield Problem(place, f"{criterion.id} has no verification step")


def coverage(subject: Subject) -> Iterator[Problem]:
    """KS030: how much of the chain REQ -> AC -> T -> command is there, when it is not all."""
    document = subject.document
    requirements, criteria = _ids(document.requirements), _ids(document.criteria)
    checked = {step.criterion for step in document.verification}
    parts = (
        ("REQ with AC", requirements & _cited(document.criteria), requirements),
        ("REQ with T", requirements & _cited(document.tasks), requirements),
        ("AC with a check", criteria & checked, criteria),
    )
    if any(covered != whole for _, covered, whole in parts):
        listed = ", ".join(f"{name} {len(covered)}/{len(whole)}" for name, covered, whole in parts)
        yield Problem("", f"coverage: {listed}")


def _ids(entries: Iterable[Entry]) -> set[str]:
    return {entry.id for entry in entries}


def _cited(entries: Iterable[Criterion | Task]) -> set[str]:
    return {cited for entry in entries for cited in entry.requirements}


def _missing(cited: Iterable[str], known: Container[str]) -> list[str]:
    return [name for name in dict.fromkeys(cited) if name not in known]


def _predecessors(document: Document) -> dict[str, set[str]]:
    """For each task, all that must be done before it, at any distance; itself too if it is in a cycle."""
    direct = {task.id: task.after for task in document.tasks}
    reached: dict[str, set[str]] = {}
    for task_id, after in direct.items():
        seen: set[str] = set()
        waiting = list(after)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += direct.get(name, [])
        reached[task_id] = seen
    return reached
