"""Models that are left alone: after failures in a row, and for as long as a 429 asked; on virtual time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from provider_bench import (
    CANARY,
    CLAUDE,
    DONE,
    GPT,
    LIMITED,
    OVERLOADED,
    REQUEST,
    Bench,
    Keys,
    Step,
    failures,
    last_failure,
    models_asked,
    on_virtual_time,
)

from kata_cli.core.errors import Failure
from kata_cli.core.events import AttemptStarted, Event, ReplyFailed
from kata_cli.providers.cooldown import COOL_S, FAILURES, WITHIN_S, Cooldown
from kata_cli.providers.retry import decide

BROKEN: list[Step] = [OVERLOADED]
LATE: list[Step] = [1.0, OVERLOADED]
FAILED = OVERLOADED.failure
UNREACHED = Failure(code="provider_unavailable", message="refused the connection")


async def timed(bench: Bench, task: str, after_s: float) -> list[tuple[float, Event]]:
    """The events of a request that begins after some seconds, each with its time."""
    await asyncio.sleep(after_s)
    return [
        (asyncio.get_running_loop().time(), event)
        async for event in bench.service.stream(msgspec.structs.replace(REQUEST, task=task))
    ]


def departures(bench: Bench, *after_s: float) -> list[float]:
    """When the attempts of requests leave that begin after so many seconds each, in order."""
    left: list[float] = []

    async def main() -> list[Event]:
        asked = (timed(bench, f"t{number}", wait_s) for number, wait_s in enumerate(after_s))
        for events in await asyncio.gather(*asked):
            left.extend(at_s for at_s, event in events if isinstance(event, AttemptStarted))
        return []

    on_virtual_time(main)
    return sorted(left)


def test_r4_a_provider_that_only_fails_is_asked_three_times_a_call_and_left_alone_between() -> None:
    """R4: 16 calls that all meet a 529 make 48 requests, half a minute from one round to the next."""
    bench = Bench(anthropic=[LATE] * 48)
    left = departures(bench, *[0.0] * 16)
    assert left == [0.0] * 16 + [1 + COOL_S] * 16 + [2 * (1 + COOL_S)] * 16
    assert len(bench.providers["anthropic"].requests) == 3 * 16


def test_r4_the_pause_is_told_with_the_failure_that_began_it() -> None:
    """Who fails third is told the half minute that it waits, not half a second."""
    bench = Bench(anthropic=[BROKEN] * 3 + [[DONE]] * 3)

    async def main() -> list[Event]:
        found = await asyncio.gather(*(bench.collect(task=f"t{number}") for number in range(3)))
        return [event for events in found for event in events]

    assert [delay_s for _, _, delay_s in failures(on_virtual_time(main))] == [0.5, 0.5, COOL_S]


def test_what_a_429_asks_for_holds_for_all_requests_to_the_model() -> None:
    """A request that comes two seconds after it waits out the seven with the one that was refused."""
    bench = Bench(anthropic=[[LIMITED], [DONE], [DONE]])
    assert departures(bench, 0.0, 2.0) == [0.0, 7.0, 7.0]


def test_a_wish_beyond_a_minute_holds_up_nobody_else() -> None:
    """Such a request fails at once; whether others do is for them to find out."""
    hour = msgspec.structs.replace(LIMITED.failure, retry_after_s=3600.0)
    bench = Bench(anthropic=[[ReplyFailed(failure=hour)], [DONE]])
    assert departures(bench, 0.0, 2.0) == [0.0, 2.0]


def test_the_wait_counts_against_the_deadline() -> None:
    """R7: a request of ten seconds that begins while nobody is asked ends after ten seconds."""
    bench = Bench(anthropic=[BROKEN] * 3 + [[60.0, DONE]])

    async def main() -> list[Event]:
        await bench.collect()
        began_s = asyncio.get_running_loop().time()
        events = await bench.collect(timeout_s=10.0)
        assert asyncio.get_running_loop().time() == pytest.approx(began_s + 10)
        return events

    assert last_failure(on_virtual_time(main)).code == "timeout"


def test_a_pause_beyond_the_deadline_is_not_begun() -> None:
    """R7: who has less time left than the pause takes fails at once and is told why."""
    verdict = decide(FAILED, attempt=1, has_content=False, remaining_s=10.0, jitter=0.0, cooling_s=COOL_S)
    assert isinstance(verdict, Failure)
    assert "10.0 s are too few for another attempt" in verdict.message


def test_another_model_is_asked_at_once() -> None:
    """The pause is that of one model; another one of the same provider has none."""
    haiku = msgspec.structs.replace(CLAUDE, id="claude-y")
    bench = Bench(anthropic=[BROKEN] * 3 + [[DONE]])

    async def main() -> list[Event]:
        await bench.collect()
        began_s = asyncio.get_running_loop().time()
        events = await bench.collect(model=haiku)
        assert asyncio.get_running_loop().time() == began_s
        return events

    assert models_asked(on_virtual_time(main)) == ["anthropic/claude-y"]


def test_a_request_with_a_fallback_does_not_wait() -> None:
    """EX-18: it asks the first model as often as ever, for a replay, then the second."""
    keys = Keys(anthropic=CANARY, openai="sk-other")
    bench = Bench(keys=keys, fallbacks=(GPT,), anthropic=[BROKEN] * 6, openai=[[DONE]] * 2)

    async def main() -> list[Event]:
        events = await bench.collect(task="one") + await bench.collect(task="two")
        assert asyncio.get_running_loop().time() == 3.0
        return events

    assert models_asked(on_virtual_time(main)) == (["anthropic/claude-x"] * 3 + ["openai/gpt-x"]) * 2


@pytest.mark.parametrize(
    ("notes", "is_cooling"),
    [
        ([(FAILED, 0.0), (FAILED, 0.0)], False),
        ([(FAILED, 0.0), (FAILED, 30.0), (FAILED, WITHIN_S)], True),
        ([(FAILED, 0.0), (FAILED, 30.0), (FAILED, WITHIN_S + 1)], False),
        ([(FAILED, 0.0), (FAILED, 30.0), (FAILED, 61.0), (FAILED, 62.0)], True),
        ([(FAILED, 0.0), (FAILED, 0.0), (None, 0.0), (FAILED, 0.0)], False),
        ([(UNREACHED, 0.0)] * FAILURES, False),
        ([(Failure(code="invalid_request", message="bad", status=400), 0.0)] * FAILURES, False),
        ([(Failure(code="rate_limited", message="slow down", status=429), 0.0)] * FAILURES, False),
    ],
)
def test_what_counts_as_failures_in_a_row(
    notes: list[tuple[Failure | None, float]], is_cooling: bool
) -> None:
    """Three that the provider reports within a minute and no answer between; a refusal is none."""
    cooldown = Cooldown()
    for failure, now_s in notes:
        cooldown.note(failure, now_s)
    now_s = notes[-1][1]
    assert cooldown.cooling_s(now_s) == cooldown.wait_s(now_s) == (COOL_S if is_cooling else 0.0)
    assert cooldown.wait_s(now_s + COOL_S) == 0.0
