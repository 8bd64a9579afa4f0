"""A bounded pool of agents that does not start a broken Pi for ever."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.pi.agent import Agent
from kata_cli.pi.child import STOPPED
from kata_cli.pi.options import Purpose

STARTS_AT_ONCE = 2
# As Erlang's supervisors count: more restarts than this within the period, and the pool gives up.
MAX_RESTARTS = 3
PERIOD_S = 60.0
CLOSED = Failure(code="agent_unavailable", message="the pool of Pi is closed", provider="pi")


class Pool:
    """At most `max_instances` agents, each lent to one run at a time; an idle one is used again.

    An idle agent gives way where one for another purpose needs its place, the one that was used least
    recently first. `start` makes an agent, not yet ready, or raises and leaves nothing. `warnings` are the
    odd lines that agents wrote, as far as those have ended.
    """

    def __init__(self, start: Callable[[Purpose], Awaitable[Agent]], max_instances: int) -> None:
        self.warnings: list[str] = []
        self._start = start
        self._max = max_instances
        self._slots = asyncio.Semaphore(max_instances)
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._lent: list[Agent] = []
        self._idle: list[Agent] = []
        self._taken = 0
        self._deaths: deque[float] = deque(maxlen=MAX_RESTARTS + 1)
        self._last_death: Failure | None = None
        self._is_closed = False
        self._stops: dict[Agent, asyncio.Task[None]] = {}

    async def acquire(self, purpose: Purpose) -> Agent:
        """An agent for a purpose, as soon as there is room.

        Raises `KataError`: agent_unavailable where none can be had.
        """
        await self._slots.acquire()
        self._taken += 1
        try:
            agent = self._pick(purpose) or await self._new(purpose)
        except BaseException:
            self._give_back_slot()
            raise
        self._lent.append(agent)
        return agent

    async def release(self, agent: Agent, *, is_reusable: bool) -> None:
        """Take an agent back, as it is; one that may still be at work is stopped."""
        self._lent.remove(agent)
        try:
            if not agent.is_alive:
                self._count(agent)
            if is_reusable and agent.is_alive and not self._is_closed:
                self._idle.append(agent)
            else:
                await self._stop(agent)
        finally:
            self._give_back_slot()

    async def end(self, task: str) -> None:
        """Stop the agents of a conversation, also those at work."""
        ended = [agent for agent in (*self._idle, *self._lent) if agent.purpose.task == task]
        self._idle = [agent for agent in self._idle if agent not in ended]
        await asyncio.gather(*map(self._stop, ended))

    async def aclose(self) -> None:
        """Stop all agents, also those at work, and start no more."""
        self._is_closed = True
        agents, self._idle = [*self._idle, *self._lent], []
        await asyncio.gather(*map(self._stop, agents))
        await asyncio.gather(*self._stops.values())

    @property
    def _refusal(self) -> Failure | None:
        """Why no agent can be had now: the pool is closed, or too many have just ended by themselves."""
        if self._is_closed:
            return CLOSED
        many = len(self._deaths)
        if self._last_death is None or many <= MAX_RESTARTS or _now_s() - self._deaths[0] > PERIOD_S:
            return None
        told = f"Pi ended {many} times within {PERIOD_S:g} s, the last time: {self._last_death.message}"
        return msgspec.structs.replace(self._last_death, code="agent_unavailable", message=told)

    def _pick(self, purpose: Purpose) -> Agent | None:
        """The idle agent for this purpose that was used last."""
        for agent in [agent for agent in self._idle if not agent.is_alive]:
            self._idle.remove(agent)
            self._count(agent)
            self._stop_soon(agent)
        for agent in reversed(self._idle):
            if agent.purpose == purpose:
                self._idle.remove(agent)
                return agent
        return None

    async def _new(self, purpose: Purpose) -> Agent:
        while self._idle and len(self._idle) + self._taken > self._max:
            await self._stop(self._idle.pop(0))
        async with self._starts:
            while True:
                if refusal := self._refusal:
                    raise KataError.of(refusal)
                try:
                    return await self._ready(purpose)
                except KataError as error:
                    if error.failure.code != "provider_unavailable":
                        raise
                    self._note(error.failure)

    async def _ready(self, purpose: Purpose) -> Agent:
        agent = await self._start(purpose)
        try:
            await agent.ready()
            if self._is_closed:
                raise KataError.of(CLOSED)
        except BaseException:
            await self._stop(agent)
            raise
        return agent

    def _count(self, agent: Agent) -> None:
        """Remember a process that ended by itself."""
        if agent.failure is not None and agent.failure != STOPPED:
            self._note(agent.failure)

    def _note(self, failure: Failure) -> None:
        self._deaths.append(_now_s())
        self._last_death = failure

    def _give_back_slot(self) -> None:
        self._taken -= 1
        self._slots.release()

    async def _stop(self, agent: Agent) -> None:
        # A second cancellation must not leave the process behind.
        await asyncio.shield(self._stop_soon(agent))

    def _stop_soon(self, agent: Agent) -> asyncio.Task[None]:
        if agent in self._stops:
            return self._stops[agent]
        self.warnings += agent.warnings
        task = self._stops[agent] = asyncio.create_task(agent.stop())
        task.add_done_callback(lambda _: self._stops.pop(agent))
        return task


def _now_s() -> float:
    return asyncio.get_running_loop().time()
