"""The circuit breaker and the measure of health, on a clock of their own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.pi.breaker import FAILURES, OPEN_S, Breaker
from kata_cli.pi.health import MIN_MEASURED, UNHEALTHY_IN_A_ROW, WINDOW, Health


class HandClock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def opened() -> tuple[Breaker, HandClock]:
    clock = HandClock()
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        breaker.admit()
        breaker.fail()
    return breaker, clock


def test_pi_42_five_failures_in_a_row_open_it_for_a_minute() -> None:
    """PI-42: nobody passes for 60 s, and it says how long that is."""
    breaker, clock = opened()
    assert (breaker.state, breaker.may_pass, breaker.wait_s) == ("open", False, OPEN_S)
    clock.now_s += OPEN_S - 1
    assert (breaker.state, breaker.wait_s) == ("open", 1.0)


def test_a_success_in_between_starts_the_count_anew() -> None:
    """Only failures in a row count."""
    breaker = Breaker(HandClock())
    for number in range(4 * FAILURES):
        breaker.admit()
        if number % FAILURES == FAILURES - 1:
            breaker.succeed()
        else:
            breaker.fail()
    assert breaker.state == "closed"


def test_then_one_request_goes_ahead() -> None:
    """Half-open, one passes and the others wait for what becomes of it."""
    breaker, clock = opened()
    clock.now_s += OPEN_S
    assert breaker.state == "half_open"
    assert breaker.admit()
    assert not breaker.may_pass


def test_what_becomes_of_it_decides() -> None:
    """A success closes, a failure opens for another minute."""
    breaker, clock = opened()
    clock.now_s += OPEN_S
    breaker.admit()
    breaker.fail()
    assert (breaker.state, breaker.wait_s) == ("open", OPEN_S)
    clock.now_s += OPEN_S
    breaker.admit()
    breaker.succeed()
    assert breaker.state == "closed"
    assert not breaker.admit()


def test_a_request_that_is_broken_off_lets_another_go_ahead() -> None:
    """A cancellation says nothing about the instance."""
    breaker, clock = opened()
    clock.now_s += OPEN_S
    breaker.drop(was_probe=breaker.admit())
    assert breaker.may_pass


def test_late_failures_do_not_lengthen_the_wait() -> None:
    """Requests from before it opened fail one after the other."""
    breaker, clock = opened()
    clock.now_s += 10
    breaker.fail()
    assert breaker.wait_s == OPEN_S - 10


STEPS = st.lists(st.sampled_from(["admit", "succeed", "fail", "drop", "wait"]), max_size=60)


@given(STEPS)
@settings(max_examples=100, deadline=None)
def test_no_request_passes_an_open_breaker(steps: list[str]) -> None:
    """Whatever happens, after five failures in a row no more than one passes within any 60 s."""
    clock = HandClock()
    breaker, failed, probes = Breaker(clock), 0, 0
    for step in steps:
        if step == "wait":
            clock.now_s += OPEN_S / 2
        elif step == "admit" and breaker.may_pass:
            probes += breaker.admit()
        elif step == "succeed":
            breaker.succeed()
            failed = probes = 0
        elif step == "fail":
            breaker.fail()
            failed, probes = failed + 1, 0
        elif step == "drop":
            breaker.drop(was_probe=probes > 0)
            probes = 0
        assert probes <= 1
        assert breaker.state == "closed" or failed >= FAILURES
        assert not (breaker.may_pass and breaker.state == "open")


def measured(outcomes: str) -> Health:
    """Health after requests that went well (+) or failed (-)."""
    health = Health()
    for outcome in outcomes:
        health.note(is_success=outcome == "+")
    return health


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ("", "unknown"),
        ("+", "healthy"),
        ("-", "degraded"),
        ("++++++++++-", "degraded"),
        ("-++++++++++", "healthy"),
        ("-+++++++++", "degraded"),
        ("-" * UNHEALTHY_IN_A_ROW, "unhealthy"),
        ("+" * WINDOW + "-" * UNHEALTHY_IN_A_ROW, "unhealthy"),
        ("-+", "degraded"),
        ("-+-+", "unhealthy"),
        ("-" * WINDOW + "+" * WINDOW, "healthy"),
    ],
)
def test_he_08_health_follows_from_what_was_measured(outcomes: str, status: str) -> None:
    """HE-08: by failures in a row and by their rate within the window; nothing measured is not healthy."""
    assert measured(outcomes).status == status


@given(st.text("+-", max_size=60))
@settings(max_examples=100, deadline=None)
def test_health_tells_what_it_counted(outcomes: str) -> None:
    """The figures are those of the last requests, and of no others."""
    health, window = measured(outcomes), outcomes[-WINDOW:]
    assert (health.measured, health.failed) == (len(window), window.count("-"))
    assert health.failed_in_a_row == len(window) - len(window.rstrip("-"))
    assert f"{window.count('-')} of the last {len(window)}" in str(health)
    if health.measured >= MIN_MEASURED and "+" not in window:
        assert health.status == "unhealthy"
