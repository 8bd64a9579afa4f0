"""One request on its way through one agent of Pi."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Reply, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi.agent import Agent
from kata_cli.pi.turn import Turn
from kata_cli.providers.exchange import Limits
from kata_cli.providers.pi_answer import addressed, failure_of, reply_of, text_of


class Lease(Protocol):
    """Where the agent of a run comes from, how it is asked, and what becomes of it."""

    async def acquire(self, request: Request) -> Agent:
        """An agent for the request. Raises `KataError`."""
        ...

    async def begin(self, agent: Agent, request: Request) -> tuple[Turn, str]:
        """The run, and the level of thinking in force. Raises `KataError`."""
        ...

    async def release(self, agent: Agent, request: Request, turn: Turn | None, reply: Reply | None) -> None:
        """Take the agent back, whatever it is doing; without a `reply` the run was broken off or failed."""
        ...


class Run:
    """Faults of Pi and limits become its failure."""

    def __init__(self, lease: Lease, request: Request, timeouts: Timeouts) -> None:
        self._lease = lease
        self._request = request
        self._timeouts = timeouts
        self._agent: Agent | None = None
        self._turn: Turn | None = None
        self._limits: Limits | None = None
        self._failure: Failure | None = None
        self._thinking = ""

    async def events(self) -> AsyncGenerator[Event, None]:
        """What the run shows as it comes, then the text of its answer unless it was shown, then the end."""
        try:
            while not self._is_over:
                await self._advance()
                for event in self._news():
                    yield event
        finally:
            await self._give_back()
        for event in self._last():
            yield event

    def _news(self) -> list[Event]:
        return self._turn.take() if self._turn else []

    def _last(self) -> list[Event]:
        """What came while the consumer was busy, then the text if it was not shown, then the end."""
        last = self._news()
        if self._turn and not self._turn.is_live and (text := text_of(self._turn)):
            last.append(ContentDelta(task=self._request.task, text=text))
        return [*last, self._end()]

    @property
    def _is_over(self) -> bool:
        return self._failure is not None or (self._turn is not None and self._turn.is_over)

    async def _advance(self) -> None:
        """One step: an agent, its prompt, then one batch of news at a time."""
        try:
            if self._agent is None:
                self._agent = await self._lease.acquire(self._request)
            elif self._turn is None or self._limits is None:
                # Waiting for a free agent is no stall, so the time limits begin here.
                self._limits = Limits(self._timeouts, self._request.timeout_s)
                self._turn, self._thinking = await self._limits.first_byte(self._begin(self._agent))
            else:
                await self._limits.idle(self._agent.advance(self._turn))
        except KataError as error:
            self._failure = addressed(error, self._request)

    async def _begin(self, agent: Agent) -> tuple[Turn, str]:
        if self._request.temperature is not None:
            raise KataError("invalid_request", "Pi takes no temperature", "leave out --temperature")
        if self._request.tools:
            told = "Pi works with tools of its own and takes none of a client"
            raise KataError("invalid_request", told, "native mode takes them")
        return await self._lease.begin(agent, self._request)

    async def _give_back(self) -> None:
        if self._agent is not None:
            end = self._end() if self._is_over else None
            reply = end.reply if isinstance(end, ReplyFinished) else None
            await self._lease.release(self._agent, self._request, self._turn, reply)

    def _end(self) -> ReplyFinished | ReplyFailed:
        turn = self._turn
        failure = self._failure or (failure_of(turn, self._request) if turn else None)
        if failure is not None:
            seen, usage = (text_of(turn), turn.usage) if turn else ("", None)
            return ReplyFailed(failure=failure, seen=seen, usage=usage)
        assert turn is not None
        return ReplyFinished(reply=reply_of(turn, self._request, self._thinking))
