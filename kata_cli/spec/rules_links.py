"""Lint rules about ids and what refers to what."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from itertools import chain, pairwise

from kata_cli.core.text import one_line
from kata_cli.spec.coverage import coverage
from kata_cli.spec.document import CRITERIA, REQUIREMENTS, TASKS, VERIFICATION, Criterion, Task
from kata_cli.spec.order import Order
from kata_cli.spec.subject import Entry, Problem, Subject, numbered

MAX_CHARS = 200  # of a heading
MAX_SHOWN = 12  # tasks of a circle

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
    if subject.bare is not None:
        for block in subject.bare:
            yield Problem(block.line, f"{one_line(block.text, MAX_CHARS)} has no acceptance criterion")
        return
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
    """KS017: tasks can be done in some order. Of tasks that come after each other, one is told."""
    order = Order(subject.document.tasks)
    knots = set(order.knots)
    for place, task in numbered(TASKS, subject.document.tasks):
        for missing in _missing(task.after, order):
            yield Problem(place, f"{task.id} comes after {missing}, which does not exist")
        if task.id in knots:
            yield Problem(place, f"{task.id} comes after itself: {_way(order.circle(task.id))}")


def shared_paths(subject: Subject) -> Iterator[Problem]:
    """KS018: tasks that may run at the same time touch different paths.

    Of those on one path all follow each other when each two neighbours do.
    """
    order = Order(subject.document.tasks)
    touching: dict[str, dict[str, str]] = {}
    for place, task in numbered(TASKS, subject.document.tasks):
        if task.path:
            touching.setdefault(task.path, {}).setdefault(task.id, place)
    for path, places in touching.items():
        ranks = {name: rank for rank, name in enumerate(places)}
        for pair in pairwise(order.in_order(places)):
            if not order.is_ordered(*pair):
                one, other = sorted(pair, key=ranks.__getitem__)
                yield Problem(places[other], f"{one} and {other} touch {path} in no order")


def criterion_without_step(subject: Subject) -> Iterator[Problem]:
    """KS020: each criterion is checked."""
    checked = {step.criterion for step in subject.document.verification}
    for place, criterion in numbered(CRITERIA, subject.document.criteria):
        if criterion.id not in checked:
            yield Problem(place, f"{criterion.id} has no verification step")


def incomplete_coverage(subject: Subject) -> Iterator[Problem]:
    """KS030: how much of the chain REQ -> AC -> T -> command is there, when it is not all."""
    covered = coverage(subject.document)
    shares = (
        ("REQ with AC", covered.requirements_with_criteria),
        ("REQ with T", covered.requirements_with_tasks),
        ("AC with a check", covered.criteria_with_checks),
    )
    if any(share.covered != share.total for _, share in shares):
        listed = ", ".join(
            f"{name} {share.covered}/{share.total} ({share.percent} %)"
            for name, share in shares
            if share.total
        )
        yield Problem("", f"coverage: {listed}")


def _way(circle: list[str]) -> str:
    """`T-001 after T-002 after T-001`; a long one is cut."""
    shown = circle if len(circle) <= MAX_SHOWN else [*circle[:MAX_SHOWN], "…"]
    return " after ".join(shown)


def _ids(entries: Iterable[Entry]) -> set[str]:
    return {entry.id for entry in entries}


def _cited(entries: Iterable[Criterion | Task]) -> set[str]:
    return {cited for entry in entries for cited in entry.requirements}


def _missing(cited: Iterable[str], known: Container[str]) -> list[str]:
    return [name for name in dict.fromkeys(cited) if name not in known]
