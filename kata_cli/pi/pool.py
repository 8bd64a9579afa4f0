"""A bounded pool of agents that does not start a broken Pi for ever."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.pi.agent import Agent

STARTS_AT_ONCE = 2
# As Erlang's supervisors count: more restarts than this within the period, and the pool gives up.
MAX_RESTARTS = 3
PERIOD_S = 60.0


class Pool:
    """At most `max_instances` agents, each lent to one run at a time; an idle one is used again.

    `start` makes an agent, not yet ready, for the key of a provider, or raises and leaves nothing. `warnings`
    are the odd lines that agents wrote, as far as those have ended.
    """

    def __init__(self, start: Callable[[str], Awaitable[Agent]], max_instances: int) -> None:
        self.warnings: list[str] = []
        self._start = start
        self._max = max_instances
        self._slots = asyncio.Semaphore(max_instances)
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._lent: list[Agent] = []
        self._idle: list[Agent] = []
        self._taken = 0
        self._deaths: deque[float] = deque(maxlen=MAX_RESTARTS + 1)
        self._end: Failure | None = None
        self._stops: set[asyncio.Task[None]] = set()

    async def acquire(self, key: str) -> Agent:
        """An agent with the key of a provider, as soon as there is room.

        Raises `KataError`: agent_unavailable where none can be had.
        """
        await self._slots.acquire()
        self._taken += 1
        try:
            agent = self._pick(key) or await self._new(key)
        except BaseException:
            self._give_back_slot()
            raise
        self._lent.append(agent)
        return agent

    async def release(self, agent: Agent, *, is_reusable: bool) -> None:
        """Take an agent back; one that may still be at work is stopped."""
        self._lent.remove(agent)
        try:
            if not agent.is_alive:
                self._count(agent)
            if is_reusable and agent.is_alive and self._end is None:
                agent.renew()
                self._idle.append(agent)
            else:
                await self._stop(agent)
        finally:
            self._give_back_slot()

    async def aclose(self) -> None:
        """Stop all agents, also those at work, and start no more."""
        self._end = Failure(code="agent_unavailable", message="the pool of Pi is closed", provider="pi")
        agents, self._idle = [*self._idle, *self._lent], []
        await asyncio.gather(*map(self._stop, agents))
        await asyncio.gather(*self._stops)

    def _pick(self, key: str) -> Agent | None:
        """The idle agent with this key that was used last."""
        for agent in [agent for agent in self._idle if not agent.is_alive]:
            self._idle.remove(agent)
            self._count(agent)
            self._stop_soon(agent)
        for agent in reversed(self._idle):
            if agent.key == key:
                self._idle.remove(agent)
                return agent
        return None

    async def _new(self, key: str) -> Agent:
        while self._idle and len(self._idle) + self._taken > self._max:
            await self._stop(self._idle.pop(0))
        async with self._starts:
            while True:
                if self._end is not None:
                    raise KataError.of(self._end)
                try:
                    return await self._ready(key)
                except KataError as error:
                    if error.failure.code != "provider_unavailable":
                        raise
                    self._note(error.failure)

    async def _ready(self, key: str) -> Agent:
        agent = await self._start(key)
        try:
            await agent.ready()
            if self._end is not None:
                raise KataError.of(self._end)
        except BaseException:
            await self._stop(agent)
            raise
        return agent

    def _count(self, agent: Agent) -> None:
        """Remember a process that ended by itself."""
        if agent.failure is not None:
            self._note(agent.failure)

    def _note(self, failure: Failure) -> None:
        now_s = asyncio.get_running_loop().time()
        self._deaths.append(now_s)
        if len(self._deaths) > MAX_RESTARTS and now_s - self._deaths[0] <= PERIOD_S and self._end is None:
            many = len(self._deaths)
            told = f"Pi ended {many} times within {PERIOD_S:g} s, the last time: {failure.message}"
            self._end = msgspec.structs.replace(failure, code="agent_unavailable", message=told)

    def _give_back_slot(self) -> None:
        self._taken -= 1
        self._slots.release()

    async def _stop(self, agent: Agent) -> None:
        # A second cancellation must not leave the process behind.
        await asyncio.shield(self._stop_soon(agent))

    def _stop_soon(self, agent: Agent) -> asyncio.Task[None]:
        self.warnings += agent.warnings
        task = asyncio.create_task(agent.stop())
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)
        return task
