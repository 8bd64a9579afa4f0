"""A trace as text: a tree of requirements, the coverage, and the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kata_cli.core.text import one_line
from kata_cli.spec.coverage import Coverage, Share
from kata_cli.spec.trace import Gap, Place, Trace

TEXT_CHARS = 160
MAX_PLACES = 3


def trace_text(specs: Iterable[Trace], gaps: Iterable[Gap]) -> str:
    """Each file as a tree, a blank line between; last the gaps that belong to none of them."""
    trees = ("".join(_rows(spec)) for spec in specs)
    return "\n".join(trees) + "".join(_gap_rows("tests", gaps))


def _rows(spec: Trace) -> Iterator[str]:
    criteria = {criterion.id: criterion for criterion in spec.criteria}
    tasks = {task.id: task for task in spec.tasks}
    yield _row(0, f"{spec.path} {spec.title}")
    for requirement in spec.requirements:
        yield _row(0, f"{requirement.id} {requirement.title}")
        yield from _place_rows(1, requirement.tests)
        for criterion in (criteria[criterion_id] for criterion_id in requirement.criteria):
            yield _row(1, f"{criterion.id} {criterion.text}")
            yield from (_row(2, f"check {step.command or step.note}") for step in criterion.checks)
            yield from _place_rows(2, criterion.tests)
        for task in (tasks[task_id] for task_id in requirement.tasks):
            role = f"[{task.role}] " if task.role else ""
            yield _row(1, f"{task.id} {'done' if task.is_done else 'open'} {role}{task.path or task.text}")
    yield from _coverage_rows(spec.coverage)
    yield from _gap_rows("gaps", spec.gaps)


def _row(depth: int, text: str) -> str:
    return f"{'  ' * depth}{one_line(text, TEXT_CHARS)}\n"


def _place_rows(depth: int, places: list[Place]) -> Iterator[str]:
    yield from (_row(depth, f"test {place.path}:{place.line}") for place in places[:MAX_PLACES])
    if len(places) > MAX_PLACES:
        yield _row(depth, f"test … and {len(places) - MAX_PLACES} more")


def _coverage_rows(coverage: Coverage) -> Iterator[str]:
    shares = [
        ("REQ with AC", coverage.requirements_with_criteria),
        ("REQ with T", coverage.requirements_with_tasks),
        ("AC with a check", coverage.criteria_with_checks),
    ]
    if coverage.criteria_with_tests is not None:
        shares.append(("AC with a test", coverage.criteria_with_tests))
    yield "coverage\n"
    yield from (f"  {name:<16}{_share(share)}\n" for name, share in shares)


def _share(share: Share) -> str:
    percent = "" if share.percent is None else f"  {share.percent} %"
    return f"{share.covered}/{share.total}{percent}"


def _gap_rows(title: str, gaps: Iterable[Gap]) -> Iterator[str]:
    rows = [_row(1, f"{gap.path}:{gap.line} {gap.kind}: {gap.message}") for gap in gaps]
    if rows:
        yield f"{title}\n"
    yield from rows
