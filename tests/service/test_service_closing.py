"""Sessions that are closed while they are asked for, and how much may wait in one or come with a message."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kata_cli.core.errors import KataError
from kata_cli.providers.mock.scenario import Scenario
from kata_cli.service.documents import Branch, Choose, Say, Send
from kata_cli.service.sessions import MAX_FILES, Sessions
from service.service_world import World, begun, body, told, types

SLOW = Scenario(latency_ms=1_000, tokens_per_s=10)
MIB = 1024 * 1024

Ask = Callable[[Sessions, str], Coroutine[Any, Any, Any]]
ASKED: dict[str, Ask] = {
    "send": lambda sessions, name: sessions.send(name, Send(message="Two")),
    "steer": lambda sessions, name: sessions.steer(name, Say(message="Two")),
    "follow-up": lambda sessions, name: sessions.follow_up(name, Say(message="Two")),
    "choose": lambda sessions, name: sessions.choose(name, Choose(title="Two")),
    "branch": lambda sessions, name: sessions.branch(name, Branch(entry=None)),
    "compact": lambda sessions, name: sessions.compact(name),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_f95_a_session_that_is_being_closed_is_waited_for_and_opened_anew(tmp_path: Path, ask: Ask) -> None:
    """Two stops in the middle of a turn: whoever asks for the session next gets it, not its own lock."""
    world = World(tmp_path, SLOW)

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.send(session_id, Send(message="One"))
        await asyncio.sleep(2)
        await asyncio.gather(sessions.stop(session_id), sessions.stop(session_id), ask(sessions, session_id))
        live = sessions.pool.get(session_id)
        assert live is not None
        assert sessions.get(session_id).status in ("idle", "running")
        assert sessions.pool.live == 1

    world.run(scene)
    assert world.bugs == []


def test_a_stop_that_waits_does_not_forget_the_session_opened_after_it(tmp_path: Path) -> None:
    """Of several stops and a message in any order, the session stays known for as long as it is live."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        for _ in range(5):
            asked = [sessions.stop(session_id) for _ in range(3)]
            await asyncio.gather(*asked, sessions.send(session_id, Send(message="One")))
            await sessions.abort(session_id)
        await sessions.stop(session_id)
        assert sessions.pool.live == 0
        assert (await sessions.send(session_id, Send(message="Last"))).delivery == "now"

    World(tmp_path, SLOW).run(scene)


def test_an_abort_that_comes_late_leaves_the_next_turn_alone(tmp_path: Path) -> None:
    """Several aborts end one turn; a message right behind them is answered."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.send(session_id, Send(message="One"))
        await asyncio.sleep(1.5)
        aborts = [asyncio.create_task(sessions.abort(session_id)) for _ in range(3)]
        live = sessions.pool.get(session_id)
        assert live is not None
        while live.is_running:  # noqa: ASYNC110 - the very step after the turn has ended is wanted
            await asyncio.sleep(0)
        events = await told(sessions.stream(session_id, Send(message="Two"), None))
        await asyncio.gather(*aborts)
        assert types(events).count("done") == 1
        assert types(events)[-1] == "done"

    World(tmp_path, SLOW).run(scene)


@pytest.mark.parametrize("ask", [ASKED["steer"], ASKED["follow-up"]], ids=["steer", "follow-up"])
def test_what_waits_in_a_session_is_bounded(tmp_path: Path, ask: Ask) -> None:
    """H5: each `session` event carries it, so it may be neither many messages nor one MiB in all."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.send(session_id, Send(message="One"))
        await sessions.steer(session_id, Say(message="x" * (MIB - 10)))
        with pytest.raises(KataError, match="no room") as refused:
            await sessions.steer(session_id, Say(message="x" * 11))
        assert refused.value.failure.status == 409
        await sessions.abort(session_id)
        await sessions.send(session_id, Send(message="One"))
        for _ in range(32):
            await ask(sessions, session_id)
        with pytest.raises(KataError, match="no room"):
            await ask(sessions, session_id)
        await sessions.abort(session_id)

    World(tmp_path, SLOW).run(scene)


@pytest.mark.parametrize(
    ("files", "status"),
    [(["part.txt"] * 3, 413), (["small.txt"] * (MAX_FILES + 1), 400)],
    ids=["bytes", "many"],
)
def test_a_message_with_its_files_is_bounded(tmp_path: Path, files: list[str], status: int) -> None:
    """Naming a file again and again makes no message that the service, or a later start, cannot hold."""
    world = World(tmp_path)
    (world.workspace / "part.txt").write_text("x" * MIB)
    (world.workspace / "small.txt").write_text("x")

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        with pytest.raises(KataError) as refused:
            await sessions.send(session_id, Send(message="Look", files=tuple(files)))
        assert refused.value.failure.status == status
        assert sessions.history(session_id).messages == []

    world.run(scene)


def test_a_long_message_and_its_answer_come_without_a_reset(tmp_path: Path) -> None:
    """A client that reads at once sees the whole turn, whatever length a request allows."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        events = await told(sessions.stream(session_id, Send(message="x" * MIB), None))
        assert "reset" not in types(events)
        assert body(events[1])["message"]["text"] == "x" * MIB

    World(tmp_path).run(scene)


class FullDisk:
    """The file system of this machine, which refuses to write while it `is_full`."""

    def __init__(self) -> None:
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, fd: int, data: bytes) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_t3_a_session_works_again_once_the_disk_has_room(tmp_path: Path, ask: Ask) -> None:
    """F01: whatever it was that could not be kept, the next request opens the file anew."""
    world, disk = World(tmp_path), FullDisk()
    world.fs = disk

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        assert (await told(sessions.stream(session_id, Send(message="One"), None)))[-1].type == "done"
        disk.is_full = True
        with suppress(KataError):
            await ask(sessions, session_id)
        await asyncio.sleep(1)
        disk.is_full = False
        assert (await told(sessions.stream(session_id, Send(message="Three"), None)))[-1].type == "done"
        texts = [message.text for message in sessions.history(session_id).messages if message.role == "user"]
        assert (texts[0], texts[-1]) == ("One", "Three")

    world.run(scene)
    assert world.bugs == []
