"""Pi as a provider: each request is one run of an agent that may read the workspace with its own tools.

Pi's protocol takes neither a temperature nor a bound of the answer: one is refused, the other is Pi's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from kata_cli.core.events import Event
from kata_cli.core.messages import ModelInfo, Reply, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi import binary as binaries
from kata_cli.pi import home, start
from kata_cli.pi.agent import Agent
from kata_cli.pi.binary import Version
from kata_cli.pi.options import PiOptions, Purpose
from kata_cli.pi.pool import Pool
from kata_cli.pi.prompt import prompt_text
from kata_cli.pi.turn import Turn
from kata_cli.pi.wire import Model
from kata_cli.providers.pi_run import Run

ALL_KEYS = Purpose("")


class PiProvider:
    """Answers requests through a pool of Pi processes. A model is Pi's own `provider/id`."""

    def __init__(self, options: PiOptions, timeouts: Timeouts) -> None:
        self._options = options
        self._timeouts = timeouts
        self._pool = Pool(self._start, options.max_instances)
        self._binary: Path | None = None
        self._version: asyncio.Task[Version] | None = None

    @property
    def warnings(self) -> list[str]:
        """What came from Pi and was no record of its protocol."""
        return self._pool.warnings

    def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """The run's thinking and tool calls as they come, then the text of its last message, then the end."""
        return Run(_Single(self._pool), request, self._timeouts).events()

    async def models(self) -> list[ModelInfo]:
        """What Pi itself reports for the keys and the login it has, sorted. Raises `KataError`."""
        agent = await self._pool.acquire(ALL_KEYS)
        try:
            found = await agent.models()
        finally:
            await self._pool.release(agent, is_reusable=False)
        return sorted(map(_info, *zip(*found, strict=True)), key=_order) if found else []

    async def aclose(self) -> None:
        await self._pool.aclose()
        if self._version is not None:
            self._version.cancel()
            await asyncio.gather(self._version, return_exceptions=True)

    async def _start(self, purpose: Purpose) -> Agent:
        options = self._options
        if self._binary is None or self._version is None:
            self._binary = binaries.find(options.binary, options.environ.get("PATH", ""), options.cwd)
            asking = binaries.version_of(self._binary, home.environment(options), options.start_s)
            self._version = asyncio.create_task(asking)
        return await start.start(self._binary, self._version, purpose, options)


class _Single:
    """Each request gets a session of its own, in any agent that has the key of its provider."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def acquire(self, request: Request) -> Agent:
        return await self._pool.acquire(Purpose(request.model.provider))

    async def begin(self, agent: Agent, request: Request) -> tuple[Turn, str]:
        thinking = await agent.prepare(request.model, request.thinking)
        return await agent.prompt(prompt_text(request), request.task), thinking

    async def release(self, agent: Agent, request: Request, turn: Turn | None, reply: Reply | None) -> None:
        is_reusable = turn is not None and turn.is_over and agent.is_alive
        if is_reusable:
            agent.renew()
        await self._pool.release(agent, is_reusable=is_reusable)


def _info(model: Model, levels: list[str]) -> ModelInfo:
    return ModelInfo(
        provider=model.provider,
        id=model.id,
        name=model.name,
        context_window=model.context_window,
        max_output_tokens=model.max_tokens,
        thinking=levels,
    )


def _order(info: ModelInfo) -> tuple[str, str]:
    return info.provider, info.id
