"""The limiter: requests and tokens a minute, halved by a 429, on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core import loop
from kata_cli.core.clock import FixedClock
from kata_cli.core.errors import Failure
from kata_cli.core.messages import Message, ModelRef, Request, Usage
from kata_cli.core.ports import Endpoint
from kata_cli.providers.rate import RECOVERY_S, SLOWEST, TIMER_S, Bucket, Limiter, Pace

HERE = ModelRef("here", "m")
LIMITED = Failure(code="rate_limited", message="slow down", status=429)


def request(tokens: int = 1) -> Request:
    """A request whose prompt comes to so many tokens."""
    return Request(task="t", model=HERE, messages=(Message("user", "word" * tokens),))


def limiter(**limits: Any) -> Limiter:
    """The limits of the provider `here`, on the time of the loop."""
    endpoint = Endpoint(name="here", kind="openai", base_url="https://a.example", **limits)
    return Limiter({"here": endpoint}, FixedClock(0))


async def departures(limiter: Limiter, count: int, tokens: int = 1) -> list[float]:
    """When each of so many requests leaves that all want to at once."""
    left = []

    async def one() -> None:
        await limiter.admit(HERE, request(tokens), None)
        left.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(one() for _ in range(count)))
    return left


def on_virtual_time(main: Any) -> Any:
    """The outcome of a coroutine whose sleeps cost nothing."""
    return loop.run(main, is_virtual=True)


def test_without_limits_nothing_waits() -> None:
    """A provider without rpm and tpm, and one that nobody has configured, are asked at once."""
    assert on_virtual_time(departures(limiter(), 50)) == [0.0] * 50
    free = Limiter({}, FixedClock(0))
    assert on_virtual_time(departures(free, 50)) == [0.0] * 50


def test_requests_a_minute() -> None:
    """With 60 a minute one leaves each second; with 600 ten may leave at once."""
    assert on_virtual_time(departures(limiter(rpm=60), 4)) == pytest.approx([0, 1, 2, 3])
    left = on_virtual_time(departures(limiter(rpm=600), 30))
    assert left[:10] == [0.0] * 10
    assert left[-1] == pytest.approx(2.0)


def test_tokens_a_minute() -> None:
    """What is sent is reckoned before, the answer once it has come."""

    async def main() -> list[float]:
        ours = limiter(tpm=600)
        left = await departures(ours, 2, tokens=20)
        used = Usage(input=20, output=30)
        ours.note(HERE, request(20), sent_s=0.0, usage=used, failure=None)
        return left + await departures(ours, 1)

    # 10 tokens a second: 20 make a debt of 10, which is paid off but for one token after 1.1 s.
    assert on_virtual_time(main()) == pytest.approx([0.0, 1.1, 6.1])


def test_a_429_halves_the_pace_and_it_comes_back() -> None:
    """R4: half of it at once, all of it after 150 s; refusals of one moment count once."""

    async def main() -> tuple[list[float], list[float]]:
        ours = limiter(rpm=60)
        await departures(ours, 1)
        for _ in range(5):
            ours.note(HERE, request(), sent_s=0.0, usage=None, failure=LIMITED)
            await asyncio.sleep(0.001)
        slow = await departures(ours, 2)
        await asyncio.sleep(RECOVERY_S)
        again = await departures(ours, 3)
        return slow, [later - again[0] for later in again]

    slow, again = on_virtual_time(main())
    assert 1.9 < slow[0] < 2.0
    assert 1.9 < slow[1] - slow[0] < 2.0
    assert again == pytest.approx([0, 1, 2])


def test_other_failures_do_not_slow() -> None:
    """A server that breaks says nothing about its limits."""

    async def main() -> list[float]:
        ours = limiter(rpm=60)
        broken = Failure(code="provider_unavailable", message="oh", status=503)
        ours.note(HERE, request(), sent_s=0.0, usage=None, failure=broken)
        result: list[float] = await departures(ours, 2)
        return result

    assert on_virtual_time(main()) == pytest.approx([0, 1])


def test_a_deadline_ends_the_wait() -> None:
    """Who has no time left is let through, so that the attempt can say so."""

    async def main() -> float:
        ours = limiter(rpm=1)
        await departures(ours, 1)
        await ours.admit(HERE, request(), 5.0)
        return asyncio.get_running_loop().time()

    assert on_virtual_time(main()) == pytest.approx(5.0)


def test_who_gives_up_waiting_holds_up_nobody() -> None:
    """A cancelled request leaves its place to the next and takes nothing."""

    async def main() -> list[float]:
        ours = limiter(rpm=60)
        await departures(ours, 1)
        waiting = asyncio.ensure_future(ours.admit(HERE, request(), None))
        await asyncio.sleep(0.5)
        waiting.cancel()
        left: list[float] = await departures(ours, 1)
        return left

    assert on_virtual_time(main()) == pytest.approx([1.0])


@given(st.integers(1, 5000), st.integers(2, 60))
@settings(max_examples=50, deadline=None)
def test_no_more_than_the_limit_leaves(rpm: int, count: int) -> None:
    """Over any time from the start at most a second's burst more than the rate has left."""
    left = on_virtual_time(departures(limiter(rpm=rpm), count))
    burst = max(1.0, rpm / 60)
    assert all(number <= burst + rpm / 60 * (at_s + TIMER_S) + 1e-6 for number, at_s in enumerate(left, 1))
    assert left[-1] <= max(0.0, (count - burst) * 60 / rpm) + 60 / rpm + 1e-6


@given(st.lists(st.floats(0.001, 100), max_size=20))
@settings(max_examples=50, deadline=None)
def test_the_pace_stays_within_bounds(gaps: list[float]) -> None:
    """However many 429s come, some of it is left, and it never passes the whole."""
    pace, now_s = Pace(0.0), 0.0
    for gap_s in gaps:
        now_s += gap_s
        before = pace.share(now_s)
        pace.slow(now_s, now_s)
        assert SLOWEST <= pace.share(now_s) <= max(SLOWEST, before / 2) <= 1
    assert pace.share(now_s + RECOVERY_S) == 1.0


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 50)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_a_wait_is_as_long_as_it_says(steps: list[tuple[float, int]]) -> None:
    """After `wait_s` at a steady pace there is room, whatever was taken before."""
    bucket, now_s = Bucket(120, Pace(0.0), 0.0), 0.0
    for gap_s, units in steps:
        now_s += gap_s
        bucket.take(units, now_s)
        wait_s = bucket.wait_s(now_s)
        now_s += wait_s
        assert bucket.wait_s(now_s) < 1e-6
