"""Live sessions: turns, queues, tool calls, branches, limits, restarts, and every way they can end badly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kata_cli.core.errors import KataError
from kata_cli.core.messages import Tool
from kata_cli.providers.mock.scenario import Fault, Scenario
from kata_cli.service.documents import Branch, Choose, Create, Fork, Say, Send, ToolResult
from kata_cli.service.sessions import Sessions
from kata_cli.store.sessions import SessionStore
from service.service_world import World, begun, body, told, types

SLOW = Scenario(latency_ms=1_000, tokens_per_s=10)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def _said(sessions: Sessions, session_id: str, message: str = "What is this?") -> list[Any]:
    return await told(sessions.stream(session_id, Send(message=message), None))


def _roles(sessions: Sessions, session_id: str) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in sessions.history(session_id).messages]


def test_a_turn_is_told_from_the_message_to_done(world: World) -> None:
    """The message, its deltas and the answer come in order, and the deltas add up to the answer."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, title="First")
        events = await _said(sessions, session_id)
        without_deltas = [kind for kind in types(events) if kind != "delta"]
        assert without_deltas == ["session", "message", "session", "message", "session", "done"]
        text = "".join(body(event)["text"] for event in events if event.type == "delta")
        assert text == body(events[-1])["text"] == sessions.history(session_id).messages[1].text
        assert body(events[2])["session"]["status"] == "running"
        assert sessions.get(session_id).status == "idle"
        assert sessions.get(session_id).title == "First"

    world.run(scene)


def test_the_model_is_shown_the_whole_conversation(world: World) -> None:
    """The second request holds both messages and the first answer, and the standing words."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await _said(sessions, session_id, "One")
        await _said(sessions, session_id, "Two")
        request = world.backend.asked[1]
        assert [message.role for message in request.messages] == ["user", "assistant", "user"]
        assert (request.task, request.role, request.system) == (session_id, "chat", "Be brief.")

    world.run(scene)


def test_without_a_title_the_first_message_is_one(world: World) -> None:
    """SE-06: 48 characters of it."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await _said(sessions, session_id, "word " * 30)
        title = sessions.get(session_id).title
        assert title.startswith("word word")
        assert len(title) <= 48

    world.run(scene)


def test_a_second_message_meanwhile_is_refused_as_busy(tmp_path: Path) -> None:
    """RU-16: 409, and the turn under way goes on."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.send(session_id, Send(message="One"))
        with pytest.raises(KataError) as refused:
            await sessions.send(session_id, Send(message="Two"))
        assert (refused.value.failure.code, refused.value.failure.status) == ("busy", 409)
        await told(sessions.stream(session_id, Send(message=""), sessions.get(session_id).last_event_id))
        assert [role for role, _ in _roles(sessions, session_id)] == ["user", "assistant"]

    World(tmp_path, SLOW).run(scene)


def test_a_follow_up_is_a_turn_of_its_own(tmp_path: Path) -> None:
    """It is answered after the turn under way, whose `done` comes first."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.send(session_id, Send(message="One"))
        accepted = await sessions.follow_up(session_id, Say(message="Two"))
        assert accepted.delivery == "follow_up"
        assert sessions.get(session_id).queue.follow_up == ["Two"]
        first = await told(sessions.stream(session_id, Send(message=""), accepted.last_event_id))
        assert first[-1].type == "done"
        await told(sessions.stream(session_id, Send(message=""), first[-1].id))
        said = [text for role, text in _roles(sessions, session_id) if role == "user"]
        assert said == ["One", "Two"]
        assert sessions.get(session_id).queue.follow_up == []

    World(tmp_path, SLOW).run(scene)


def test_steering_is_heard_within_the_turn(tmp_path: Path) -> None:
    """Where the agent cannot be steered at once it hears of it with its next request, before `done`."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        sent = await sessions.send(session_id, Send(message="One"))
        assert (await sessions.steer(session_id, Say(message="Rather this"))).delivery == "steering"
        events = await told(sessions.stream(session_id, Send(message=""), sent.last_event_id))
        assert types(events).count("done") == 1
        queues = [body(event)["session"]["queue"]["steering"] for event in events if event.type == "session"]
        assert queues[-1] == []
        assert queues[queues.index(["Rather this"]) + 1] == []
        assert [role for role, _ in _roles(sessions, session_id)] == ["user", "assistant"] * 2

    World(tmp_path, SLOW).run(scene)


def test_steering_that_comes_too_late_begins_a_turn(tmp_path: Path) -> None:
    """The turn ended while its agent was asked: the message waits for no other one."""
    world = World(tmp_path, SLOW)

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        world.backend.steer_s = 600
        await sessions.send(session_id, Send(message="One"))
        accepted = await sessions.steer(session_id, Say(message="Two"))
        assert accepted.delivery == "now"
        events = await told(sessions.stream(session_id, Send(message=""), accepted.last_event_id))
        assert events[-1].type == "done"
        assert [role for role, _ in _roles(sessions, session_id)] == ["user", "assistant"] * 2

    world.run(scene)


@pytest.mark.parametrize("is_steered", [True, False])
def test_what_is_said_to_an_idle_agent_begins_a_turn(world: World, is_steered: bool) -> None:
    """Nothing waits silently for a turn that may never come."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        after = sessions.get(session_id).last_event_id
        say = sessions.steer if is_steered else sessions.follow_up
        assert (await say(session_id, Say(message="One"))).delivery == "now"
        events = await told(sessions.stream(session_id, Send(message=""), after))
        assert events[-1].type == "done"

    world.run(scene)


def test_an_aborted_answer_is_kept_and_marked(tmp_path: Path) -> None:
    """What had come stays in the tree as broken off, what waited is dropped, the session is idle."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        sent = await sessions.send(session_id, Send(message="One"))
        await sessions.follow_up(session_id, Say(message="Two"))
        await asyncio.sleep(2)
        partial = sessions.history(session_id).partial
        assert partial
        stopped = await sessions.abort(session_id)
        assert (stopped.status, stopped.queue.follow_up) == ("idle", [])
        events = await told(sessions.stream(session_id, Send(message=""), sent.last_event_id))
        assert body(events[-1])["error"]["code"] == "interrupted"
        last = sessions.history(session_id).messages[-1]
        assert (last.role, last.text, last.is_error) == ("assistant", partial, True)
        assert (await sessions.abort(session_id)).status == "idle"

    World(tmp_path, SLOW).run(scene)


def test_a_turn_aborted_before_its_first_step_ends_too(world: World) -> None:
    """The task that was never begun leaves no session that runs for ever."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        sent = await sessions.send(session_id, Send(message="One"))
        assert (await sessions.abort(session_id)).status == "idle"
        events = await told(sessions.stream(session_id, Send(message=""), sent.last_event_id))
        assert events[-1].type == "error"
        assert (await _said(sessions, session_id, "Again"))[-1].type == "done"

    world.run(scene)


LOOK_UP = Tool(name="look_up", parameters={"type": "object"})


def test_a_tool_call_waits_for_its_result(world: World) -> None:
    """The client is told of the call, answers it, and the answer goes on from its result."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, tools=(LOOK_UP,))
        await sessions.send(session_id, Send(message="Please look_up the weather"))
        await asyncio.sleep(1)
        (call,) = sessions.get(session_id).wanted
        assert sessions.history(session_id).partial == ""
        assert call.name == "look_up"
        after = sessions.get(session_id).last_event_id
        sessions.tool_result(session_id, ToolResult(call_id=call.id, output="It rains."))
        events = await told(sessions.stream(session_id, Send(message=""), after))
        assert events[-1].type == "done"
        assert "It rains." in body(events[-1])["text"]
        assert [role for role, _ in _roles(sessions, session_id)] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]

    world.run(scene)


def test_a_tool_result_that_never_comes_is_a_failed_call(tmp_path: Path) -> None:
    """After `tool_s` the model is told so, and the turn ends."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, tools=(LOOK_UP,))
        events = await _said(sessions, session_id, "Please look_up the weather")
        assert events[-1].type == "done"
        result = sessions.history(session_id).messages[2]
        assert (result.role, result.is_error) == ("tool", True)
        assert "within 60 s" in result.text

    World(tmp_path, tool_s=60).run(scene)


def test_a_result_nobody_waits_for_is_refused(world: World) -> None:
    """409, of a live session and of one that is not."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        for _ in range(2):
            with pytest.raises(KataError) as refused:
                sessions.tool_result(session_id, ToolResult(call_id="x", output=""))
            assert refused.value.failure.status == 409
            await sessions.stop(session_id)

    world.run(scene)


def test_a_call_that_was_aborted_has_a_result_in_the_next_request(world: World) -> None:
    """Vendors refuse a conversation in which a call has none."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, tools=(LOOK_UP,))
        await sessions.send(session_id, Send(message="Please look_up the weather"))
        await asyncio.sleep(1)
        await sessions.abort(session_id)
        await _said(sessions, session_id, "Never mind")
        messages = world.backend.asked[-1].messages
        assert [message.role for message in messages] == ["user", "assistant", "tool", "user"]
        assert messages[2].call_id == messages[1].calls[0].id
        assert messages[2].is_error

    world.run(scene)


def test_fork_branch_and_tree(world: World) -> None:
    """SE-13: a fork takes the path along and leaves its source; a branch leaves the other standing."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, thinking="low")
        await _said(sessions, session_id, "One")
        first = sessions.history(session_id).messages[-1].entry
        await _said(sessions, session_id, "Two")
        fork = sessions.fork(session_id, Fork(entry=first, title="Other way"))
        assert (fork.title, fork.messages, fork.status, fork.thinking) == ("Other way", 2, "closed", "low")
        await _said(sessions, fork.id, "Three")
        branched = await sessions.branch(session_id, Branch(entry=first))
        assert branched.head == first
        await _said(sessions, session_id, "Four")
        users = [text for role, text in _roles(sessions, session_id) if role == "user"]
        assert users == ["One", "Four"]
        parents = [place.parent for place in sessions.tree(session_id).places]
        assert parents.count(first) == 2
        with pytest.raises(KataError):
            await sessions.branch(session_id, Branch(entry="e99"))

    world.run(scene)


def test_compaction_stands_for_what_came_before(world: World) -> None:
    """SE-14: the summary is told, the history begins with it, a second one finds nothing new."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await _said(sessions, session_id, "One")
        after = sessions.get(session_id).last_event_id
        await sessions.compact(session_id)
        await asyncio.sleep(1)
        live = sessions.pool.get(session_id)
        assert live is not None
        kinds = [kind async for kind in _kinds_until_idle(sessions, session_id, after)]
        assert "compaction" in kinds
        assert [message.role for message in sessions.history(session_id).messages] == ["summary"]
        await _said(sessions, session_id, "Two")
        assert [message.text for message in world.backend.asked[-1].messages] == ["Two"]
        assert sessions.get(session_id).status == "idle"

    world.run(scene)


@pytest.mark.parametrize("is_steered", [True, False])
def test_what_is_said_during_a_compaction_is_answered_after_it(world: World, is_steered: bool) -> None:
    """It waits for no turn that never comes."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await _said(sessions, session_id, "One")
        after = (await sessions.compact(session_id)).last_event_id
        say = sessions.steer if is_steered else sessions.follow_up
        await say(session_id, Say(message="Two"))
        events = await told(sessions.stream(session_id, Send(message=""), after))
        assert events[-1].type == "done"
        assert [role for role, _ in _roles(sessions, session_id)] == ["summary", "user", "assistant"]
        assert sessions.get(session_id).queue.steering == []

    world.run(scene)


async def _kinds_until_idle(sessions: Sessions, session_id: str, after: str) -> Any:
    async for batch in await sessions.follow(session_id, after):
        for logged in batch:
            yield logged.type
        if not sessions.pool.running:
            return


def test_settings_change_from_the_next_request_on(world: World) -> None:
    """Model, thinking and title; what is not named stays."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, title="One", thinking="low")
        changed = await sessions.choose(session_id, Choose(model="openai/other"))
        assert (changed.model, changed.thinking, changed.title) == ("mock/openai/other", "low", "One")
        await _said(sessions, session_id)
        assert str(world.backend.asked[-1].model) == "mock/openai/other"
        assert world.backend.asked[-1].thinking == "low"

    world.run(scene)


def test_a_service_that_starts_again_takes_sessions_up(world: World) -> None:
    """They are listed as closed, with their history, and answer the next message from all of it."""
    made: list[str] = []

    async def first(sessions: Sessions) -> None:
        made.append(await begun(sessions, title="Kept", thinking="low"))
        await _said(sessions, made[0], "One")

    async def second(sessions: Sessions) -> None:
        (listed,) = sessions.listed().sessions
        assert (listed.id, listed.status, listed.title) == (made[0], "closed", "Kept")
        assert sessions.listed().live == 0
        await _said(sessions, made[0], "Two")
        assert sessions.get(made[0]).status == "idle"
        assert len(world.backend.asked[-1].messages) == 3

    world.run(first)
    world.run(second)


def test_an_event_id_of_an_earlier_life_gives_a_reset(world: World) -> None:
    """A client that reconnects after a restart is told to read the history."""
    made: list[str] = []

    async def first(sessions: Sessions) -> None:
        made.append(await begun(sessions))
        made.append((await _said(sessions, made[0]))[-1].id)

    async def second(sessions: Sessions) -> None:
        await _said(sessions, made[0], "Two")
        async for batch in await sessions.follow(made[0], made[1]):
            assert types(batch) == ["reset"]
            assert batch[0].id == sessions.get(made[0]).last_event_id
            break

    world.run(first)
    world.run(second)


def test_stop_is_idempotent_and_the_session_can_be_taken_up(tmp_path: Path) -> None:
    """SE-11: it ends the turn, says goodbye, frees the file; the next message opens it again."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        sent = await sessions.send(session_id, Send(message="One"))
        watching = asyncio.create_task(told(sessions.follow(session_id, sent.last_event_id)))
        await asyncio.sleep(0)
        for _ in range(2):
            assert (await sessions.stop(session_id)).status == "closed"
        assert types(await watching)[-2:] == ["error", "bye"]
        assert sessions.pool.live == 0
        assert (await _said(sessions, session_id, "Two"))[-1].type == "done"

    World(tmp_path, SLOW).run(scene)


def test_an_idle_session_is_closed_and_one_at_work_is_not(tmp_path: Path) -> None:
    """RU-17: idle time counts from the last message or answer."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await asyncio.sleep(9)
        await sessions.send(session_id, Send(message="One"))
        await asyncio.sleep(9)
        assert sessions.get(session_id).status == "idle"
        await asyncio.sleep(11)
        assert sessions.get(session_id).status == "closed"

    World(tmp_path, Scenario(latency_ms=8_000), idle_s=10).run(scene)


def test_a_session_that_is_too_old_is_closed_at_work(tmp_path: Path) -> None:
    """The turn under way ends as interrupted."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.send(session_id, Send(message="One"))
        events = await told(sessions.follow(session_id, sessions.get(session_id).last_event_id))
        assert types(events)[-2:] == ["error", "bye"]
        assert body(events[-2])["error"]["code"] == "provider_unavailable"
        assert sessions.get(session_id).status == "closed"

    World(tmp_path, Scenario(latency_ms=60_000), lifetime_s=30).run(scene)


def test_beyond_the_most_sessions_one_must_wait(tmp_path: Path) -> None:
    """RU-18: 429 says when there may be room; a stopped session makes some at once."""

    async def scene(sessions: Sessions) -> None:
        first = await begun(sessions)
        await asyncio.sleep(4)
        await begun(sessions)
        with pytest.raises(KataError) as refused:
            await begun(sessions)
        assert (refused.value.failure.status, refused.value.failure.retry_after_s) == (429, 6.0)
        await sessions.stop(first)
        await begun(sessions)
        with pytest.raises(KataError):
            await sessions.send(first, Send(message="One"))

    World(tmp_path, max_sessions=2, idle_s=10).run(scene)


def test_a_session_in_use_elsewhere_is_not_taken_up(world: World) -> None:
    """T4: another process that has the session open is named."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.stop(session_id)
        with SessionStore(world.state).open(session_id), pytest.raises(KataError) as refused:
            await sessions.send(session_id, Send(message="One"))
        assert "in use by process" in refused.value.failure.message
        assert refused.value.failure.status == 409
        assert (await _said(sessions, session_id))[-1].type == "done"

    world.run(scene)


@pytest.mark.parametrize("name", ["s-20270115-080000-999999", "", "../x", "s-x", "\0"])
def test_an_unknown_session_is_not_found(world: World, name: str) -> None:
    """404, whatever is asked of it."""

    async def scene(sessions: Sessions) -> None:
        for ask in (sessions.get, sessions.history, sessions.tree):
            with pytest.raises(KataError) as refused:
                ask(name)
            assert refused.value.failure.status == 404
        with pytest.raises(KataError):
            await sessions.stop(name)

    world.run(scene)


def test_sessions_of_other_workspaces_are_not_there(tmp_path: Path) -> None:
    """One store may serve many workspaces; each service sees its own."""
    world = World(tmp_path)
    made: list[str] = []

    async def first(sessions: Sessions) -> None:
        made.append(await begun(sessions))

    async def second(sessions: Sessions) -> None:
        assert sessions.listed().sessions == []
        with pytest.raises(KataError):
            sessions.get(made[0])

    world.run(first)
    world.workspace = tmp_path / "other"
    world.workspace.mkdir()
    world.run(second)


SECRET = "sk-ant-api03-" + "a1B2" * 24


def test_s1_no_secret_reaches_the_tree_or_the_events(world: World) -> None:
    """Neither one that a client sends nor one that the model repeats."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, title=f"My {SECRET}", tools=(LOOK_UP,))
        events = await _said(sessions, session_id, f"Repeat this: {SECRET}")
        assert all(SECRET.encode() not in event.data for event in events)

    world.run(scene)
    assert all(SECRET not in path.read_text() for path in world.state.rglob("*.jsonl"))


@pytest.mark.parametrize("kind", ["provider_unavailable", "invalid_auth", "empty", "task_failed"])
def test_a_failed_answer_is_told_and_the_session_goes_on(tmp_path: Path, kind: Any) -> None:
    """The error document says what the provider said; the next message is answered."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        events = await _said(sessions, session_id)
        assert events[-1].type == "error"
        assert body(events[-1])["error"]["code"] in (kind, "invalid_output")
        assert (await _said(sessions, session_id))[-1].type == "done"

    World(tmp_path, Scenario(faults=[Fault(kind=kind, times=3 if kind.startswith("p") else 1)])).run(scene)


def test_a_retry_is_told_and_its_text_does_not_count(tmp_path: Path) -> None:
    """Clients learn that what they were shown is void."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        events = await _said(sessions, session_id)
        assert "retry" in types(events)
        assert events[-1].type == "done"

    World(tmp_path, Scenario(faults=[Fault(kind="provider_unavailable")])).run(scene)


def test_a_bug_ends_the_turn_and_not_the_service(tmp_path: Path) -> None:
    """The traceback is kept, the client gets one line, the session answers the next message."""
    world = World(tmp_path, Scenario(faults=[Fault(kind="crash")]))

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        events = await _said(sessions, session_id)
        assert body(events[-1])["error"]["code"] == "unexpected_error"
        assert (await _said(sessions, session_id))[-1].type == "done"

    world.run(scene)
    assert [type(error) for error in world.bugs] == [RuntimeError]


def test_an_empty_message_is_refused(world: World) -> None:
    """RU-13, however it is sent."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        for ask in (
            sessions.send(session_id, Send(message=" \n")),
            sessions.steer(session_id, Say(message="")),
            sessions.follow_up(session_id, Say(message="")),
        ):
            with pytest.raises(KataError) as refused:
                await ask
            assert refused.value.failure.status == 400

    world.run(scene)


def test_files_go_with_a_message(world: World) -> None:
    """Fenced, by the name that the client gave; one that cannot be read refuses the whole message."""
    (world.workspace / "sub").mkdir()
    (world.workspace / "sub" / "notes.md").write_text("# Notes\n")
    (world.workspace / "sub" / "prod.env").write_text("TOKEN=1\n")

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, directory="sub")
        await told(sessions.stream(session_id, Send(message="Read", files=("notes.md",)), None))
        assert '<file path="notes.md">\n# Notes\n</file>' in world.backend.asked[-1].messages[0].text
        for name in ("prod.env", "absent", "../sub/notes.md"):
            with pytest.raises(KataError):
                await sessions.send(session_id, Send(message="Read", files=(name,)))
        assert sessions.get(session_id).messages == 2

    world.run(scene)


@pytest.mark.parametrize(
    "tools",
    [
        (Tool(name=""),),
        (Tool(name="a b"),),
        (Tool(name="x" * 65),),
        (Tool(name="a"), Tool(name="a")),
        (Tool(name="a", parameters={"type": "string"}),),
        tuple(Tool(name=f"t{number}") for number in range(129)),
    ],
)
def test_tools_that_no_vendor_takes_are_refused(world: World, tools: tuple[Tool, ...]) -> None:
    """At once, and not by the vendor in the middle of a turn."""

    async def scene(sessions: Sessions) -> None:
        with pytest.raises(KataError) as refused:
            await sessions.create(Create(tools=tools))
        assert refused.value.failure.status == 400

    world.run(scene)


def test_create_refuses_a_directory_outside(world: World) -> None:
    """And leaves no session behind."""

    async def scene(sessions: Sessions) -> None:
        for name in ("..", "/etc", "absent"):
            with pytest.raises(KataError):
                await sessions.create(Create(directory=name))
        assert sessions.listed().sessions == []

    world.run(scene)


def test_a_service_that_stops_says_goodbye_and_takes_no_more(tmp_path: Path) -> None:
    """H8: every stream ends with `bye`, also in the middle of a turn."""

    async def scene(sessions: Sessions) -> None:
        ids = [await begun(sessions) for _ in range(8)]
        watching = [
            asyncio.create_task(told(sessions.stream(name, Send(message="One"), None))) for name in ids
        ]
        await asyncio.sleep(2)
        await sessions.aclose()
        ends = [types(events)[-1] for events in await asyncio.gather(*watching)]
        assert set(ends) <= {"error", "bye"}
        with pytest.raises(KataError) as refused:
            await sessions.create(Create())
        assert refused.value.failure.status == 503

    World(tmp_path, SLOW).run(scene)
