"""How well an instance has answered lately, by nothing but what was measured."""

from __future__ import annotations

from collections import deque
from typing import Literal

Status = Literal["unknown", "healthy", "degraded", "unhealthy"]

WINDOW = 20
DEGRADED_RATE = 0.1
UNHEALTHY_RATE = 0.5
MIN_MEASURED = 4  # a rate over fewer requests says little
UNHEALTHY_IN_A_ROW = 3


class Health:
    """The outcomes of the last `WINDOW` requests."""

    def __init__(self) -> None:
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)

    def note(self, *, is_success: bool) -> None:
        self._outcomes.append(is_success)

    @property
    def measured(self) -> int:
        return len(self._outcomes)

    @property
    def failed(self) -> int:
        return self._outcomes.count(False)

    @property
    def failed_in_a_row(self) -> int:
        """How many of the latest requests failed, without one that succeeded in between."""
        return next(
            (number for number, is_success in enumerate(reversed(self._outcomes)) if is_success),
            self.measured,
        )

    @property
    def status(self) -> Status:
        """`unhealthy` by failures in a row or by their rate, `degraded` when some fail."""
        if not self.measured:
            return "unknown"
        rate = self.failed / self.measured
        is_mostly_failing = self.measured >= MIN_MEASURED and rate >= UNHEALTHY_RATE
        if self.failed_in_a_row >= UNHEALTHY_IN_A_ROW or is_mostly_failing:
            return "unhealthy"
        return "degraded" if self.failed_in_a_row or rate >= DEGRADED_RATE else "healthy"

    def __str__(self) -> str:
        return f"{self.status}: {self.failed} of the last {self.measured} requests failed"
