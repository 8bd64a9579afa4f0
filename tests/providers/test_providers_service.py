"""The stream of the provider service: attempts, usage, deadline and fallback, on virtual time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_bench import (
    CANARY,
    DONE,
    GPT,
    HI,
    LIMITED,
    OVERLOADED,
    REFUSED,
    REQUEST,
    Bench,
    Keys,
    Step,
    failures,
    last_failure,
    models_asked,
    on_virtual_time,
    shapes,
    usages,
)

from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContentDelta,
    Event,
    ReplyFailed,
    ReplyFinished,
    ToolStarted,
    UsageReported,
)
from kata_cli.core.messages import Reply, Usage
from kata_cli.core.ports import Provider


def test_the_service_is_a_provider() -> None:
    """Whoever takes a `Provider` can take the service; mypy checks the same."""
    provider: Provider = Bench().service
    assert provider is not None


def test_an_answer_is_announced_relayed_and_accounted() -> None:
    """Start, content, usage with times and the reported model, then the reply."""
    events = Bench(anthropic=[[1.5, HI, 2.0, DONE]]).ask()
    assert events == [
        AttemptStarted(task="look", attempt=1, model="anthropic/claude-x", request=REQUEST),
        HI,
        UsageReported(
            task="look",
            attempt=1,
            usage=Usage(10, 4),
            model="anthropic/big-1",
            stop="stop",
            request_id="req-1",
            duration_s=3.5,
            first_byte_s=1.5,
        ),
        DONE,
    ]


def test_f44_missing_usage_is_estimated() -> None:
    """F44: an answer without figures counts the prompt and the text, and says that it guesses."""
    silent = ReplyFinished(reply=Reply(text="Hi there", model="big-1"))
    (usage,) = usages(Bench(anthropic=[[HI, silent]]).ask())
    assert (usage.usage, usage.is_estimated) == (Usage(input=4, output=2), True)


def test_an_answer_that_came_whole_is_estimated_too() -> None:
    """Without deltas the text of the reply is what was paid for."""
    silent = ReplyFinished(reply=Reply(text="Hi there", model=""))
    (usage,) = usages(Bench(anthropic=[[silent]]).ask())
    assert (usage.usage.output, usage.model) == (2, "anthropic/claude-x")


def test_attempts_are_numbered_over_the_whole_task() -> None:
    """A second question of the same task goes on counting; another task begins at 1."""
    bench = Bench(anthropic=[[DONE], [DONE], [DONE]])

    async def work() -> list[Event]:
        return await bench.collect() + await bench.collect() + await bench.collect(task="other")

    events = on_virtual_time(work)
    numbers = [event.attempt for event in events if isinstance(event, AttemptStarted)]
    assert numbers == [1, 2, 1]


def test_f35_two_failures_then_an_answer() -> None:
    """F35, R1: attempts 1 and 2 fail, waits of 0.5 and 1 s, the third answers."""
    bench = Bench(anthropic=[[OVERLOADED], [OVERLOADED], [HI, DONE]])
    events = bench.ask()
    assert failures(events) == [
        (1, "provider_unavailable", 0.5),
        (2, "provider_unavailable", 1.0),
    ]
    assert bench.slept_s == [0.5, 1.0]
    assert events[-1] == DONE


def test_f34_three_failures_are_the_end() -> None:
    """F34: the third failure has no delay, and the reply fails with it, provider and model filled in."""
    events = Bench(anthropic=[[OVERLOADED]] * 3).ask()
    assert [delay for _, _, delay in failures(events)] == [0.5, 1.0, None]
    assert last_failure(events).provider == "anthropic"
    assert last_failure(events).model == "anthropic/claude-x"
    assert usages(events) == []


def test_f25_the_providers_delay_is_kept() -> None:
    """F25: `retry-after: 7` is what is slept."""
    bench = Bench(anthropic=[[LIMITED], [DONE]])
    bench.ask()
    assert bench.slept_s == [7.0]


def test_f27_a_delay_of_an_hour_fails_at_once() -> None:
    """F27: no sleep, and both last events name the delay."""
    limited = msgspec.structs.replace(
        LIMITED, failure=msgspec.structs.replace(LIMITED.failure, retry_after_s=3600.0)
    )
    bench = Bench(anthropic=[[limited]])
    events = bench.ask()
    assert isinstance(events[-2], AttemptFailed)
    assert events[-2].failure == last_failure(events)
    assert "asks to wait 3600 s" in last_failure(events).message
    assert bench.slept_s == []


def test_r2_a_refusal_is_one_request() -> None:
    """R2: a 400 is asked once and costs nothing."""
    bench = Bench(anthropic=[[REFUSED]])
    events = bench.ask()
    assert shapes(events) == ["AttemptStarted", "AttemptFailed", "ReplyFailed"]
    assert len(bench.providers["anthropic"].requests) == 1


@pytest.mark.parametrize("content", [HI, ToolStarted(task="look", tool="read")])
def test_f41_nothing_follows_content(content: Event) -> None:
    """F41, R5: after the first content the failure stands, and what was seen is paid by estimate."""
    events = Bench(anthropic=[[content, OVERLOADED]]).ask()
    assert shapes(events)[2:] == ["UsageReported", "AttemptFailed", "ReplyFailed"]
    assert usages(events)[0].is_estimated
    assert failures(events) == [(1, "provider_unavailable", None)]


def test_an_empty_delta_is_no_content() -> None:
    """A delta without text does not spend the right to another attempt."""
    events = Bench(anthropic=[[ContentDelta(task="look", text=""), OVERLOADED], [DONE]]).ask()
    assert events[-1] == DONE


def test_usage_of_a_broken_answer_is_taken_as_reported() -> None:
    """Figures that came before the break are not replaced by a guess."""
    broken = msgspec.structs.replace(OVERLOADED, usage=Usage(9, 1))
    (usage,) = usages(Bench(anthropic=[[HI, broken]]).ask())
    assert (usage.usage, usage.is_estimated) == (Usage(9, 1), False)


def test_f42_an_answer_without_end_is_a_failure() -> None:
    """F42: a stream that just stops fails, with the text that was seen."""
    thought = ContentDelta(task="look", text="hm", kind="thinking")
    events = Bench(anthropic=[[thought, HI]]).ask()
    assert isinstance(events[-1], ReplyFailed)
    assert (events[-1].failure.code, events[-1].seen) == ("provider_unavailable", "Hi there")


@given(cuts=st.lists(st.sampled_from(["refused", "cut", "silent"]), max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_stream_ends_in_exactly_one_end(cuts: list[str]) -> None:
    """Whatever the attempts do, there is one end, it is last, and starts match their failures."""
    played: dict[str, list[Step]] = {"refused": [OVERLOADED], "cut": [HI, OVERLOADED], "silent": []}
    events = Bench(anthropic=[*([*played[cut]] for cut in cuts), [DONE], [DONE]]).ask()
    ends = [event for event in events if isinstance(event, ReplyFinished | ReplyFailed)]
    assert ends == [events[-1]]
    is_answered = isinstance(events[-1], ReplyFinished)
    assert len(models_asked(events)) == len(failures(events)) + is_answered <= 3


def test_r7_the_deadline_holds_over_all_attempts() -> None:
    """R7: 2 s for attempts that take 1 s each and wait 0.5 s: the second is cut at its time."""
    bench = Bench(anthropic=[[1.0, OVERLOADED], [1.0, OVERLOADED], [DONE]])
    seen: list[float] = []

    async def work() -> list[Event]:
        events = await bench.collect(timeout_s=2.0)
        seen.append(asyncio.get_running_loop().time())
        return events

    events = on_virtual_time(work)
    assert failures(events) == [(1, "provider_unavailable", 0.5), (2, "timeout", None)]
    assert last_failure(events).message == "no complete answer within 2 s"
    assert seen == [2.0]
    assert bench.providers["anthropic"].open_streams == 0


def test_r7_no_attempt_is_promised_after_the_deadline() -> None:
    """R7: a wait that would pass the deadline is not begun."""
    bench = Bench(anthropic=[[1.0, LIMITED]])
    assert "too few for another attempt" in last_failure(bench.ask(timeout_s=5.0)).message
    assert bench.slept_s == []


def test_an_exception_of_an_adapter_is_a_mistake() -> None:
    """An adapter that lets an exception out is broken; the service does not dress it up as a timeout."""
    with pytest.raises(TimeoutError, match="its own"):
        Bench(anthropic=[[HI, TimeoutError("its own")]]).ask(timeout_s=5.0)


def test_a_reader_that_leaves_closes_the_provider() -> None:
    """Closing the service's stream closes the provider's at once."""
    bench = Bench(anthropic=[[HI, DONE]])

    async def work() -> list[Event]:
        async with aclosing(bench.service.stream(REQUEST)) as events:  # type: ignore[type-var]
            async for event in events:
                if event == HI:
                    break
        assert bench.providers["anthropic"].open_streams == 0
        return []

    on_virtual_time(work)


def test_a_reader_that_is_cancelled_closes_the_provider() -> None:
    """Cancellation goes through to the provider and ends without a last event."""
    bench = Bench(anthropic=[[60.0, DONE]])

    async def work() -> list[Event]:
        reader = asyncio.create_task(bench.collect())
        await asyncio.sleep(1.0)
        assert bench.providers["anthropic"].open_streams == 1
        reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        assert bench.providers["anthropic"].open_streams == 0
        return []

    on_virtual_time(work)


def test_r4_parallel_failures_make_no_storm() -> None:
    """R4: 16 calls that all meet a 529 make three requests each, over one connection."""
    bench = Bench(anthropic=[[OVERLOADED] for _ in range(48)])

    async def work() -> list[Event]:
        streams = (bench.collect(task=f"t{number}") for number in range(16))
        return [event for events in await asyncio.gather(*streams) for event in events]

    assert len(models_asked(on_virtual_time(work))) == 48
    assert len(bench.providers["anthropic"].requests) == 48
    assert bench.opened == ["anthropic"]


def test_ex18_a_fallback_is_asked_after_the_last_attempt() -> None:
    """EX-18, EX-20: every attempt is on record, each with the model that was asked."""
    keys = Keys(anthropic=CANARY, openai="sk-other")
    bench = Bench(keys=keys, fallbacks=(GPT,), anthropic=[[OVERLOADED]] * 3, openai=[[DONE]])
    events = bench.ask()
    assert models_asked(events) == ["anthropic/claude-x"] * 3 + ["openai/gpt-x"]
    assert [delay for _, _, delay in failures(events)] == [0.5, 1.0, 0.0]
    assert bench.providers["openai"].requests == [msgspec.structs.replace(REQUEST, model=GPT)]
    assert events[-1] == DONE


def test_ex21_an_exhausted_chain_fails_with_its_last_cause() -> None:
    """EX-21: the second provider has no key either; its failure is the one that is reported."""
    events = Bench(keys=Keys(), fallbacks=(GPT,)).ask()
    assert failures(events) == [(1, "missing_auth", 0.0), (2, "missing_auth", None)]
    assert last_failure(events).provider == "openai"


def test_no_fallback_unless_asked_for() -> None:
    """A key for another provider is no reason to send a prompt there."""
    bench = Bench(keys=Keys(anthropic=CANARY, openai="sk-other"), anthropic=[[OVERLOADED]] * 3)
    bench.ask()
    assert list(bench.providers) == ["anthropic"]


def test_no_fallback_for_the_requests_own_fault() -> None:
    """What is wrong with the request stays wrong with another model."""
    bench = Bench(fallbacks=(GPT,), anthropic=[[REFUSED]])
    assert last_failure(bench.ask()).code == "invalid_request"
