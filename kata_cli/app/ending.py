"""How a run ends: which failure stands for it, and the event that says so."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kata_cli.core.errors import Exit, Failure, common_exit
from kata_cli.core.events import Recorded, ResultInfo, RunFinished, TaskFinished
from kata_cli.core.messages import Usage


def failure_of_tasks(stored: list[Recorded], result_task: str) -> Failure | None:
    """The one failure that stands for all failed tasks, or None when the result task completed.

    A cause that all of them share keeps its code and exit status; different causes are `task_failed`.
    """
    ends = {entry.event.task: entry.event for entry in stored if isinstance(entry.event, TaskFinished)}
    result = ends.get(result_task)
    if result is not None and result.status == "completed":
        return None
    failed = {name: end.failure for name, end in ends.items() if end.failure is not None}
    if not failed:
        return Failure(code="invalid_output", message=f"task {result_task} left no result")
    return _shared(failed)


def _shared(failed: dict[str, Failure]) -> Failure:
    first = next(iter(failed.values()))
    names = list(failed)
    if len(failed) == 1:
        return _retold(first, f"task {names[0]} failed: {first.message}")
    exit_code = common_exit(list(failed.values()))
    for failure in failed.values():
        if failure.exit == exit_code:
            return _retold(failure, f"tasks {', '.join(names)} failed: {failure.message}")
    causes = ", ".join(f"{name} ({failure.code})" for name, failure in failed.items())
    return Failure(code="task_failed", message=f"{len(failed)} tasks failed: {causes}")


def _retold(failure: Failure, message: str) -> Failure:
    return msgspec.structs.replace(failure, message=message)


def finished(
    failure: Failure | None,
    result: ResultInfo | None,
    *,
    usage: Usage,
    duration_s: float,
    warnings: Sequence[str] = (),
) -> RunFinished:
    """The last event. A run that made its result but did not please `--strict` is completed all the same."""
    has_result = result is not None and (failure is None or failure.code == "findings")
    is_signal = failure is not None and failure.code == "interrupted"
    return RunFinished(
        status="interrupted" if is_signal else "completed" if has_result else "failed",
        exit_code=failure.exit if failure else Exit.OK,
        failure=failure,
        result=result if has_result else None,
        usage=usage,
        duration_s=round(duration_s, 6),
        warnings=list(warnings),
    )
