"""The life of a session: restarts, limits, files, faults, and the end of the service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kata_cli.core.errors import KataError
from kata_cli.core.messages import Tool
from kata_cli.providers.mock.scenario import Fault, Scenario
from kata_cli.service.documents import Create, Say, Send
from kata_cli.service.sessions import Sessions
from kata_cli.store.sessions import SessionStore
from service.service_world import LOOK_UP, SLOW, World, begun, body, said, told, types


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_service_that_starts_again_takes_sessions_up(world: World) -> None:
    """They are listed as closed, with their history, and answer the next message from all of it."""
    made: list[str] = []

    async def first(sessions: Sessions) -> None:
        made.append(await begun(sessions, title="Kept", thinking="low"))
        await said(sessions, made[0], "One")

    async def second(sessions: Sessions) -> None:
        (listed,) = sessions.listed().sessions
        assert (listed.id, listed.status, listed.title) == (made[0], "closed", "Kept")
        assert sessions.listed().live == 0
        await said(sessions, made[0], "Two")
        assert sessions.get(made[0]).status == "idle"
        assert len(world.backend.asked[-1].messages) == 3

    world.run(first)
    world.run(second)


def test_an_event_id_of_an_earlier_life_gives_a_reset(world: World) -> None:
    """A client that reconnects after a restart is told to read the history."""
    made: list[str] = []

    async def first(sessions: Sessions) -> None:
        made.append(await begun(sessions))
        made.append((await said(sessions, made[0]))[-1].id)

    async def second(sessions: Sessions) -> None:
        await said(sessions, made[0], "Two")
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
        assert (await said(sessions, session_id, "Two"))[-1].type == "done"

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
        assert (await said(sessions, session_id))[-1].type == "done"

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
        events = await said(sessions, session_id, f"Repeat this: {SECRET}")
        assert all(SECRET.encode() not in event.data for event in events)

    world.run(scene)
    assert all(SECRET not in path.read_text() for path in world.state.rglob("*.jsonl"))


@pytest.mark.parametrize("kind", ["provider_unavailable", "invalid_auth", "empty", "task_failed"])
def test_a_failed_answer_is_told_and_the_session_goes_on(tmp_path: Path, kind: Any) -> None:
    """The error document says what the provider said; the next message is answered."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        events = await said(sessions, session_id)
        assert events[-1].type == "error"
        assert body(events[-1])["error"]["code"] in (kind, "invalid_output")
        assert (await said(sessions, session_id))[-1].type == "done"

    World(tmp_path, Scenario(faults=[Fault(kind=kind, times=3 if kind.startswith("p") else 1)])).run(scene)


def test_a_retry_is_told_and_its_text_does_not_count(tmp_path: Path) -> None:
    """Clients learn that what they were shown is void."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        events = await said(sessions, session_id)
        assert "retry" in types(events)
        assert events[-1].type == "done"

    World(tmp_path, Scenario(faults=[Fault(kind="provider_unavailable")])).run(scene)


def test_a_bug_ends_the_turn_and_not_the_service(tmp_path: Path) -> None:
    """The traceback is kept, the client gets one line, the session answers the next message."""
    world = World(tmp_path, Scenario(faults=[Fault(kind="crash")]))

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        events = await said(sessions, session_id)
        assert body(events[-1])["error"]["code"] == "unexpected_error"
        assert (await said(sessions, session_id))[-1].type == "done"

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
