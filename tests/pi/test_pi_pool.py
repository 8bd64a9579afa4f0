"""The pool: how many run, which one is lent, and when it gives up."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from kata_cli.core import loop
from kata_cli.core.errors import Failure, KataError
from kata_cli.pi.agent import Agent
from kata_cli.pi.options import Purpose
from kata_cli.pi.pool import MAX_RESTARTS, PERIOD_S, STARTS_AT_ONCE, Pool

DEATH = Failure(code="provider_unavailable", message="Pi ended with status 1")
A, B = Purpose("a"), Purpose("b")


class Scripted:
    """An agent that does what the test says, instead of a process."""

    def __init__(self, purpose: Purpose, factory: Factory) -> None:
        self.purpose = purpose
        self.is_alive = True
        self.is_stopped = False
        self.failure: Failure | None = None
        self.warnings = [f"odd line for {purpose.provider}"]
        self._factory = factory

    async def ready(self) -> None:
        factory = self._factory
        factory.starting += 1
        factory.most_starting = max(factory.most_starting, factory.starting)
        factory.has_begun.set()
        try:
            await asyncio.sleep(0)
            await factory.gate.wait()
            if factory.failures:
                raise KataError.of(factory.failures.pop(0))
        finally:
            factory.starting -= 1

    async def stop(self) -> None:
        self.is_alive = False
        self.is_stopped = True

    def die(self) -> None:
        self.is_alive = False
        self.failure = DEATH


class Factory:
    """Makes scripted agents; those that are `made` are counted, `gate` lets them become ready."""

    def __init__(self, *failures: Failure) -> None:
        self.failures = list(failures)
        self.made: list[Scripted] = []
        self.starting = self.most_starting = 0
        self.has_begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self, purpose: Purpose) -> Agent:
        self.made.append(Scripted(purpose, self))
        return cast(Agent, self.made[-1])

    @property
    def living(self) -> int:
        return sum(agent.is_alive for agent in self.made)


def died(agent: Agent) -> None:
    cast(Scripted, agent).die()


def test_an_idle_agent_is_used_again() -> None:
    """The one used last comes first, and only for the purpose it was started for."""

    async def main() -> None:
        factory = Factory()
        pool = Pool(factory.start, 2)
        first, second = await pool.acquire(A), await pool.acquire(A)
        await pool.release(second, is_reusable=True)
        await pool.release(first, is_reusable=True)
        assert await pool.acquire(A) is first
        await pool.release(first, is_reusable=True)
        other = await pool.acquire(B)
        assert (other.purpose, len(factory.made), factory.living) == (B, 3, 2)

    asyncio.run(main())


def test_no_more_live_than_allowed() -> None:
    """Who comes when all are lent waits for one that is given back; starts are two at a time."""

    async def main() -> None:
        factory = Factory()
        pool = Pool(factory.start, 3)

        async def use() -> None:
            agent = await pool.acquire(A)
            assert factory.living <= 3
            await asyncio.sleep(0)
            await pool.release(agent, is_reusable=True)

        await asyncio.gather(*(use() for _ in range(20)))
        assert len(factory.made) == 3
        assert factory.most_starting == STARTS_AT_ONCE

    asyncio.run(main())


def test_an_agent_that_may_still_work_is_stopped() -> None:
    """One that is not reusable is never lent again, and its odd lines are kept."""

    async def main() -> None:
        factory = Factory()
        pool = Pool(factory.start, 1)
        await pool.release(await pool.acquire(A), is_reusable=False)
        assert factory.made[0].is_stopped
        assert pool.warnings == ["odd line for a"]
        await pool.acquire(A)
        assert len(factory.made) == 2

    asyncio.run(main())


def test_f72_a_crash_loop_is_given_up() -> None:
    """Three restarts within the period, then a final failure for this and every later request (P3)."""

    async def main() -> None:
        factory = Factory(*[DEATH] * 10)
        pool = Pool(factory.start, 2)
        for _ in range(2):
            with pytest.raises(
                KataError, match="Pi ended 4 times within 60 s, the last time: Pi ended"
            ) as caught:
                await pool.acquire(A)
            assert caught.value.failure.code == "agent_unavailable"
        assert len(factory.made) == 1 + MAX_RESTARTS
        assert all(agent.is_stopped for agent in factory.made)

    asyncio.run(main())


def test_f72_agents_that_die_at_work_or_idle_count_too() -> None:
    """The fourth death within the period is the last, wherever it happens."""

    async def main() -> None:
        factory = Factory()
        pool = Pool(factory.start, 1)
        for is_idle in (True, False, True, False):
            agent = await pool.acquire(A)
            if is_idle:
                await pool.release(agent, is_reusable=True)
                died(agent)
            else:
                died(agent)
                await pool.release(agent, is_reusable=False)
        with pytest.raises(KataError, match="4 times"):
            await pool.acquire(A)

    asyncio.run(main())


def test_f72_deaths_long_apart_are_forgiven() -> None:
    """Only deaths within the period count."""

    async def main() -> None:
        factory = Factory()
        pool = Pool(factory.start, 1)
        for _ in range(3 * MAX_RESTARTS):
            agent = await pool.acquire(A)
            died(agent)
            await pool.release(agent, is_reusable=False)
            await asyncio.sleep(PERIOD_S / MAX_RESTARTS + 1)
        assert len(factory.made) == 3 * MAX_RESTARTS

    loop.run(main(), is_virtual=True)


def test_f72_a_crash_loop_is_not_given_up_for_ever() -> None:
    """A service goes on: when the period is over there is another start, and who lives is lent meanwhile."""

    async def main() -> None:
        factory = Factory(*[DEATH] * (1 + MAX_RESTARTS))
        pool = Pool(factory.start, 2)
        with pytest.raises(KataError, match="4 times"):
            await pool.acquire(A)
        await asyncio.sleep(PERIOD_S + 1)
        agent = await pool.acquire(A)
        await pool.release(agent, is_reusable=True)
        assert await pool.acquire(A) is agent

    loop.run(main(), is_virtual=True)


def test_the_agents_of_a_conversation_end_together() -> None:
    """At rest and at work, and no others; that is no death of their own."""

    async def main() -> None:
        factory = Factory()
        pool = Pool(factory.start, 4)
        mine, other = Purpose("a", "mine"), Purpose("a", "other")
        await pool.release(await pool.acquire(mine), is_reusable=True)
        await pool.release(await pool.acquire(other), is_reusable=True)
        at_work = [await pool.acquire(mine), await pool.acquire(mine)]
        await pool.end("mine")
        assert [agent.is_stopped for agent in factory.made] == [True, False, True]
        for agent in at_work:
            await pool.release(agent, is_reusable=True)
        assert await pool.acquire(mine) not in at_work

    asyncio.run(main())


def test_a_start_that_failed_for_good_is_not_repeated() -> None:
    """What a restart cannot mend is reported at once, and the place is free again."""

    async def main() -> None:
        factory = Factory(Failure(code="agent_unavailable", message="not installed"))
        pool = Pool(factory.start, 1)
        with pytest.raises(KataError, match="not installed"):
            await pool.acquire(A)
        assert (len(factory.made), factory.living) == (1, 0)
        await pool.acquire(A)

    asyncio.run(main())


def test_a_cancelled_start_leaves_nothing_half_registered() -> None:
    """Neither an agent nor a place is lost when the one who waits for a start is cancelled."""

    async def main() -> None:
        factory = Factory()
        factory.gate.clear()
        pool = Pool(factory.start, 1)
        task = asyncio.create_task(pool.acquire(A))
        await factory.has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert factory.living == 0
        factory.gate.set()
        await pool.acquire(A)

    asyncio.run(main())


def test_closing_stops_all_and_starts_no_more() -> None:
    """Idle agents, agents at work, and one that becomes ready too late are all stopped."""

    async def main() -> None:
        factory = Factory()
        pool = Pool(factory.start, 3)
        await pool.acquire(A)
        await pool.release(await pool.acquire(A), is_reusable=True)
        factory.gate.clear()
        factory.has_begun.clear()
        late = asyncio.create_task(pool.acquire(B))
        await factory.has_begun.wait()
        await pool.aclose()
        factory.gate.set()
        for attempt in (late, pool.acquire(A)):
            with pytest.raises(KataError, match="the pool of Pi is closed"):
                await attempt
        assert all(agent.is_stopped for agent in factory.made)

    asyncio.run(main())
