"""When a model is left alone: as long as a 429 asked for, and for a while once failures follow each other."""

from __future__ import annotations

from collections import deque

from kata_cli.core.errors import Failure
from kata_cli.providers.retry import MAX_RETRY_AFTER_S, RETRY_STATUSES

FAILURES = 3
WITHIN_S = 60.0
COOL_S = 30.0


class Cooldown:
    """Of one model at one provider. Times are seconds of one monotonic clock.

    Only failures that the provider itself reports count, so that a port that nobody serves is not told half a
    minute late; and an answer ends their row, for of thousands of requests three may fail in a minute.
    """

    def __init__(self) -> None:
        self._failed_s: deque[float] = deque(maxlen=FAILURES)
        self._cool_until_s = 0.0
        self._asked_until_s = 0.0

    def cooling_s(self, now_s: float) -> float:
        """Seconds that are left of the pause after failures in a row."""
        return max(0.0, self._cool_until_s - now_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until a request may leave, for either reason."""
        return max(self.cooling_s(now_s), self._asked_until_s - now_s)

    def note(self, failure: Failure | None, now_s: float) -> None:
        """A request has ended, with a failure or without."""
        if failure is None:
            self._failed_s.clear()
        elif failure.code == "rate_limited":
            self._asked(failure.retry_after_s or 0.0, now_s)
        elif failure.status in RETRY_STATUSES:
            self._failed(now_s)

    def _asked(self, wish_s: float, now_s: float) -> None:
        if 0 < wish_s <= MAX_RETRY_AFTER_S:
            self._asked_until_s = max(self._asked_until_s, now_s + wish_s)

    def _failed(self, now_s: float) -> None:
        self._failed_s.append(now_s)
        if len(self._failed_s) == FAILURES and now_s - self._failed_s[0] <= WITHIN_S:
            self._cool_until_s = now_s + COOL_S
            self._failed_s.clear()
