"""Runs of every kind for the views of a run: as events, and the record that they fold into."""

from __future__ import annotations

from kata_cli.core.clock import stamp
from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptStarted,
    Event,
    PlanCreated,
    PlannedTask,
    Recorded,
    ResultInfo,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
    UsageReported,
)
from kata_cli.core.messages import ModelRef, Request, Usage
from kata_cli.core.records import RunRecord

RUN_ID = "20261121-054412-k3f9q2"
EPOCH_S = 1795239852.0
BUSY = Failure(code="rate_limited", message="429 from the provider")

Timed = tuple[float, Event]


def recorded(events: list[Timed]) -> list[Recorded]:
    """Events in the order of their time, at seconds since the run began."""
    ordered = sorted(events, key=lambda event: event[0])
    return [Recorded(seq, stamp(EPOCH_S + at), RUN_ID, event) for seq, (at, event) in enumerate(ordered)]


def folded(entries: list[Recorded]) -> RunRecord:
    """The record of a run."""
    record = RunRecord()
    for entry in entries:
        record.apply(entry)
    return record


def started(goal: str = "Make save atomic", at: float = 0.0) -> Timed:
    """The first event."""
    return at, RunStarted(
        session_id="s-one",
        goal=goal,
        workflow="spec",
        workflow_source="",
        runtime_mode="native",
        mode_source="default",
        model="openai/m",
    )


def worked(
    task: str, start: float, end: float, *, cost: float | None = 0.01, failure: Failure | None = None
) -> list[Timed]:
    """A task from its start to its end, with 1,500 tokens."""
    request = Request(task=task, model=ModelRef("openai", "m"), messages=())
    usage = Usage(input=1_200, output=300, cost_usd=cost)
    output = "" if failure else f"Answer of {task}."
    ended = TaskFinished(
        task=task,
        status="failed" if failure else "completed",
        output=output,
        failure=failure,
        duration_s=end - start,
    )
    return [
        (start, TaskStarted(task=task, role="investigate")),
        (start, AttemptStarted(task=task, attempt=1, model="openai/m", request=request)),
        (end, UsageReported(task=task, attempt=1, usage=usage, model="m")),
        (end, ended),
    ]


def failing_run() -> list[Recorded]:
    """Seven tasks: done, failed, skipped, left open by the end of the run, never begun."""
    graph = {
        "investigate": [],
        "implement": ["investigate"],
        "verify": ["investigate"],
        "debug": ["investigate"],
        "critique": ["implement", "verify"],
        "synthesize": ["investigate", "implement", "critique", "debug"],
        "a-task-with-a-name-that-is-rather-long": ["synthesize"],
    }
    planned = [PlannedTask(id=task, role=task, needs=needs) for task, needs in graph.items()]
    skipped = TaskFinished(task="critique", status="skipped", skipped_for="verify")
    end = RunFinished(status="failed", exit_code=6, failure=BUSY, duration_s=41.0)
    return recorded(
        [
            started(),
            (0.5, PlanCreated(tasks=planned)),
            *worked("investigate", 0.6, 9.0),
            *worked("implement", 9.0, 22.5, cost=0.05),
            *worked("verify", 9.1, 15.0, cost=None, failure=BUSY),
            (15.0, skipped),
            *worked("debug", 9.1, 30.0)[:3],
            (41.0, end),
        ]
    )


def wide_run(number: int) -> list[Recorded]:
    """Many tasks at the same time, and one that needs them all."""
    names = [f"part-{index}" for index in range(number)]
    planned = [PlannedTask(id=name, role="investigate") for name in names]
    last = PlannedTask(id="synthesize", role="synthesize", needs=names)
    work = [
        event for index, name in enumerate(names) for event in worked(name, 1 + index / 100, 5 + index / 50)
    ]
    end_s = 5 + number / 50
    return recorded(
        [
            started(),
            (0.5, PlanCreated(tasks=[*planned, last])),
            *work,
            *worked("synthesize", end_s, end_s + 2),
            (end_s + 2, RunFinished(status="completed", exit_code=0, duration_s=end_s + 2)),
        ]
    )


def text_run(answer: str) -> list[Recorded]:
    """A run whose result is a text."""
    result = ResultInfo(kind="text", task="answer")
    return recorded(
        [
            started("What does save do?"),
            (0.1, PlanCreated(tasks=[PlannedTask(id="answer", role="ask")])),
            (0.1, TaskStarted(task="answer")),
            (2.0, TaskFinished(task="answer", status="completed", output=answer, duration_s=1.9)),
            (2.0, RunFinished(status="completed", exit_code=0, result=result, duration_s=2.0)),
        ]
    )
