"""Pi behind a service of live sessions: each request is one session there, with one message, then let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import TypeVar

from kata_cli.core.errors import KataError
from kata_cli.core.events import Event
from kata_cli.core.messages import ModelInfo, ModelRef, Request
from kata_cli.core.ports import Timeouts
from kata_cli.providers.remote_turn import RemoteTurn
from kata_cli.providers.remote_wire import Capabilities, Health, Model, Models
from kata_cli.providers.service_client import ServiceClient

T = TypeVar("T")

PROBE_S = 10.0


class RemotePi:
    """Answers requests through the sessions of one service. A model is Pi's own `provider/id`."""

    def __init__(self, client: ServiceClient, timeouts: Timeouts) -> None:
        self._client = client
        self._timeouts = timeouts

    @property
    def host(self) -> str:
        return self._client.host

    async def probe(self) -> int:
        """How many sessions there is room for. Raises `KataError`: agent_unavailable where no Pi is.

        The token is sent only once the address has answered as a service does.
        """
        health = await self._soon(self._client.get("/healthz", Health))
        if health.status != "ok":
            raise KataError("provider_unavailable", f"{self.host} is {health.status}", "kata agents list")
        able = await self._soon(self._client.get("/api/capabilities", Capabilities))
        if able.runtime_mode != "pi":
            told = f"the service at {self.host} has no Pi: it runs in mode {able.runtime_mode}"
            raise KataError("agent_unavailable", told, "start it with: kata serve --mode pi")
        return able.max_sessions - able.live

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """The agent's thinking and tool calls as they come, then the text of its answer, then the end."""
        turn = RemoteTurn(self._client, request, self._timeouts)
        try:
            while not turn.is_over:
                await turn.advance()
                for event in turn.take():
                    yield event
        finally:
            await turn.aclose()
        for event in turn.ending():
            yield event

    async def models(self) -> list[ModelInfo]:
        """What the service lists. Raises `KataError`."""
        await self.probe()
        listed = await self._client.get("/api/models", Models)
        return [_info(model) for model in listed.models if "/" in model.id.strip("/")]

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _soon(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(PROBE_S):
                return await answer
        except TimeoutError:
            raise KataError("timeout", f"{self.host} did not answer within {PROBE_S:g} s") from None


def _info(model: Model) -> ModelInfo:
    ref = ModelRef.parse(model.id)
    return ModelInfo(
        provider=ref.provider,
        id=ref.id,
        name=model.name,
        context_window=model.context_window,
        thinking=model.thinking,
    )
