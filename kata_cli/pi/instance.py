"""One place where agents run - a service elsewhere, or the pool of this process - and which one is next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from kata_cli.core.errors import Failure
from kata_cli.core.ports import Provider
from kata_cli.pi.breaker import Breaker
from kata_cli.pi.health import Health

MAX_COOLING_S = 60.0

# Failures that speak of the instance, not of the request or of the vendor's account.
FAULTS = frozenset({"provider_unavailable", "timeout", "agent_unavailable"})


class Instance:
    """Answers up to `capacity` requests at a time, through a provider of its own.

    Where there is a `probe`, it tells the capacity, raising `KataError`; until then one request at a time is
    let in, for which it is asked first. `now` gives monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        provider: Provider,
        now: Callable[[], float],
        *,
        capacity: int = 1,
        probe: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self.name = name
        self.provider = provider
        self.capacity = capacity
        self.in_flight = 0
        self.breaker = Breaker(now)
        self.health = Health()
        self.removed: Failure | None = None
        self.last_failure: Failure | None = None
        self._now = now
        self._cold_until_s = 0.0
        self._probe = probe

    async def measure(self) -> None:
        """Ask for the capacity, unless it is known. Raises `KataError`."""
        if self._probe is not None:
            self.capacity = max(1, await self._probe())
            self._probe = None

    @property
    def is_known(self) -> bool:
        """Whether it was ever there."""
        return self._probe is None

    @property
    def load(self) -> float:
        return self.in_flight / self.capacity

    @property
    def has_room(self) -> bool:
        return self.in_flight < self.capacity

    @property
    def is_warm(self) -> bool:
        """Whether it may be asked, room or not."""
        return self.removed is None and self._now() >= self._cold_until_s and self.breaker.may_pass

    @property
    def wait_s(self) -> float:
        """Seconds until it may be warm again."""
        return max(0.0, self._cold_until_s - self._now(), self.breaker.wait_s)

    def enter(self) -> bool:
        """A request begins. Whether it goes ahead of others that wait for its outcome."""
        self.in_flight += 1
        return self.breaker.admit()

    def leave(self) -> None:
        """A request has ended, in whichever way."""
        self.in_flight -= 1

    def succeed(self) -> None:
        self.breaker.succeed()
        self.health.note(is_success=True)

    def fail(self, failure: Failure) -> None:
        """Note a failure: a 401 is for good, a 429 for a while, and not each is the fault of the instance."""
        self.last_failure = failure
        if failure.status == 401:
            self.removed = failure
        if failure.status == 429:
            self._cold_until_s = self._now() + min(failure.retry_after_s or 0.0, MAX_COOLING_S)
        if failure.code not in FAULTS and failure.status != 401:
            self.succeed()
            return
        self.breaker.fail()
        self.health.note(is_success=False)


def pick(
    instances: Sequence[Instance], favourite: Instance | None = None, tried: Collection[Instance] = ()
) -> Instance | None:
    """The favourite if it can take a request now, else the least loaded that can, the first of equals.

    Those that were tried are passed over as long as another one is warm.
    """
    warm = [instance for instance in instances if instance.is_warm]
    untried = [instance for instance in warm if instance not in tried]
    free = [instance for instance in untried or warm if instance.has_room]
    if favourite is not None and favourite in free:
        return favourite
    return min(free, key=lambda instance: instance.load, default=None)
