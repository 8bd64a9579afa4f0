"""Whether a failed attempt is followed by another: pure decisions, no clock and no sleep.

First match wins: content was seen, the attempts are used up, the cause is the request's own or the
account's, the provider said `x-should-retry`, the status, the wish of `retry-after`, the time left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.messages import ModelRef

ATTEMPTS = 3
BASE_DELAY_S = 0.5
MAX_DELAY_S = 8.0
JITTER = 0.25
MAX_RETRY_AFTER_S = 60.0
TIMER_SLACK_S = 0.01  # a timer may fire a little before its time

RETRY_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, *range(520, 530)})
RETRY_CODES = frozenset({"rate_limited", "provider_unavailable", "timeout"})
FINAL_CODES = frozenset(
    {"quota_exhausted", "context_too_long", "content_policy", "limit_reached", "deadline", "interrupted"}
)
FALLBACK_CODES = RETRY_CODES | {
    "missing_auth",
    "invalid_auth",
    "session_expired",
    "quota_exhausted",
    "model_not_found",
    "agent_unavailable",
}


def decide(
    failure: Failure,
    *,
    attempt: int,
    has_content: bool,
    remaining_s: float | None,
    jitter: float,
    attempts: int = ATTEMPTS,
    cooling_s: float = 0.0,
) -> float | Failure:
    """Seconds until the next attempt, or the failure that stands.

    `attempt` counts from 1, `jitter` is in 0..1, `remaining_s` is None where no deadline holds; for
    `cooling_s` the model is left alone.
    """
    if has_content or attempt >= attempts or not _is_worth_retrying(failure):
        return failure
    wish_s = _wish_s(failure)
    if wish_s > MAX_RETRY_AFTER_S:
        return _too_long(failure, wish_s)
    delay_s = max(wish_s or backoff_s(attempt, jitter), cooling_s)
    if remaining_s is not None and delay_s >= remaining_s:
        return _out_of_time(failure, remaining_s)
    return delay_s


def backoff_s(attempt: int, jitter: float) -> float:
    """Seconds to wait after the n-th attempt: 0.5, 1, 2, 4, then 8, less up to a quarter."""
    full_s = min(BASE_DELAY_S * 2.0 ** min(attempt - 1, 10), MAX_DELAY_S)
    return full_s * (1 - JITTER * jitter)


class Route:
    """The models that a request may go to, in order of wish, and how often the present one was tried."""

    def __init__(self, models: Iterable[ModelRef], attempts: int = ATTEMPTS) -> None:
        self._models = list(dict.fromkeys(models))
        self._attempts = attempts
        self._tried = 0

    @property
    def model(self) -> ModelRef:
        return self._models[0]

    @property
    def is_last(self) -> bool:
        return len(self._models) == 1

    def next(
        self,
        failure: Failure,
        *,
        has_content: bool,
        remaining_s: float | None,
        jitter: float,
        cooling_s: float = 0.0,
    ) -> float | Failure:
        """As `decide`; where another instance is next, or the next model, the delay is 0.

        Only for the last model `cooling_s` is waited for.
        """
        has_time = remaining_s is None or remaining_s > TIMER_SLACK_S
        if failure.has_other and has_time and not has_content:
            return 0.0
        self._tried += 1
        verdict = decide(
            failure,
            attempt=self._tried,
            has_content=has_content,
            remaining_s=remaining_s,
            jitter=jitter,
            attempts=self._attempts,
            cooling_s=cooling_s if self.is_last else 0.0,
        )
        if isinstance(verdict, float) or has_content or not has_time or not self._may_fall_back(failure):
            return verdict
        del self._models[0]
        self._tried = 0
        return 0.0

    def _may_fall_back(self, failure: Failure) -> bool:
        return not self.is_last and failure.code in FALLBACK_CODES


def _is_worth_retrying(failure: Failure) -> bool:
    if failure.code in FINAL_CODES or _is_refusal(failure.status):
        return False
    if failure.should_retry is not None:
        return failure.should_retry
    if failure.status is not None and failure.status >= 400:
        return failure.status in RETRY_STATUSES
    return failure.code in RETRY_CODES


def _is_refusal(status: int | None) -> bool:
    """A 4xx that no header can make worth repeating."""
    return status is not None and 400 <= status < 500 and status not in RETRY_STATUSES


def _wish_s(failure: Failure) -> float:
    """The provider's wish in seconds; 0 where there is none, or one that makes no sense."""
    wish_s = failure.retry_after_s
    if wish_s is None or math.isnan(wish_s) or wish_s < 0:
        return 0.0
    return wish_s


def _too_long(failure: Failure, wish_s: float) -> Failure:
    return msgspec.structs.replace(
        failure,
        message=f"{failure.message}; the provider asks to wait {wish_s:.0f} s",
        remediation=f"try again in {wish_s:.0f} s, or name a second model with --fallback",
    )


def _out_of_time(failure: Failure, remaining_s: float) -> Failure:
    if remaining_s <= TIMER_SLACK_S:
        return failure
    said = f"{failure.message}; {remaining_s:.1f} s are too few for another attempt"
    return msgspec.structs.replace(failure, message=said)
