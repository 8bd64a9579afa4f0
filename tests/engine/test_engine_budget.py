"""A budget shared by the parallel tasks of a run, over the real provider service, on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan, task
from provider_bench import Keys

from kata_cli.core import loop
from kata_cli.core.clock import FixedClock
from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptStarted,
    ContentDelta,
    Event,
    ReplyFailed,
    ReplyFinished,
    TaskFinished,
    UsageReported,
)
from kata_cli.core.messages import ModelInfo, Reply, Request, Usage, estimate_tokens
from kata_cli.core.ports import Timeouts
from kata_cli.core.stop import Stop
from kata_cli.engine.run import run
from kata_cli.providers.budget import Account, Limits
from kata_cli.providers.service import Policy, ProviderService

STOP = Failure(code="interrupted", message="stopped by SIGINT", exit_code=130)


class Spender:
    """Answers after a while with some of the tokens that it may use, and fails now and then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        await asyncio.sleep(self._chance.uniform(0.0, 2.0))
        if self._chance.random() < 0.15:
            code = self._chance.choice(("rate_limited", "provider_unavailable", "invalid_request"))
            yield ReplyFailed(failure=Failure(code=code, message="refused"))
            return
        yield ContentDelta(task=request.task, text="so be it")
        await asyncio.sleep(self._chance.uniform(0.0, 2.0))
        used = Usage(
            input=estimate_tokens(request.prompt), output=self._chance.randint(1, request.max_tokens or 1)
        )
        yield ReplyFinished(reply=Reply(text="so be it", model="m", usage=used))

    async def models(self) -> list[ModelInfo]:
        return []

    async def aclose(self) -> None:
        return None


def spent(seed: int, limit: int, jobs: int, stop_after_s: float | None = None) -> tuple[list[Event], float]:
    """The events of a random graph under a budget, and how long it took."""
    chance = random.Random(seed)
    names = [f"t{number}" for number in range(chance.randint(1, 8))]
    tasks = [
        task(
            name,
            *[need for need in names[:number] if chance.random() < 0.25],
            max_tokens=chance.randint(1, 400),
            on_failure=chance.choice(("stop", "continue")),
        )
        for number, name in enumerate(names)
    ]
    service = ProviderService(
        policy=Policy(mode="mock", mode_source="flag", timeouts=Timeouts()),
        endpoints={},
        credentials=Keys(mock=""),
        clock=FixedClock(0.0),
        on_secret=lambda secret: None,
        account=Account(lambda model, usage: 0.0, Limits(tokens=limit)),
        connect=lambda endpoint, credential, timeouts: Spender(chance),
        jitter=lambda: 0.0,
    )

    async def collect() -> tuple[list[Event], float]:
        stop, seen = Stop(), list[Event]()
        if stop_after_s is not None:
            asyncio.get_running_loop().call_later(stop_after_s, stop.request, STOP)
        async with aclosing(run(plan(*tasks, jobs=jobs), service, {}, stop=stop)) as batches:
            async for batch in batches:
                seen += batch
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"
        return seen, asyncio.get_running_loop().time()

    return loop.run(collect(), is_virtual=True)


def ends(events: list[Event]) -> list[TaskFinished]:
    return [event for event in events if isinstance(event, TaskFinished)]


def tokens(events: list[Event]) -> int:
    return sum(event.usage.total for event in events if isinstance(event, UsageReported))


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 3_000), jobs=st.integers(1, 8))
@settings(max_examples=80, deadline=None)
def test_r9_what_a_run_records_never_passes_its_budget(seed: int, limit: int, jobs: int) -> None:
    """R9: whatever graph, pace, failures and parallelism: the usage stays within, and every task ends."""
    events, _ = spent(seed, limit, jobs)
    assert tokens(events) <= limit
    planned = {event.task for event in ends(events)}
    assert planned == {f"t{number}" for number in range(len(planned))}
    refused = [end.failure for end in ends(events) if end.failure and end.failure.code == "limit_reached"]
    assert all("--token-budget" in failure.message for failure in refused)


@given(seed=st.integers(0, 2**32), limit=st.integers(200, 3_000), after_s=st.floats(0.0, 8.0))
@settings(max_examples=60, deadline=None)
def test_c1_a_stop_reaches_tasks_that_wait_for_the_budget(seed: int, limit: int, after_s: float) -> None:
    """C1: after a stop nothing is asked and nobody waits any longer, whoever held what."""
    events, ended_s = spent(seed, limit, 8, after_s)
    assert ended_s <= after_s + 1e-6 or not _is_stopped(events)
    assert tokens(events) <= limit
    asked = {event.task for event in events if isinstance(event, AttemptStarted)}
    waiting = {end.task for end in ends(events) if end.failure == STOP} - asked
    assert not waiting & {event.task for event in events if isinstance(event, UsageReported)}


def _is_stopped(events: list[Event]) -> bool:
    return any(end.failure == STOP for end in ends(events))
