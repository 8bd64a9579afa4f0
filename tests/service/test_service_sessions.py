"""Live sessions: turns, queues, tool calls, branches, limits, restarts, and every way they can end badly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kata_cli.core.errors import KataError
from kata_cli.service.documents import Branch, Choose, Fork, Say, Send, ToolResult
from kata_cli.service.sessions import Sessions
from service.service_world import LOOK_UP, SLOW, World, begun, body, roles, said, told, types


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_turn_is_told_from_the_message_to_done(world: World) -> None:
    """The message, its deltas and the answer come in order, and the deltas add up to the answer."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, title="First")
        events = await said(sessions, session_id)
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
        await said(sessions, session_id, "One")
        await said(sessions, session_id, "Two")
        request = world.backend.asked[1]
        assert [message.role for message in request.messages] == ["user", "assistant", "user"]
        assert (request.task, request.role, request.system) == (session_id, "chat", "Be brief.")

    world.run(scene)


def test_without_a_title_the_first_message_is_one(world: World) -> None:
    """SE-06: 48 characters of it."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await said(sessions, session_id, "word " * 30)
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
        assert [role for role, _ in roles(sessions, session_id)] == ["user", "assistant"]

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
        said = [text for role, text in roles(sessions, session_id) if role == "user"]
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
        assert [role for role, _ in roles(sessions, session_id)] == ["user", "assistant"] * 2

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
        assert [role for role, _ in roles(sessions, session_id)] == ["user", "assistant"] * 2

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
        assert (await said(sessions, session_id, "Again"))[-1].type == "done"

    world.run(scene)


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
        assert [role for role, _ in roles(sessions, session_id)] == [
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
        events = await said(sessions, session_id, "Please look_up the weather")
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
        await said(sessions, session_id, "Never mind")
        messages = world.backend.asked[-1].messages
        assert [message.role for message in messages] == ["user", "assistant", "tool", "user"]
        assert messages[2].call_id == messages[1].calls[0].id
        assert messages[2].is_error

    world.run(scene)


def test_fork_branch_and_tree(world: World) -> None:
    """SE-13: a fork takes the path along and leaves its source; a branch leaves the other standing."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions, thinking="low")
        await said(sessions, session_id, "One")
        first = sessions.history(session_id).messages[-1].entry
        await said(sessions, session_id, "Two")
        fork = sessions.fork(session_id, Fork(entry=first, title="Other way"))
        assert (fork.title, fork.messages, fork.status, fork.thinking) == ("Other way", 2, "closed", "low")
        await said(sessions, fork.id, "Three")
        branched = await sessions.branch(session_id, Branch(entry=first))
        assert branched.head == first
        await said(sessions, session_id, "Four")
        users = [text for role, text in roles(sessions, session_id) if role == "user"]
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
        await said(sessions, session_id, "One")
        after = sessions.get(session_id).last_event_id
        await sessions.compact(session_id)
        await asyncio.sleep(1)
        live = sessions.pool.get(session_id)
        assert live is not None
        kinds = [kind async for kind in _kinds_until_idle(sessions, session_id, after)]
        assert "compaction" in kinds
        assert [message.role for message in sessions.history(session_id).messages] == ["summary"]
        await said(sessions, session_id, "Two")
        assert [message.text for message in world.backend.asked[-1].messages] == ["Two"]
        assert sessions.get(session_id).status == "idle"

    world.run(scene)


@pytest.mark.parametrize("is_steered", [True, False])
def test_what_is_said_during_a_compaction_is_answered_after_it(world: World, is_steered: bool) -> None:
    """It waits for no turn that never comes."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await said(sessions, session_id, "One")
        after = (await sessions.compact(session_id)).last_event_id
        say = sessions.steer if is_steered else sessions.follow_up
        await say(session_id, Say(message="Two"))
        events = await told(sessions.stream(session_id, Send(message=""), after))
        assert events[-1].type == "done"
        assert [role for role, _ in roles(sessions, session_id)] == ["summary", "user", "assistant"]
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
        await said(sessions, session_id)
        assert str(world.backend.asked[-1].model) == "mock/openai/other"
        assert world.backend.asked[-1].thinking == "low"

    world.run(scene)
