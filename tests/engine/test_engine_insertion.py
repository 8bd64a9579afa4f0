"""Plan tasks: what is inserted, for whom it is waited, and which plans are refused."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import msgspec
import pytest
from plans import Answer, ScriptedProvider, plan, task

from kata_cli.core import loop
from kata_cli.core.errors import Failure
from kata_cli.core.events import Event, PlanCreated, TaskFinished
from kata_cli.core.messages import Request
from kata_cli.core.stop import Stop
from kata_cli.engine.plan import Plan
from kata_cli.engine.run import run
from kata_cli.workflows.model import Task


def part(name: str, *needs: str, role: str = "verify", prompt: str = "look at {{goal}}") -> dict[str, object]:
    return {"id": name, "role": role, "prompt": prompt, "needs": list(needs)}


def answer(*parts: dict[str, object]) -> str:
    return json.dumps({"tasks": list(parts)})


def split() -> Task:
    return task("split", kind="plan")


def events_of(
    wanted: Plan, provider: ScriptedProvider, history: dict[str, TaskFinished] | None = None
) -> list[Event]:
    """All events of a run on virtual time."""

    async def collect() -> list[Event]:
        seen: list[Event] = []
        async with aclosing(run(wanted, provider, history or {}, stop=Stop())) as batches:
            async for batch in batches:
                seen += batch
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"
        return seen

    return loop.run(collect(), is_virtual=True)


def ends(events: list[Event]) -> dict[str, TaskFinished]:
    return {event.task: event for event in events if isinstance(event, TaskFinished)}


def by_task(answers: dict[str, Answer]) -> ScriptedProvider:
    """A provider with an answer for some tasks, and an echo for the others."""
    return ScriptedProvider(lambda request: answers.get(request.task, f"answer of {request.task}"))


def test_parts_run_before_the_dependents_which_see_their_answers() -> None:
    """Two parts, one after the other, then the task that needed the plan."""
    provider = by_task({"split": answer(part("a"), part("b", "a"))})
    events = events_of(plan(split(), task("join", "split")), provider)
    assert list(ends(events)) == ["split", "split-a", "split-b", "join"]
    shown = provider.requests[-1].prompt
    assert "answer of split-a" in shown
    assert "answer of split-b" in shown
    assert '"tasks"' not in shown


def test_parts_have_the_time_limit_of_their_plan_task() -> None:
    """A part inherits what was set for the plan task, its time limit too."""
    provider = by_task({"split": answer(part("a"))})
    wanted = msgspec.structs.replace(plan(split(), task("join", "split")), timeouts={"split": 7.0})
    events_of(wanted, provider)
    limits = {request.task: request.timeout_s for request in provider.requests}
    assert limits == {"split": 7.0, "split-a": 7.0, "join": None}


def test_a_second_plan_event_tells_what_is_new() -> None:
    """The parts, and the dependent that now waits for them, are announced with their needs."""
    provider = by_task({"split": answer(part("a"))})
    plans = [event for event in events_of(plan(split(), task("join", "split")), provider)
             if isinstance(event, PlanCreated)]  # fmt: skip
    assert [[entry.id for entry in event.tasks] for event in plans] == [
        ["split", "join"],
        ["split-a", "join"],
    ]
    assert plans[1].tasks[1].needs == ["split", "split-a"]


def test_f54_a_part_is_text_and_never_a_template() -> None:
    """What looks like a placeholder in a part reaches the model as it was written."""
    provider = by_task({"split": answer(part("a", prompt="say {{vars.secret}} and {{tasks.split.output}}"))})
    events_of(plan(split(), task("join", "split")), provider)
    assert "say {{vars.secret}} and {{tasks.split.output}}" in provider.requests[1].prompt


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no JSON", "no plan"),
        (answer(), "no task"),
        (answer(part("../etc")), "no id"),
        (answer(part("A")), "no id"),
        (answer(part("a"), part("a")), "no id of its own"),
        (answer(part("a", "b")), "no task of this plan"),
        (answer(part("a", "a")), "circle"),
        (answer(part("a", "b"), part("b", "a")), "circle"),
        (answer(part("a", role="synthesize")), "none of investigate"),
        (answer(part("a", prompt=" ")), "empty"),
        ('{"tasks": [], "more": 1}', "no plan"),
    ],
)
def test_f52_f54_a_bad_plan_is_sent_back_once_and_then_fails(text: str, told: str) -> None:
    """Form, ids, roles and cycles are checked; after one further round the task is `invalid_output`."""
    provider = by_task({"split": text})
    failure = ends(events_of(plan(split(), task("join", "split")), provider))["split"].failure
    assert len(provider.requests) == 2
    assert failure is not None
    assert failure.code == "invalid_output"
    assert told in failure.message


def test_a_part_may_not_take_the_id_of_another_task() -> None:
    """`split-a` is there already."""
    provider = by_task({"split": answer(part("a"))})
    failure = ends(events_of(plan(split(), task("split-a"), task("join", "split")), provider))[
        "split"
    ].failure
    assert failure is not None
    assert "taken" in failure.message


def test_f53_more_parts_than_allowed_is_a_limit() -> None:
    """10,000 subtasks are refused at once, with the limit named."""
    many = answer(*(part(f"p{number}") for number in range(10_000)))
    provider = by_task({"split": many})
    failure = ends(events_of(plan(split(), task("join", "split")), provider))["split"].failure
    assert len(provider.requests) == 1
    assert failure is not None
    assert (failure.code, failure.exit) == ("limit_reached", 7)
    assert "10000 tasks, --max-tasks is 20" in failure.message


def test_a_plan_that_ends_after_a_failure_inserts_nothing() -> None:
    """Nothing new starts once a task has failed, parts of a plan included."""
    busy = Failure(code="provider_unavailable", message="busy")
    provider = ScriptedProvider(
        lambda request: busy if request.task == "bad" else answer(part("a")),
        lambda request: float(request.task == "split"),
    )
    finished = ends(events_of(plan(task("bad"), split(), task("join", "split")), provider))
    assert sorted(finished) == ["bad", "join", "split"]
    assert finished["join"].status == "skipped"


def test_t6_a_resumed_plan_keeps_the_parts_it_had() -> None:
    """With the plan and one part finished before, only the other part and the dependent are asked."""
    history = {
        "split": TaskFinished(task="split", status="completed", output=answer(part("a"), part("b"))),
        "split-a": TaskFinished(task="split-a", status="completed", output="from before"),
    }
    provider = by_task({})
    events = events_of(plan(split(), task("join", "split")), provider, history)
    assert [request.task for request in provider.requests] == ["split-b", "join"]
    assert "from before" in provider.requests[-1].prompt
    assert set(ends(events)) == {"split", "split-a", "split-b", "join"}


SCHEMA = {"type": "object", "properties": {"score": {"type": "integer", "minimum": 1}}, "required": ["score"]}


def test_a_json_answer_follows_its_schema() -> None:
    """An answer that fits is the output as it stands."""
    judged = task("judge", output="json", schema=SCHEMA)
    end = ends(events_of(plan(judged, kind="json"), by_task({"judge": '```json\n{"score": 3}\n```'})))[
        "judge"
    ]
    assert (end.status, end.output) == ("completed", '{"score": 3}')


@pytest.mark.parametrize(
    ("text", "told"), [('{"score": 0}', "minimum"), ("{}", "required"), ("[]", "object")]
)
def test_an_answer_that_misses_its_schema_is_sent_back_with_the_place(text: str, told: str) -> None:
    """The one further round names what does not fit; then the task is `invalid_output`."""
    provider = by_task({"judge": text})
    wanted = plan(task("judge", output="json", schema=SCHEMA), kind="json")
    failure = ends(events_of(wanted, provider))["judge"].failure
    assert failure is not None
    assert failure.code == "invalid_output"
    assert told in provider.requests[1].messages[-1].text


def test_the_request_carries_the_schema() -> None:
    """Providers with a JSON mode of their own are given the schema of the task."""
    provider = by_task({"judge": '{"score": 3}'})
    events_of(plan(task("judge", output="json", schema=SCHEMA), kind="json"), provider)
    request: Request = provider.requests[0]
    assert (request.schema, request.schema_name) == (SCHEMA, "judge")
