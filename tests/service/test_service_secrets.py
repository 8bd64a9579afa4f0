"""Keys that clients put where none belongs: they are told to nobody, and kept nowhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kata_cli.core.messages import Tool
from kata_cli.providers.mock.scenario import Scenario
from kata_cli.service import rpc
from kata_cli.service.documents import Choose, Create, Say, Send
from kata_cli.service.sessions import Sessions
from service.service_world import World, begun

CANARY = "canary-4711-a-key-that-nobody-may-see"
SLOW = Scenario(latency_ms=1_000, tokens_per_s=10)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, SLOW)
    made.redactor.learn(CANARY)
    return made


def _kept(world: World) -> bytes:
    return b"".join(path.read_bytes() for path in world.state.rglob("*") if path.is_file())


def test_s1_what_waits_in_a_session_is_told_without_secrets(world: World) -> None:
    """Each client of a session sees its queue, not only the one that filled it."""

    async def scene(sessions: Sessions) -> None:
        session_id = await begun(sessions)
        await sessions.send(session_id, Send(message="One"))
        await sessions.steer(session_id, Say(message=f"use {CANARY}"))
        await sessions.follow_up(session_id, Say(message=f"or {CANARY}"))
        queue = sessions.get(session_id).queue
        assert len([*queue.steering, *queue.follow_up]) == 2
        assert CANARY not in repr(queue)
        await asyncio.sleep(60)

    world.run(scene)
    assert CANARY.encode() not in _kept(world)


def test_s1_a_key_in_the_settings_of_a_session_is_not_kept(world: World) -> None:
    """Where a provider takes any name as a model, and tools any words, a key would stand in the file."""
    tool = Tool(name="look_up", description=f"asks with {CANARY}", parameters={"type": "object"})

    async def scene(sessions: Sessions) -> None:
        made = await sessions.create(Create(model=f"openai/{CANARY}", tools=(tool,)))
        chosen = await sessions.choose(made.id, Choose(model=f"openai/{CANARY}"))
        await sessions.stop(made.id)
        assert CANARY not in repr([chosen, sessions.get(made.id)])

    world.run(scene)
    assert CANARY.encode() not in _kept(world)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        (CANARY, {}),
        ("sessions.get", {"session": CANARY}),
        ("sessions.create", {"directory": CANARY}),
        ("sessions.create", {CANARY: 1}),
    ],
)
def test_s1_a_refusal_does_not_repeat_a_key(world: World, method: str, params: dict[str, Any]) -> None:
    """What a client has named wrongly is shown to it, but for secrets."""

    async def scene(sessions: Sessions) -> bytes | None:
        call = rpc.Call(jsonrpc="2.0", method=method, params=params, id=1)
        return await rpc.answer(call, rpc.perform(call, sessions), sessions.place)

    answer = world.run(scene)
    assert answer is not None
    assert b'"error"' in answer
    assert CANARY.encode() not in answer
