"""A circuit breaker: after some failures in a row nobody is asked for a while, then one request goes ahead.

After M. Nygard, "Release It!", chapter "Stability Patterns".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]

FAILURES = 5
OPEN_S = 60.0


class Breaker:
    """Of one instance. `now` gives monotonic seconds.

    A request that is admitted ends with exactly one of `succeed`, `fail` and `drop`.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._open_until_s: float | None = None
        self._has_probe = False

    @property
    def state(self) -> State:
        """`half_open` once the time is over: then one request may show whether the others can follow."""
        if self._open_until_s is None:
            return "closed"
        return "open" if self.wait_s > 0 else "half_open"

    @property
    def wait_s(self) -> float:
        """Seconds until a request may go ahead; 0 where only another one, which did so, is in the way."""
        return 0.0 if self._open_until_s is None else max(0.0, self._open_until_s - self._now())

    @property
    def may_pass(self) -> bool:
        return self.state == "closed" or (self.state == "half_open" and not self._has_probe)

    def admit(self) -> bool:
        """Let a request pass, which must be allowed. Whether it is the one that goes ahead of the others."""
        assert self.may_pass
        self._has_probe = self.state == "half_open"
        return self._has_probe

    def succeed(self) -> None:
        """An answer came, perhaps to a request from before: it works."""
        self._failures = 0
        self._open_until_s = None
        self._has_probe = False

    def fail(self) -> None:
        """No answer came. While it is open, late failures of earlier requests say nothing new."""
        self._failures += 1
        state = self.state
        if state == "half_open" or (state == "closed" and self._failures >= FAILURES):
            self._open_until_s = self._now() + OPEN_S
            self._has_probe = False

    def drop(self, *, was_probe: bool) -> None:
        """A request was broken off from here, so nothing is known; another may go ahead in its place."""
        if was_probe:
            self._has_probe = False
