"""Which failure stands for a run, by the precedence of the contract."""

from __future__ import annotations

import pytest

from kata_cli.app.ending import failure_of_tasks, finished
from kata_cli.core.errors import Failure
from kata_cli.core.events import Recorded, ResultInfo, TaskFinished
from kata_cli.core.messages import Usage


def stored(**ends: str) -> list[Recorded]:
    """Task ends: `completed`, `skipped`, or the code of a failure."""
    events = []
    for name, end in ends.items():
        failure = None if end in ("completed", "skipped") else Failure(code=end, message=f"{name} went wrong")
        status = end if failure is None else "failed"
        events.append(TaskFinished(task=name, status=status, failure=failure))  # type: ignore[arg-type]
    return [Recorded(seq, "", "", event) for seq, event in enumerate(events)]


@pytest.mark.parametrize(
    ("ends", "exit_code", "told"),
    [
        ({"a": "timeout", "r": "skipped"}, 6, "task a failed: a went wrong"),
        ({"a": "rate_limited", "b": "timeout", "r": "skipped"}, 6, "tasks a, b failed: a went wrong"),
        (
            {"a": "invalid_auth", "b": "timeout", "r": "skipped"},
            8,
            "2 tasks failed: a (invalid_auth), b (timeout)",
        ),
        ({"a": "limit_reached", "b": "timeout", "r": "skipped"}, 7, "tasks a, b failed: a went wrong"),
        ({"a": "completed"}, 9, "task r left no result"),
    ],
)
def test_one_failure_stands_for_all(ends: dict[str, str], exit_code: int, told: str) -> None:
    """A shared cause keeps its exit status, a limit wins, different causes are a failed delegation."""
    failure = failure_of_tasks(stored(**ends), "r")
    assert failure is not None
    assert (failure.exit, failure.message) == (exit_code, told)


def test_a_failure_that_the_workflow_allows_is_none() -> None:
    """When the result task completed, an earlier failure is not the run's."""
    assert failure_of_tasks(stored(a="timeout", r="completed"), "r") is None


@pytest.mark.parametrize(
    ("failure", "has_result", "status", "exit_code"),
    [
        (None, True, "completed", 0),
        (Failure(code="findings", message=""), True, "completed", 10),
        (Failure(code="interrupted", message="", exit_code=143), False, "interrupted", 143),
        (Failure(code="deadline", message=""), False, "failed", 124),
        (Failure(code="io", message=""), True, "failed", 11),
    ],
)
def test_the_last_event_says_how_it_ended(
    failure: Failure | None, has_result: bool, status: str, exit_code: int
) -> None:
    """Strictness does not undo a result; a signal is an interruption; all else is failed."""
    info = ResultInfo(kind="text", task="r") if has_result else None
    event = finished(failure, info, usage=Usage(), duration_s=1.0)
    assert (event.status, event.exit_code) == (status, exit_code)
