"""Journals for tests: a plain run, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from kata_cli.core.clock import stamp
from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContextGathered,
    DraftCreated,
    Event,
    FindingReported,
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

RUN_ID = "20261121-054412-k3f9q2"
EPOCH_S = 1795239852.0


def started(project: str = "/p", session_id: str = "s-one", mode: str = "mock") -> RunStarted:
    """The first event of a run."""
    return RunStarted(
        session_id=session_id,
        goal="g",
        workflow="ask",
        workflow_source="builtin",
        runtime_mode=mode,
        mode_source="flag",
        model="mock/mock",
        project=project,
    )


def request(task: str) -> Request:
    """A small request."""
    return Request(task=task, model=ModelRef("mock", "mock"), messages=(Message("user", "é\n" + task),))


def recorded(events: list[Event], run_id: str = RUN_ID) -> list[Recorded]:
    """Events with their numbers, one second apart."""
    return [Recorded(number, stamp(EPOCH_S + number), run_id, event) for number, event in enumerate(events)]


def lines(entries: list[Recorded]) -> list[bytes]:
    """Their journal lines."""
    return [entry.line() for entry in entries]


def unfinished() -> list[Event]:
    """A run in the middle of its only task."""
    return [
        started(),
        ContextGathered(tokens=3),
        PlanCreated(tasks=[PlannedTask(id="answer", role="ask")]),
        TaskStarted(task="answer"),
        AttemptStarted(task="answer", attempt=1, model="mock/mock", request=request("answer")),
    ]


def finished() -> list[Event]:
    """A whole run."""
    usage = UsageReported(task="answer", attempt=1, usage=Usage(input=3, output=4), model="m-1", stop="stop")
    return [
        *unfinished(),
        usage,
        TaskFinished(task="answer", status="completed", output="yes"),
        DraftCreated(document={"title": "T"}),
        RunFinished(status="completed", exit_code=0, duration_s=2.0),
    ]


_tasks = st.sampled_from(["a", "b", "../x", "c-1"])
_failures = st.builds(Failure, code=st.sampled_from(["timeout", "invalid_output"]), message=st.just("no"))
_texts = st.text("abé\u2028\n\x00'\"", max_size=12)
_usages = st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9))
_middles = st.one_of(
    st.builds(TaskStarted, task=_tasks),
    _tasks.flatmap(
        lambda task: st.builds(
            AttemptStarted,
            task=st.just(task),
            attempt=st.integers(1, 2),
            model=st.just("mock/mock"),
            request=st.just(request(task)),
        )
    ),
    st.builds(AttemptFailed, task=_tasks, attempt=st.integers(1, 2), failure=_failures, answer=_texts),
    st.builds(UsageReported, task=_tasks, attempt=st.integers(1, 2), usage=_usages, model=st.just("m-1")),
    st.builds(TaskFinished, task=_tasks, status=st.just("completed"), output=_texts),
    st.builds(TaskFinished, task=_tasks, status=st.just("failed"), failure=_failures),
    st.builds(DraftCreated, document=st.dictionaries(_texts, _texts, max_size=2)),
    st.builds(FindingReported, rule=st.just("KS001"), severity=st.just("error"), message=_texts),
)
streams = st.lists(_middles, max_size=12).map(
    lambda events: recorded([started(), *events, RunFinished(status="completed", exit_code=0)])
)
