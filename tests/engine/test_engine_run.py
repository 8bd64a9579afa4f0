"""The engine as a stream: order, parallelism, failures, repair and stop, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import Answer, ScriptedProvider, plan, task

from kata_cli.core import loop
from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    DraftCreated,
    Event,
    FindingReported,
    PlanCreated,
    TaskFinished,
    TaskStarted,
)
from kata_cli.core.messages import Reply, Request
from kata_cli.core.stop import Stop
from kata_cli.engine.plan import Plan
from kata_cli.engine.run import run
from kata_cli.providers.mock.author import write_answer

BUSY = Failure(code="provider_unavailable", message="busy")


def events_of(
    wanted: Plan,
    provider: ScriptedProvider,
    *,
    history: dict[str, TaskFinished] | None = None,
    stop_after_s: float | None = None,
) -> list[Event]:
    """All events of a run on virtual time."""

    async def collect() -> list[Event]:
        stop = Stop()
        if stop_after_s is not None:
            failure = Failure(code="interrupted", message="stopped", exit_code=130)
            asyncio.get_running_loop().call_later(stop_after_s, stop.request, failure)
        seen: list[Event] = []
        async with aclosing(run(wanted, provider, history or {}, stop=stop)) as batches:
            async for batch in batches:
                seen += batch
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"
        return seen

    return loop.run(collect(), is_virtual=True)


def ends(events: list[Event]) -> dict[str, TaskFinished]:
    return {event.task: event for event in events if isinstance(event, TaskFinished)}


def echo(request: Request) -> str:
    return f"answer of {request.task}"


def test_the_plan_comes_first_and_every_task_ends_once() -> None:
    """A run is `plan.created`, then each task's own events, each task with one end."""
    events = events_of(plan(task("a"), task("b", "a")), ScriptedProvider(echo))
    assert isinstance(events[0], PlanCreated)
    assert [event.task for event in events if isinstance(event, TaskFinished)] == ["a", "b"]


def test_an_answer_reaches_those_who_need_it_fenced() -> None:
    """A dependent's prompt holds the answer between tags that name its task."""
    provider = ScriptedProvider(echo)
    events_of(plan(task("a"), task("b", "a")), provider)
    assert '<output task="a" role="investigate">\nanswer of a\n</output>' in provider.requests[1].prompt


def test_independent_tasks_run_at_once_and_jobs_bounds_them() -> None:
    """Ten independent tasks of one second take five seconds with two jobs, and never three at a time."""
    provider = ScriptedProvider(echo, lambda _: 1.0)
    events = events_of(plan(*[task(f"t{n}") for n in range(10)], jobs=2), provider)
    assert provider.most_open == 2
    assert sum(end.duration_s for end in ends(events).values()) == pytest.approx(10)


def test_a_task_starts_when_its_own_needs_are_done() -> None:
    """A chain does not wait for a slow task beside it."""
    delays = {"slow": 9.0, "a": 1.0, "b": 1.0}
    provider = ScriptedProvider(echo, lambda request: delays[request.task])
    events = events_of(plan(task("slow"), task("a"), task("b", "a")), provider)
    assert list(ends(events)) == ["a", "b", "slow"]


def test_a_failure_lets_siblings_finish_and_skips_the_rest() -> None:
    """Nothing new starts after a failure; what did not start names the failed task it was given up for."""
    provider = ScriptedProvider(
        lambda request: BUSY if request.task == "bad" else echo(request),
        lambda request: float(request.task == "ok"),
    )
    events = events_of(
        plan(task("bad"), task("ok"), task("x", "bad"), task("y", "x"), task("z", "ok")), provider
    )
    outcome = {name: (end.status, end.skipped_for) for name, end in ends(events).items()}
    assert outcome == {
        "bad": ("failed", ""),
        "ok": ("completed", ""),
        "x": ("skipped", "bad"),
        "y": ("skipped", "bad"),
        "z": ("skipped", "bad"),
    }


def test_on_failure_continue_tells_the_dependents() -> None:
    """The dependents of a task that may fail still run, and their prompt says that it failed."""
    provider = ScriptedProvider(lambda request: BUSY if request.task == "a" else echo(request))
    events = events_of(plan(task("a", on_failure="continue"), task("b", "a")), provider)
    assert ends(events)["b"].status == "completed"
    assert "task a failed with provider_unavailable; it left no output" in provider.requests[1].prompt


def test_finished_tasks_of_history_are_not_asked_again() -> None:
    """A resumed run asks only for what is missing and uses the old answers."""
    provider = ScriptedProvider(echo)
    history = {"a": TaskFinished(task="a", status="completed", output="from before")}
    events_of(plan(task("a"), task("b", "a")), provider, history=history)
    assert [request.task for request in provider.requests] == ["b"]
    assert "from before" in provider.requests[0].prompt


def test_a_stop_cancels_in_plan_order_and_each_task_says_so() -> None:
    """Running tasks end as failed with the reason of the stop; those that wait never start."""
    provider = ScriptedProvider(echo, lambda _: 5.0)
    events = events_of(plan(task("b"), task("a"), task("c", "a")), provider, stop_after_s=1.0)
    failures = {name: end.failure.code for name, end in ends(events).items() if end.failure}
    assert failures == {"b": "interrupted", "a": "interrupted"}
    assert list(failures) == ["b", "a"]
    assert provider.open == 0


def test_an_empty_answer_is_asked_for_once_more() -> None:
    """One repair round: the second answer counts, and the first attempt is on record as failed."""
    answers: Iterator[Answer] = iter(
        [Failure(code="invalid_output", message="the answer is empty"), "now there is one"]
    )
    events = events_of(plan(task("a")), ScriptedProvider(lambda _: next(answers)))
    assert ends(events)["a"].output == "now there is one"
    assert [event.failure.code for event in events if isinstance(event, AttemptFailed)] == ["invalid_output"]


def test_json_that_stays_wrong_fails_after_one_repair() -> None:
    """There is exactly one further request, and it shows the model its own answer and the mistake."""
    provider = ScriptedProvider(lambda _: "not json")
    events = events_of(plan(task("a", output="json"), kind="json"), provider)
    failure = ends(events)["a"].failure
    assert failure is not None
    assert failure.code == "invalid_output"
    assert len(provider.requests) == 2
    assert [message.role for message in provider.requests[1].messages] == ["user", "assistant", "user"]


def test_f46_an_answer_cut_at_the_limit_is_not_asked_for_again() -> None:
    """A truncated answer is `invalid_output` at once: another would be cut too, for the same price."""
    provider = ScriptedProvider(lambda _: Reply(text="half", model="m", stop="length"))
    failure = ends(events_of(plan(task("a")), provider))["a"].failure
    assert failure is not None
    assert failure.code == "invalid_output"
    assert len(provider.requests) == 1


def test_a_draft_comes_with_its_findings() -> None:
    """The result task of a spec workflow gives the document, and lint's findings after it."""
    provider = ScriptedProvider(write_answer)
    wanted = plan(task("s", role="synthesize", output="json", system="x"), kind="spec", goal="Add a flag")
    events = events_of(wanted, provider)
    kinds = [type(event) for event in events if isinstance(event, DraftCreated | FindingReported)]
    assert kinds[0] is DraftCreated
    document = next(event.document for event in events if isinstance(event, DraftCreated))
    assert document["runtime_mode"] == "mock"
    assert document["title"] == "Add a flag"
    assert ends(events)["s"].output.startswith("{"), "the answer itself is kept for a replay"


def test_f52_a_draft_that_is_no_document_fails_after_the_repair() -> None:
    """Nothing is filled in for a model that does not give the structure."""
    provider = ScriptedProvider(lambda _: '{"title": "only"}')
    events = events_of(plan(task("s", role="synthesize", output="json", system="x"), kind="spec"), provider)
    failure = ends(events)["s"].failure
    assert failure is not None
    assert failure.code == "invalid_output"
    assert not any(isinstance(event, DraftCreated) for event in events)


def test_a_bug_in_a_provider_is_raised_and_leaves_nothing_behind() -> None:
    """A programming error is no failure of a task: it comes out of the stream."""

    def crash(request: Request) -> str:
        raise RuntimeError("bug")

    provider = ScriptedProvider(crash)
    with pytest.raises(ExceptionGroup) as caught:
        events_of(plan(task("a"), task("b")), provider)
    assert caught.value.subgroup(RuntimeError)
    assert provider.open == 0


def test_a_consumer_that_leaves_early_leaves_no_task_behind() -> None:
    """Closing the stream in the middle cancels the work and waits for it."""

    async def leave() -> int:
        provider = ScriptedProvider(echo, lambda _: 5.0)
        async with aclosing(run(plan(task("a"), task("b")), provider, {}, stop=Stop())) as batches:
            async for batch in batches:
                if any(isinstance(event, TaskStarted) for event in batch):
                    break
        return len(asyncio.all_tasks()) + provider.open

    assert loop.run(leave(), is_virtual=True) == 1


graphs = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        *[st.sets(st.integers(0, max(0, index - 1)), max_size=3 if index else 0) for index in range(size)]
    )
)


@settings(max_examples=100, deadline=None)
@given(
    graph=graphs,
    jobs=st.integers(1, 4),
    delays=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    bad=st.sets(st.integers(0, 11)),
)
def test_any_graph_ends_every_task_once_and_alike(
    graph: tuple[set[int], ...], jobs: int, delays: list[int], bad: set[int]
) -> None:
    """In any graph with delays and failures each task ends once, after its needs, and alike every time."""
    tasks = [task(f"t{index}", *[f"t{need}" for need in sorted(needs)]) for index, needs in enumerate(graph)]

    def number(request: Request) -> int:
        return int(request.task[1:])

    def once() -> list[Event]:
        provider = ScriptedProvider(
            lambda request: BUSY if number(request) in bad else echo(request),
            lambda request: float(delays[number(request)]),
        )
        return events_of(plan(*tasks, jobs=jobs), provider)

    events = once()
    finished = [event.task for event in events if isinstance(event, TaskFinished)]
    assert sorted(finished) == sorted(entry.id for entry in tasks)
    for entry in tasks:
        if ends(events)[entry.id].status == "completed":
            assert all(finished.index(need) < finished.index(entry.id) for need in entry.needs)
    assert once() == events
