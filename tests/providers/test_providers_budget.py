"""The budget: the limit is never passed by what is granted, nobody is refused who may still fit."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.errors import Exit, KataError
from kata_cli.providers.budget import Amount, Budget, Limits


def tokens(number: int) -> Amount:
    return Amount(tokens=number)


async def asked(budget: Budget, amount: int) -> asyncio.Task[None]:
    """A request that waits for its amount, as far as it comes by itself."""
    task = asyncio.create_task(budget.reserve(tokens(amount)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def test_what_fits_is_granted_at_once() -> None:
    """Two requests within the limit both start."""

    async def body() -> None:
        budget = Budget(Limits(tokens=100))
        first, second = await asked(budget, 60), await asked(budget, 40)
        assert (first.done(), second.done()) == (True, True)

    asyncio.run(body())


def test_what_others_hold_is_waited_for() -> None:
    """A third request waits, and starts when one of the first turns out cheaper."""

    async def body() -> None:
        budget = Budget(Limits(tokens=100))
        await budget.reserve(tokens(60))
        waiting = await asked(budget, 60)
        assert not waiting.done()
        budget.settle(tokens(60), tokens(10))
        await waiting

    asyncio.run(body())


def test_what_can_no_longer_fit_is_refused_with_the_limit_named() -> None:
    """Once too much is spent the request fails with exit 7, also one that had waited."""

    async def body() -> None:
        budget = Budget(Limits(tokens=100))
        await budget.reserve(tokens(60))
        waiting = await asked(budget, 60)
        budget.settle(tokens(60), tokens(55))
        with pytest.raises(KataError, match="--token-budget 100 tokens reached: 55 tokens spent") as caught:
            await waiting
        assert caught.value.failure.exit == Exit.LIMIT

    asyncio.run(body())


def test_first_come_first_served() -> None:
    """A small request does not overtake a large one that waits, or the large one might wait for ever."""

    async def body() -> None:
        budget = Budget(Limits(tokens=100))
        await budget.reserve(tokens(60))
        large, small = await asked(budget, 80), await asked(budget, 10)
        assert (large.done(), small.done()) == (False, False)
        budget.settle(tokens(60), tokens(5))
        await large
        await small

    asyncio.run(body())


def test_a_cancelled_request_gives_back_what_it_had() -> None:
    """Cancelled while it waits or in the moment of its grant, it holds nothing afterwards."""

    async def body() -> None:
        budget = Budget(Limits(tokens=100))
        await budget.reserve(tokens(100))
        first, second = await asked(budget, 100), await asked(budget, 100)
        first.cancel()
        budget.settle(tokens(100), tokens(0))
        await asyncio.gather(first, return_exceptions=True)
        await second
        third = await asked(budget, 1)
        budget.settle(tokens(100), tokens(0))
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
        assert (await asked(budget, 100)).done()

    asyncio.run(body())


def test_what_a_resumed_run_had_spent_counts() -> None:
    """The budget of a resumed run begins with the usage of the runs before it."""

    async def body() -> None:
        with pytest.raises(KataError, match="90 tokens spent"):
            await Budget(Limits(tokens=100), spent=tokens(90)).reserve(tokens(11))

    asyncio.run(body())


def test_dollars_are_a_limit_of_their_own() -> None:
    """Tokens without limit, dollars with one; ten dimes are a dollar."""

    async def body() -> None:
        budget = Budget(Limits(cost_usd=1.0))
        for _ in range(10):
            await budget.reserve(Amount(tokens=10**6, cost_usd=0.1))
            budget.settle(Amount(tokens=10**6, cost_usd=0.1), Amount(cost_usd=0.1))
        with pytest.raises(KataError, match=r"--max-cost \$1.0000 reached"):
            await budget.reserve(Amount(cost_usd=0.01))

    asyncio.run(body())


@given(
    limit=st.integers(1, 100),
    wishes=st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 60), st.booleans()), min_size=1, max_size=12
    ),
)
@settings(max_examples=100, deadline=None)
def test_the_limit_holds_and_everyone_is_answered(limit: int, wishes: list[tuple[int, int, bool]]) -> None:
    """Whatever is asked, used and cancelled: what is held and spent never passes the limit, nobody hangs."""

    async def body() -> None:
        budget = Budget(Limits(tokens=limit))
        held = 0

        async def work(wanted: int, used: int, is_cancelled: bool) -> None:
            nonlocal held
            await budget.reserve(tokens(wanted))
            held += wanted
            assert budget.spent.tokens + held <= limit
            try:
                await asyncio.sleep(0)
                if is_cancelled:
                    raise asyncio.CancelledError
            finally:
                held -= wanted
                budget.settle(tokens(wanted), tokens(min(used, wanted)))

        async with asyncio.timeout(5):
            ends = await asyncio.gather(*(work(*wish) for wish in wishes), return_exceptions=True)
        for end, (wanted, _, _) in zip(ends, wishes, strict=True):
            if isinstance(end, KataError):
                assert budget.spent.tokens + wanted > limit
            else:
                assert end is None or isinstance(end, asyncio.CancelledError)

    asyncio.run(body())
