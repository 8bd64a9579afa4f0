"""How fast a provider may be asked: requests and tokens a minute, less for a while after it said 429.

A token bucket each, as the vendors describe their own limits. A 429 halves the pace, as a lost packet does
in TCP, and the pace comes back bit by bit. A model that only fails is left alone (see `cooldown`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from kata_cli.core.errors import Failure
from kata_cli.core.messages import ModelRef, Request, Usage, estimate_tokens
from kata_cli.core.ports import Clock, Endpoint
from kata_cli.providers.cooldown import Cooldown

BURST_S = 1.0  # what may leave at once: vendors enforce a limit per minute over shorter times too
RECOVERY_S = 300.0  # from nothing back to the full pace; so from half of it in 150 s
SLOWEST = 1 / 64
TIMER_S = 0.001  # no timer is finer; what leaves that much too early is a debt of the next


class Pace:
    """The share of the full pace that is in force. Times are seconds of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self._share = 1.0
        self._at_s = now_s
        self._slowed_s = -1.0

    def share(self, now_s: float) -> float:
        """Between `SLOWEST` and 1."""
        return min(1.0, self._share + (now_s - self._at_s) / RECOVERY_S)

    def slow(self, sent_s: float, now_s: float) -> None:
        """Halve it for a 429, unless the request left before the last halving: of that it says nothing."""
        if sent_s <= self._slowed_s:
            return
        self._share = max(SLOWEST, self.share(now_s) / 2)
        self._at_s = self._slowed_s = now_s


class Bucket:
    """So many units a minute at the full pace. What is taken may make a debt, which is waited for first."""

    def __init__(self, per_minute: float, pace: Pace, now_s: float) -> None:
        self._per_s = per_minute / 60
        self._most = max(1.0, self._per_s * BURST_S)
        self._level = self._most
        self._pace = pace
        self._at_s = now_s
        self._share = pace.share(now_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until a unit may be taken, at the pace of now."""
        self._refill(now_s)
        wait_s = (1.0 - self._level) / (self._per_s * self._share)
        return wait_s if wait_s > TIMER_S else 0.0

    def take(self, units: float, now_s: float) -> None:
        """Take units, or give some back where it is less than 0."""
        self._refill(now_s)
        self._level = min(self._most, self._level - units)

    def _refill(self, now_s: float) -> None:
        # The pace rises in a straight line, so the mean of its ends is what flowed in.
        share = self._pace.share(now_s)
        flowed = (now_s - self._at_s) * self._per_s * (self._share + share) / 2
        self._level = min(self._most, self._level + flowed)
        self._at_s, self._share = now_s, share


class Gate:
    """The way to one provider, first come, first served."""

    def __init__(self, rpm: int | None, tpm: int | None, now_s: float) -> None:
        self.pace = Pace(now_s)
        self.requests = Bucket(rpm, self.pace, now_s) if rpm else None
        self.tokens = Bucket(tpm, self.pace, now_s) if tpm else None
        self.queue = asyncio.Lock()

    def wait_s(self, now_s: float) -> float:
        """Seconds until a request may leave."""
        return max((bucket.wait_s(now_s) for bucket in (self.requests, self.tokens) if bucket), default=0.0)

    def take(self, tokens: int, now_s: float) -> None:
        """A request of so many tokens leaves."""
        if self.requests:
            self.requests.take(1, now_s)
        self.take_tokens(tokens, now_s)

    def take_tokens(self, tokens: int, now_s: float) -> None:
        """So many tokens more than had been reckoned, or fewer."""
        if self.tokens:
            self.tokens.take(tokens, now_s)


class Limiter:
    """The limits of providers and their models. What is sent is reckoned at once, the answer at its end.

    Only the given endpoints have any: the stand-ins of the other modes do not.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._sleep = sleep
        self._gates: dict[str, Gate] = {}
        self._cooldowns: defaultdict[ModelRef, Cooldown] = defaultdict(Cooldown)

    async def admit(
        self, model: ModelRef, request: Request, deadline_s: float | None, *, is_last: bool = True
    ) -> None:
        """Wait until a request may leave, at most up to a deadline on the clock's monotonic scale.

        A request that has another model to go on with does not wait for one that is left alone.
        """
        if is_last:
            await self._wait(self._cooldowns[model].wait_s, deadline_s)
        gate = self._gate(model.provider)
        if gate is None:
            return
        async with gate.queue:
            await self._wait(gate.wait_s, deadline_s)
            gate.take(estimate_tokens(request.prompt), self._clock.monotonic())

    def cooling_s(self, model: ModelRef) -> float:
        """Seconds for which a model is left alone because it failed."""
        return self._cooldowns[model].cooling_s(self._clock.monotonic())

    def note(
        self,
        model: ModelRef,
        request: Request,
        *,
        sent_s: float,
        usage: Usage | None,
        failure: Failure | None,
    ) -> None:
        """A request that left at `sent_s` has ended; `usage` is None where it was refused."""
        now_s = self._clock.monotonic()
        if model.provider in self._endpoints:
            self._cooldowns[model].note(failure, now_s)
        gate = self._gate(model.provider)
        if gate is None:
            return
        used = usage.total if usage else 0
        gate.take_tokens(used - estimate_tokens(request.prompt), now_s)
        if failure is not None and failure.code == "rate_limited":
            gate.pace.slow(sent_s, now_s)

    async def _wait(self, wait_s: Callable[[float], float], deadline_s: float | None) -> None:
        while (left_s := wait_s(now_s := self._clock.monotonic())) > 0:
            if deadline_s is not None:
                left_s = min(left_s, deadline_s - now_s)
            if left_s <= 0:
                return  # there is no time for an answer either, as the attempt is going to find
            await self._sleep(left_s)

    def _gate(self, name: str) -> Gate | None:
        endpoint = self._endpoints.get(name)
        if endpoint is None or not (endpoint.rpm or endpoint.tpm):
            return None
        if name not in self._gates:
            self._gates[name] = Gate(endpoint.rpm, endpoint.tpm, self._clock.monotonic())
        return self._gates[name]
