"""How much of the chain requirement -> criterion -> check, requirement -> task is there, in figures."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kata_cli.spec.document import Criterion, Document, Task


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a whole; `percent` is rounded down, and None where the whole is nothing."""

    covered: int
    total: int
    percent: int | None


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """The shares of a document. `criteria_with_tests` is None where no test was looked at."""

    requirements_with_criteria: Share
    requirements_with_tasks: Share
    criteria_with_checks: Share
    criteria_with_tests: Share | None = None


def coverage(document: Document, tested: set[str] | None = None) -> Coverage:
    """The coverage of a document; `tested` are the ids of criteria that some test cites."""
    requirements = {requirement.id for requirement in document.requirements}
    criteria = {criterion.id for criterion in document.criteria}
    checked = {step.criterion for step in document.verification}
    return Coverage(
        requirements_with_criteria=share(requirements, _cited(document.criteria)),
        requirements_with_tasks=share(requirements, _cited(document.tasks)),
        criteria_with_checks=share(criteria, checked),
        criteria_with_tests=None if tested is None else share(criteria, tested),
    )


def share(whole: set[str], covering: set[str]) -> Share:
    """How many of the whole are among those that cover."""
    covered, total = len(whole & covering), len(whole)
    return Share(covered=covered, total=total, percent=100 * covered // total if total else None)


def _cited(entries: Iterable[Criterion | Task]) -> set[str]:
    return {cited for entry in entries for cited in entry.requirements}
