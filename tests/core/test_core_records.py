"""Runs and tasks move only along the allowed edges."""

from __future__ import annotations

from typing import get_args

import pytest

from kata_cli.core.clock import stamp
from kata_cli.core.errors import ErrorDocument, Failure, document
from kata_cli.core.events import (
    AttemptStarted,
    ContentDelta,
    Event,
    PlanCreated,
    PlannedTask,
    Recorded,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
    UsageReported,
)
from kata_cli.core.messages import Message, ModelRef, Request, Usage
from kata_cli.core.records import RunRecord, RunState, Step, TaskRecord, TaskState, elapsed_s

RUN_STATES: tuple[RunState, ...] = get_args(RunState)
TASK_STATES: tuple[TaskState, ...] = get_args(TaskState)
RUN_EDGES = {
    ("queued", "running"),
    ("queued", "interrupted"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "interrupted"),
}
FAILURE = Failure(code="timeout", message="late")


def _started() -> RunStarted:
    return RunStarted(
        session_id="s-1",
        goal="g",
        workflow="ask",
        workflow_source="builtin",
        runtime_mode="mock",
        mode_source="flag",
        model="mock/mock",
    )


def _record(*events: Event) -> tuple[RunRecord, list[str]]:
    """The fold of these events, one second apart, and the refusals met."""
    record = RunRecord()
    refusals = [record.apply(Recorded(seq, stamp(seq), "r", event)) for seq, event in enumerate(events)]
    return record, [refusal for refusal in refusals if refusal]


def _attempt(number: int) -> AttemptStarted:
    request = Request(task="a", model=ModelRef("mock", "m"), messages=(Message("user", "x"),))
    return AttemptStarted(task="a", attempt=number, model="mock/m", request=request)


def test_ru01_the_five_run_states() -> None:
    """queued, running, completed, failed, interrupted."""
    assert RUN_STATES == ("queued", "running", "completed", "failed", "interrupted")


@pytest.mark.parametrize("now", RUN_STATES)
@pytest.mark.parametrize("wanted", RUN_STATES)
def test_ru02_ru03_only_five_edges_lead_on(now: RunState, wanted: RunState) -> None:
    """Every other move is refused with a reason and leaves the run as it was."""
    record = RunRecord(status=now, timeline=[Step(now, "t0")], updated_at="t0")
    refusal = record.move(wanted, "t1")
    if now == wanted or (now, wanted) in RUN_EDGES:
        assert refusal is None
        assert record.status == wanted
    else:
        assert refusal is not None
        assert refusal.startswith(f"run cannot go from {now} to {wanted}")
        assert (record.status, record.updated_at, record.timeline) == (now, "t0", [Step(now, "t0")])


@pytest.mark.parametrize("state", RUN_STATES)
def test_ru04_repeating_a_state_moves_only_the_time(state: RunState) -> None:
    """The timeline stays, `updated_at` does not."""
    record = RunRecord(status=state, timeline=[Step(state, "t0")], updated_at="t0")
    assert record.move(state, "t1") is None
    assert (record.timeline, record.updated_at) == ([Step(state, "t0")], "t1")


def test_ru05_a_stale_error_is_cleared_by_completion() -> None:
    """A completed run has no error."""
    stale: ErrorDocument = document(FAILURE)
    record = RunRecord(status="running", timeline=[Step("running", "t0")], error=stale)
    record.move("completed", "t1")
    assert record.error is None


@pytest.mark.parametrize(
    ("state", "completed_at", "interrupted_at"),
    [("completed", "t1", None), ("failed", "t1", None), ("interrupted", None, "t1")],
)
def test_ru06_the_end_has_one_time(
    state: RunState, completed_at: str | None, interrupted_at: str | None
) -> None:
    """`completed_at` and `interrupted_at` exclude each other."""
    record = RunRecord(status="running", timeline=[Step("running", "t0")])
    record.move(state, "t1")
    assert (record.completed_at, record.interrupted_at) == (completed_at, interrupted_at)


def test_ru07_ru08_ru09_a_run_is_queued_then_running_then_ended_with_times() -> None:
    """`run.started` queues, `plan.created` runs, `run.finished` ends."""
    record, refusals = _record(
        _started(), PlanCreated(tasks=[]), RunFinished(status="completed", exit_code=0)
    )
    assert refusals == []
    assert [(step.state, step.at) for step in record.timeline] == [
        ("queued", stamp(0)),
        ("running", stamp(1)),
        ("completed", stamp(2)),
    ]
    assert (record.created_at, record.updated_at, record.last_seq) == (stamp(0), stamp(2), 2)


def test_a_run_that_fails_before_its_plan_passes_through_running() -> None:
    """A failure while gathering context is a failed run, not a refused move."""
    record, refusals = _record(_started(), RunFinished(status="failed", exit_code=6, failure=FAILURE))
    assert refusals == []
    assert [step.state for step in record.timeline] == ["queued", "running", "failed"]
    assert record.error is not None
    assert (record.error.code, record.error.runtime_mode, record.exit_code) == ("timeout", "mock", 6)


def test_ru06_nothing_changes_after_the_end() -> None:
    """A late second end is refused whole."""
    record, refusals = _record(
        _started(),
        RunFinished(status="interrupted", exit_code=130),
        RunFinished(status="completed", exit_code=0),
    )
    assert refusals == ["run cannot go from interrupted to completed (allowed: nothing: it is final)"]
    assert (record.status, record.exit_code) == ("interrupted", 130)


def test_a_task_passes_through_its_states() -> None:
    """A second attempt does not lead back; usage adds up on the task and the run."""
    usage = UsageReported(task="a", attempt=1, usage=Usage(input=2, output=1))
    record, refusals = _record(
        _started(),
        PlanCreated(tasks=[PlannedTask(id="a", role="debug", needs=["b"])]),
        TaskStarted(task="a"),
        _attempt(1),
        usage,
        _attempt(2),
        usage,
        TaskFinished(task="a", status="completed", duration_s=1.5),
    )
    task = record.task("a")
    assert refusals == []
    assert [step.state for step in task.timeline] == [
        "queued", "delegating", "delegated", "running", "completed"
    ]  # fmt: skip
    assert (task.role, task.needs, task.attempts, task.duration_s) == ("debug", ["b"], 2, 1.5)
    assert task.usage == record.usage == Usage(input=4, output=2)


@pytest.mark.parametrize("final", ["completed", "failed", "skipped"])
@pytest.mark.parametrize("wanted", TASK_STATES)
def test_a_task_that_ended_stays_so(final: TaskState, wanted: TaskState) -> None:
    """Terminal task states are final."""
    task = TaskRecord(id="a", status=final, timeline=[Step(final, "t0")])
    refusal = task.move(wanted, "t1")
    assert (refusal is None) == (wanted == final)
    assert (task.status, task.timeline) == (final, [Step(final, "t0")])


def test_a_skipped_task_names_what_it_needed() -> None:
    """`skipped_for` is the failed dependency."""
    record, _ = _record(
        _started(),
        PlanCreated(tasks=[PlannedTask(id="b", role="debug", needs=["a"])]),
        TaskFinished(task="b", status="skipped", skipped_for="a"),
    )
    assert (record.task("b").status, record.task("b").skipped_for) == ("skipped", "a")


def test_a_delta_leaves_no_trace_in_the_record() -> None:
    """Only stored events count."""
    record, _ = _record(_started())
    before = record.updated_at
    assert record.apply(Recorded(0, stamp(9), "r", ContentDelta(task="a", text="x"))) is None
    assert (record.updated_at, record.last_seq) == (before, 0)


def test_elapsed_time_is_measured_or_taken_from_the_stamps() -> None:
    """A run's own monotonic figure wins; an open run counts up to its last event."""
    record, _ = _record(_started(), PlanCreated(tasks=[]))
    assert elapsed_s(RunRecord()) == 0.0
    assert elapsed_s(record) == 1.0
    record.duration_s = 7.5
    assert elapsed_s(record) == 7.5


def test_a_task_that_nobody_ended_failed_with_its_run() -> None:
    """When the process died or the engine broke, no task is left running in the record."""
    broken = Failure(code="unexpected_error", message="a bug")
    record = RunRecord()
    for seq, event in enumerate(
        [
            PlanCreated(tasks=[PlannedTask(id="a", role="r"), PlannedTask(id="b", role="r")]),
            TaskStarted(task="a"),
            RunFinished(status="failed", exit_code=1, failure=broken),
        ]
    ):
        record.apply(Recorded(seq, "2026-11-21T05:44:12.000Z", "x", event))
    assert [task.status for task in record.tasks] == ["failed", "queued"]
    assert record.tasks[0].error is not None
