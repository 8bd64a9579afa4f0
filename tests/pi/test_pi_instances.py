"""Several instances behind one provider: selection, waiting, failover, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core import loop
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Message, ModelInfo, ModelRef, Reply, Request
from kata_cli.pi.breaker import FAILURES, OPEN_S
from kata_cli.pi.instance import Instance, pick
from kata_cli.pi.instances import Instances

T = TypeVar("T")

GONE = Failure(code="provider_unavailable", message="refused the connection")
FULL = Failure(code="rate_limited", message="full", status=429, retry_after_s=7.0)
LOCKED = Failure(code="invalid_auth", message="not the token", status=401)


class Scripted:
    """A provider that does one step a request, of which the last repeats, each after `pace_s`.

    A step is a failure, a text that it answers, or both: text that is shown before the failure.
    """

    def __init__(self, *steps: str | Failure | tuple[str, Failure], pace_s: float = 1.0) -> None:
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.models_given: list[ModelInfo] | KataError = []
        self._steps = list(steps) or ["fine"]
        self._pace_s = pace_s

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        self.asked.append(request.task)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        try:
            await asyncio.sleep(self._pace_s)
            text, failure = step if isinstance(step, tuple) else (step, None)
            if isinstance(text, str):
                yield ContentDelta(task=request.task, text=text)
        finally:
            self.at_once -= 1
        if isinstance(step, str):
            yield ReplyFinished(reply=Reply(text=step, model="m"))
        else:
            yield ReplyFailed(failure=failure or text)  # type: ignore[arg-type]

    async def models(self) -> list[ModelInfo]:
        if isinstance(self.models_given, KataError):
            raise self.models_given
        return self.models_given

    async def aclose(self) -> None:
        return None


def asking(task: str, text: str = "") -> Request:
    return Request(task=task, model=ModelRef("v", "m"), messages=(Message("user", text or task),))


def now() -> float:
    return asyncio.get_running_loop().time()


def together(*scripted: Scripted, capacity: int = 1) -> tuple[Instances, list[Instance]]:
    """Instances a, b, c … over these providers."""
    found = [
        Instance(name, provider, now, capacity=capacity)
        for name, provider in zip("abcdef", scripted, strict=False)
    ]
    return Instances(found), found


async def answer(instances: Instances, request: Request) -> Event:
    """The last event of one request."""
    async with aclosing(instances.stream(request)) as events:
        return [event async for event in events][-1]


def virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run on virtual time."""

    async def run() -> T:
        return await main()

    return loop.run(run(), is_virtual=True)


def failure_of(event: Event) -> Failure:
    assert isinstance(event, ReplyFailed), event
    return event.failure


def host_of(event: Event) -> str:
    assert isinstance(event, ReplyFinished), event
    return event.reply.host


def test_pi_41_the_least_loaded_is_next_and_of_equals_the_first() -> None:
    """PI-41: load is what is in flight over the capacity."""
    a, b, c = (Instance(name, Scripted(), lambda: 0.0, capacity=4) for name in "abc")
    assert pick([a, b, c]) is a
    a.enter()
    assert pick([a, b, c]) is b
    b.enter()
    c.capacity = 1
    c.enter()
    assert pick([a, b, c]) is a
    b.capacity = 8
    assert pick([a, b, c]) is b


STATES = st.lists(
    st.tuples(
        st.integers(1, 4), st.integers(0, 4), st.sampled_from(["", "open", "half_open", "cold", "removed"])
    ),
    min_size=1,
    max_size=5,
)


def _in_state(number: int, capacity: int, in_flight: int, state: str) -> Instance:
    now_s = 0.0
    instance = Instance(str(number), Scripted(), lambda: now_s, capacity=capacity)
    for _ in range(min(in_flight, capacity)):
        instance.enter()
    if state in ("open", "half_open"):
        for _ in range(FAILURES):
            instance.fail(GONE)
    now_s = OPEN_S if state == "half_open" else 0.0
    if state in ("cold", "removed"):
        instance.fail(FULL if state == "cold" else LOCKED)
    return instance


@given(STATES, st.integers(0, 4), st.sets(st.integers(0, 4)))
@settings(max_examples=100, deadline=None)
def test_the_pick_keeps_every_law(
    states: list[tuple[int, int, str]], favourite: int, tried: set[int]
) -> None:
    """Never one that is full, cold, removed or open; the favourite if it can; else none is less loaded."""
    found = [_in_state(number, *state) for number, state in enumerate(states)]
    known = dict(enumerate(found))
    picked = pick(found, known.get(favourite), [known[number] for number in tried if number in known])
    usable = [
        instance
        for instance, (_, _, state) in zip(found, states, strict=True)
        if state in ("", "half_open") and instance.in_flight < instance.capacity
    ]
    fresh = [instance for instance in usable if int(instance.name) not in tried]
    if picked is None:
        assert not fresh
        return
    assert picked in usable
    assert picked in fresh or not fresh
    if known.get(favourite) in fresh:
        assert picked is known[favourite]
    elif picked is not known.get(favourite):
        assert picked.load == min(instance.load for instance in (fresh or usable))


def test_a_conversation_stays_where_it_is() -> None:
    """Sticky by how it begins, as long as there is room; another conversation of that task is its own."""

    async def main() -> None:
        instances, _ = together(a := Scripted(), b := Scripted(), capacity=2)
        busy = asyncio.create_task(answer(instances, asking("other")))
        await asyncio.sleep(0)
        for text in ("first", "first", "first"):
            await answer(instances, asking("look", text))
        assert (a.asked, b.asked) == (["other"], ["look"] * 3)
        await answer(instances, asking("look", "second"))
        assert a.asked == ["other", "look"]
        await busy

    virtually(main)


def test_nobody_gets_more_than_its_capacity_and_who_came_first_is_first() -> None:
    """The rest waits for room, in its order."""

    async def main() -> None:
        instances, _ = together(a := Scripted(), b := Scripted(pace_s=1.5), capacity=2)
        tasks = [f"t{number:02}" for number in range(12)]
        await asyncio.gather(*(answer(instances, asking(task)) for task in tasks))
        assert (a.most_at_once, b.most_at_once) == (2, 2)
        assert sorted(a.asked + b.asked) == tasks
        assert a.asked == sorted(a.asked)
        assert b.asked == sorted(b.asked)

    virtually(main)


def test_pi_42_a_failure_before_the_first_content_moves_on_at_once() -> None:
    """PI-42: it says so in `has_other`; the same request then goes where it has not been, once each."""

    async def main() -> list[Failure | str]:
        instances, _ = together(Scripted(GONE), Scripted(GONE), Scripted("fine"), capacity=9)
        ends = [await answer(instances, asking("look")) for _ in range(3)]
        return [host_of(end) if isinstance(end, ReplyFinished) else failure_of(end) for end in ends]

    first, second, third = virtually(main)
    assert isinstance(first, Failure)
    assert isinstance(second, Failure)
    assert (first.has_other, second.has_other, third) == (True, True, "c")
    assert (first.message, second.message) == ("a: refused the connection", "b: refused the connection")


def test_when_all_were_tried_the_failure_stands() -> None:
    """And the next attempt begins anew, with the first."""

    async def main() -> None:
        instances, _ = together(a := Scripted(GONE), b := Scripted(GONE), capacity=9)
        ends = [failure_of(await answer(instances, asking("look"))) for _ in range(4)]
        assert [end.has_other for end in ends] == [True, False, True, False]
        assert len(a.asked) == len(b.asked) == 2

    virtually(main)


STAYS = [
    ("Hel", GONE),
    Failure(code="content_policy", message="declined"),
    Failure(code="context_too_long", message="too much"),
    Failure(code="invalid_request", message="odd", status=400),
]


@pytest.mark.parametrize("step", STAYS)
def test_what_would_fail_elsewhere_too_or_was_shown_stays(step: Any) -> None:
    """No failover after the first content, nor for a refusal of the request itself."""

    async def main() -> None:
        instances, _ = together(Scripted(step), other := Scripted(), capacity=9)
        assert not failure_of(await answer(instances, asking("look"))).has_other
        assert other.asked == []

    virtually(main)


def test_a_401_takes_an_instance_out_for_good() -> None:
    """The token will not get better within the run; when all are out, that is told at once."""

    async def main() -> None:
        instances, _ = together(a := Scripted(LOCKED), b := Scripted("fine", LOCKED), capacity=9)
        assert failure_of(await answer(instances, asking("look"))).has_other
        await asyncio.sleep(10 * OPEN_S)
        assert host_of(await answer(instances, asking("x"))) == "b"
        assert failure_of(await answer(instances, asking("y"))).code == "invalid_auth"
        assert failure_of(await answer(instances, asking("z"))).code == "invalid_auth"
        assert (len(a.asked), len(b.asked)) == (1, 2)
        assert instances.warnings == [
            "a was left out: not the token",
            "b was left out: not the token",
        ]

    virtually(main)


@pytest.mark.parametrize(("wish_s", "wait_s"), [(7.0, 7.0), (3600.0, 60.0)])
def test_a_429_cools_an_instance_for_its_wish(wish_s: float, wait_s: float) -> None:
    """Others take over; without one it is waited for, at most a minute."""

    async def main() -> None:
        full = msgspec.structs.replace(FULL, retry_after_s=wish_s)
        instances, (a,) = together(Scripted(full, "fine", pace_s=0.0))
        await answer(instances, asking("look"))
        began_s = now()
        assert host_of(await answer(instances, asking("look"))) == "a"
        assert now() - began_s == wait_s
        assert a.health.status == "healthy"

    virtually(main)


def test_when_all_are_cold_the_first_to_be_warm_is_waited_for() -> None:
    """Within the deadline of the request, which its caller keeps."""

    async def main() -> None:
        later = msgspec.structs.replace(FULL, retry_after_s=20.0)
        instances, _ = together(Scripted(later, "a"), Scripted(FULL, "b"), capacity=9)
        await asyncio.gather(answer(instances, asking("x")), answer(instances, asking("y")))
        began_s = now()
        assert host_of(await answer(instances, asking("z"))) == "b"
        assert now() - began_s == pytest.approx(7.0 + 1.0)

    virtually(main)


def test_an_instance_that_was_never_there_is_not_waited_for() -> None:
    """A wrong address must not cost minutes: its failure is told again."""

    async def main() -> None:
        async def probe() -> int:
            raise KataError.of(GONE)

        lost = Instance("a", Scripted(), now, probe=probe)
        instances = Instances([lost])
        for _ in range(2 * FAILURES):
            assert failure_of(await answer(instances, asking("look"))).code == "provider_unavailable"
        assert now() == 0.0
        assert lost.breaker.state == "open"

    virtually(main)


def test_one_that_was_there_is_tried_again_after_a_minute() -> None:
    """One request goes ahead; when it is answered, all others follow."""

    async def main() -> None:
        instances, (a,) = together(Scripted(*[GONE] * FAILURES, "back", pace_s=0.0), capacity=9)
        for _ in range(FAILURES):
            await answer(instances, asking("look"))
        assert a.breaker.state == "open"
        ends = await asyncio.gather(*(answer(instances, asking(task)) for task in "xyz"))
        assert [host_of(end) for end in ends] == ["a", "a", "a"]
        assert now() == OPEN_S

    virtually(main)


def test_the_capacity_is_asked_for_once_by_the_first_request() -> None:
    """Until it is known, one request at a time goes there."""

    async def main() -> None:
        asked = 0

        async def probe() -> int:
            nonlocal asked
            asked += 1
            return 3

        provider = Scripted()
        instances = Instances([Instance("a", provider, now, probe=probe)])
        await asyncio.gather(*(answer(instances, asking(str(number))) for number in range(7)))
        assert (asked, provider.most_at_once) == (1, 3)

    virtually(main)


def test_who_leaves_while_waiting_or_at_work_gives_its_place_back() -> None:
    """A cancelled request costs no seat."""

    async def main() -> None:
        instances, (a,) = together(provider := Scripted(pace_s=100.0))
        tasks = [asyncio.create_task(answer(instances, asking(task))) for task in "xyz"]
        await asyncio.sleep(1)
        tasks[1].cancel()
        tasks[0].cancel()
        await asyncio.sleep(1)
        assert provider.asked == ["x", "z"]
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (a.in_flight, a.health.measured) == (0, 0)

    virtually(main)


def listed(*ids: str) -> list[ModelInfo]:
    return [ModelInfo(provider="v", id=name) for name in ids]


def test_the_models_are_those_that_all_have() -> None:
    """Any instance may get a request; one that does not answer is passed over."""

    async def main() -> list[str]:
        a, b, c = Scripted(), Scripted(), Scripted()
        a.models_given, b.models_given = listed("one", "two", "three"), listed("three", "one")
        c.models_given = KataError.of(GONE)
        instances, _ = together(a, b, c)
        return [model.id for model in await instances.models()]

    assert virtually(main) == ["one", "three"]


def test_no_models_without_an_answer() -> None:
    """Then the first failure is told."""

    async def main() -> None:
        lost = Scripted()
        lost.models_given = KataError.of(GONE)
        with pytest.raises(KataError, match="refused"):
            await together(lost)[0].models()

    virtually(main)


def test_what_did_not_do_well_is_told_with_its_figures() -> None:
    """And nothing is told of what did, or was never asked."""

    async def main() -> list[str]:
        instances, _ = together(Scripted(GONE, "fine"), Scripted(), Scripted(), capacity=9)
        await answer(instances, asking("x"))
        await answer(instances, asking("x"))
        return instances.warnings

    assert virtually(main) == ["a was degraded: 1 of the last 1 requests failed"]


def test_a_request_that_had_to_wait_for_one_it_had_tried_does_not_move_again() -> None:
    """While both were full another request took the second one's turn: each is tried once a round."""
    full = Failure(code="rate_limited", message="full", status=429, retry_after_s=7.0)

    async def main() -> list[bool]:
        instances, _ = together(Scripted(full), Scripted(full), capacity=1)

        async def second() -> None:
            await asyncio.sleep(1.0)
            await answer(instances, asking("t1"))

        other = asyncio.create_task(second())
        await asyncio.sleep(0)
        ends = [await answer(instances, asking("t0")) for _ in range(2)]
        await other
        return [isinstance(end, ReplyFailed) and end.failure.has_other for end in ends]

    assert virtually(main) == [True, False]


def _steps() -> Iterator[st.SearchStrategy[Any]]:
    yield st.just("fine")
    yield st.sampled_from([GONE, FULL, LOCKED, Failure(code="content_policy", message="no")])
    yield st.just(("some", GONE))


SCRIPTS = st.lists(
    st.tuples(st.lists(st.one_of(*_steps()), min_size=1, max_size=6), st.integers(1, 3)),
    min_size=1,
    max_size=4,
)


@given(SCRIPTS, st.integers(1, 15), st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_every_request_ends_and_no_law_is_broken(
    scripts: list[tuple[list[Any], int]], requests: int, gap_s: float
) -> None:
    """Never above a capacity, one end each, no move onto what was tried, no seat lost."""

    async def main() -> None:
        providers = [Scripted(*steps) for steps, _ in scripts]
        found = [
            Instance(str(number), provider, now, capacity=capacity)
            for number, (provider, (_, capacity)) in enumerate(zip(providers, scripts, strict=True))
        ]
        instances = Instances(found)

        async def one(task: str) -> None:
            for _ in range(len(found)):
                before = {instance.name: instance.provider.asked.count(task) for instance in found}  # type: ignore[attr-defined]
                end = await answer(instances, asking(task))
                assert isinstance(end, ReplyFinished | ReplyFailed)
                assert max(before.values()) <= 1
                if isinstance(end, ReplyFinished) or not end.failure.has_other:
                    return
            raise AssertionError("moved more often than there are instances")

        async def paced(number: int) -> None:
            await asyncio.sleep(number * gap_s)
            await one(f"t{number}")

        await asyncio.gather(*map(paced, range(requests)))
        for provider, instance in zip(providers, found, strict=True):
            assert provider.most_at_once <= instance.capacity
            assert instance.in_flight == 0
        await instances.aclose()

    virtually(main)
