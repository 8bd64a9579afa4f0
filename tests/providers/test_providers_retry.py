"""The retry decision: a table of status and attempt, and the laws that hold for every input."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.errors import MEANINGS, Failure
from kata_cli.core.messages import ModelRef
from kata_cli.providers.retry import (
    ATTEMPTS,
    MAX_DELAY_S,
    MAX_RETRY_AFTER_S,
    Route,
    backoff_s,
    decide,
)

WORTH_IT = [408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 529]
NOT_WORTH_IT = [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 451, 501, 505]
FIRST = ModelRef("anthropic", "a")
SECOND = ModelRef("openai", "b")


def failure(
    code: str = "provider_unavailable",
    status: int | None = None,
    retry_after_s: float | None = None,
    should_retry: bool | None = None,
) -> Failure:
    return Failure(
        code=code, message="no", status=status, retry_after_s=retry_after_s, should_retry=should_retry
    )


def verdict(
    failed: Failure, attempt: int = 1, *, has_content: bool = False, remaining_s: float | None = None
) -> float | Failure:
    return decide(failed, attempt=attempt, has_content=has_content, remaining_s=remaining_s, jitter=0.0)


@pytest.mark.parametrize(("attempt", "delay_s"), [(1, 0.5), (2, 1.0), (3, None)])
@pytest.mark.parametrize("status", WORTH_IT)
def test_r1_statuses_that_pass_are_tried_three_times(
    status: int, attempt: int, delay_s: float | None
) -> None:
    """R1: two waits of 0.5 and 1 s, then the failure itself."""
    failed = failure(status=status)
    assert verdict(failed, attempt) == (failed if delay_s is None else delay_s)


@pytest.mark.parametrize("attempt", [1, 2, 3])
@pytest.mark.parametrize("should_retry", [None, True, False])
@pytest.mark.parametrize("status", [status for status in NOT_WORTH_IT if status < 500])
def test_r2_refusals_are_never_repeated(status: int, should_retry: bool | None, attempt: int) -> None:
    """R2: other 4xx stand at once, whatever a header says."""
    failed = failure("invalid_request", status, should_retry=should_retry)
    assert verdict(failed, attempt) is failed


@pytest.mark.parametrize("status", [501, 505, 599])
def test_other_5xx_need_the_providers_word(status: int) -> None:
    """A 5xx outside the table is repeated only if the provider asks for it."""
    assert isinstance(verdict(failure(status=status)), Failure)
    assert verdict(failure(status=status, should_retry=True)) == 0.5


@pytest.mark.parametrize("code", ["quota_exhausted", "context_too_long", "content_policy"])
@pytest.mark.parametrize("status", [None, 400, 402, 429, 500])
def test_e16_spent_limits_beat_status_and_header(code: str, status: int | None) -> None:
    """E16, F28: a limit that is spent, or a prompt that is too long, does not get better by waiting."""
    failed = failure(code, status, should_retry=True)
    assert verdict(failed) is failed


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_failures_without_status_are_judged_by_their_code(code: str) -> None:
    """Broken connections, silence and overload inside a stream are worth another attempt, all else not."""
    is_retried = isinstance(verdict(failure(code)), float)
    assert is_retried == (code in {"rate_limited", "provider_unavailable", "timeout"})


def test_should_retry_false_is_obeyed() -> None:
    """The provider's own `x-should-retry: false` ends it."""
    assert isinstance(verdict(failure(status=529, should_retry=False)), Failure)


def test_should_retry_true_ends_with_the_attempts() -> None:
    """`x-should-retry: true` does not buy a fourth attempt."""
    assert isinstance(verdict(failure(status=529, should_retry=True), ATTEMPTS), Failure)


def test_r5_content_forbids_another_attempt() -> None:
    """R5: what was seen cannot be unseen."""
    failed = failure(status=529, should_retry=True)
    assert verdict(failed, has_content=True) is failed


@pytest.mark.parametrize("wish_s", [0.001, 1.0, 7.5, 60.0])
def test_f25_a_short_wish_is_obeyed_to_the_letter(wish_s: float) -> None:
    """F25: `retry-after` up to 60 s is the delay."""
    assert verdict(failure("rate_limited", 429, wish_s)) == wish_s


@pytest.mark.parametrize("wish_s", [None, 0.0, -1.0, math.nan, -math.inf])
def test_r3_a_senseless_wish_counts_as_none(wish_s: float | None) -> None:
    """R3, F26: nothing, zero, the past and NaN leave our own delay."""
    assert verdict(failure("rate_limited", 429, wish_s)) == 0.5


@pytest.mark.parametrize("wish_s", [60.5, 3600.0, 86_400.0, math.inf])
def test_f27_a_long_wish_fails_at_once_and_is_named(wish_s: float) -> None:
    """E17, F27: above 60 s the run fails and says how long the provider wanted."""
    ended = verdict(failure("rate_limited", 429, wish_s))
    assert isinstance(ended, Failure)
    assert ended.message == f"no; the provider asks to wait {wish_s:.0f} s"
    assert "--fallback" in ended.hint


@pytest.mark.parametrize(
    ("remaining_s", "is_retried"), [(None, True), (0.51, True), (0.5, False), (0.2, False)]
)
def test_r7_no_delay_passes_the_deadline(remaining_s: float | None, is_retried: bool) -> None:
    """R7: an attempt that could not even start in time is not promised."""
    assert isinstance(verdict(failure(status=500), remaining_s=remaining_s), float) == is_retried


def test_too_little_time_is_said() -> None:
    """The failure tells that time, not the number of attempts, was the limit."""
    ended = verdict(failure(status=500), remaining_s=0.2)
    assert isinstance(ended, Failure)
    assert ended.message == "no; 0.2 s are too few for another attempt"


def test_a_passed_deadline_changes_no_word() -> None:
    """When the deadline itself was the cause, its own message is enough."""
    failed = failure("timeout")
    assert verdict(failed, remaining_s=0.0) is failed


@given(attempt=st.integers(1, 10_000), jitter=st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_backoff_stays_in_bounds(attempt: int, jitter: float) -> None:
    """The delay doubles from 0.5 s, ends at 8 s and loses at most a quarter by jitter."""
    full_s = backoff_s(attempt, 0.0)
    assert full_s == min(0.5 * 2 ** min(attempt - 1, 4), MAX_DELAY_S)
    assert 0.75 * full_s <= backoff_s(attempt, jitter) <= full_s


@given(
    code=st.sampled_from(sorted(MEANINGS)),
    status=st.none() | st.integers(100, 599),
    retry_after_s=st.none() | st.floats(),
    should_retry=st.none() | st.booleans(),
    attempt=st.integers(1, 5),
    has_content=st.booleans(),
    remaining_s=st.none() | st.floats(-10, 100),
    jitter=st.floats(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_every_delay_is_finite_and_permitted(
    code: str,
    status: int | None,
    retry_after_s: float | None,
    should_retry: bool | None,
    attempt: int,
    has_content: bool,
    remaining_s: float | None,
    jitter: float,
) -> None:
    """Whatever is thrown at it: at most 60 s, inside the deadline, before content, within three attempts."""
    failed = failure(code, status, retry_after_s, should_retry)
    result = decide(failed, attempt=attempt, has_content=has_content, remaining_s=remaining_s, jitter=jitter)
    if isinstance(result, Failure):
        assert result.code == code
        return
    assert 0 < result <= MAX_RETRY_AFTER_S
    assert remaining_s is None or result < remaining_s
    assert attempt < ATTEMPTS
    assert not has_content


def steps(failed: Failure, *, has_content: bool = False, remaining_s: float | None = None) -> list[str]:
    """The models tried on a route of two until one verdict stands."""
    route = Route([FIRST, SECOND, FIRST])
    tried = []
    while True:
        tried.append(route.model.id)
        result = route.next(failed, has_content=has_content, remaining_s=remaining_s, jitter=0.0)
        if isinstance(result, Failure):
            return tried


def test_ex18_a_fallback_comes_after_the_last_attempt() -> None:
    """EX-18: the second model is asked when the first is given up, and as often."""
    assert steps(failure(status=529)) == ["a", "a", "a", "b", "b", "b"]


@pytest.mark.parametrize(
    "code", ["missing_auth", "invalid_auth", "session_expired", "quota_exhausted", "model_not_found"]
)
def test_causes_that_another_model_may_not_have_go_on(code: str) -> None:
    """Auth, quota and unknown models are not repeated but passed to the next model."""
    assert steps(failure(code)) == ["a", "b"]


@pytest.mark.parametrize("code", ["invalid_request", "context_too_long", "content_policy", "usage"])
def test_the_requests_own_fault_does_not_fall_back(code: str) -> None:
    """A request that is wrong is wrong everywhere."""
    assert steps(failure(code)) == ["a"]


def test_no_fallback_after_content() -> None:
    """A half answer is never followed by one of another model."""
    assert steps(failure(status=529), has_content=True) == ["a"]


def test_no_fallback_after_the_deadline() -> None:
    """Without time left no second model is asked."""
    assert steps(failure("timeout"), remaining_s=0.0) == ["a"]


def test_another_instance_is_asked_at_once_and_costs_no_attempt() -> None:
    """A failure that has another instance moves on, however often; content or a deadline ends that."""
    route = Route([FIRST], attempts=1)
    movable = msgspec.structs.replace(failure("invalid_auth", 401), has_other=True)
    for _ in range(5):
        assert route.next(movable, has_content=False, remaining_s=None, jitter=0.0) == 0.0
    assert route.next(movable, has_content=False, remaining_s=0.0, jitter=0.0) == movable
    assert route.next(movable, has_content=True, remaining_s=None, jitter=0.0) == movable
