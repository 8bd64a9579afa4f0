"""The budget of a run: what a request may cost is set aside before it leaves, and settled when it ends.

First come, first served. A request waits while others still hold what it needs, and is refused only when it
can no longer fit, however little they turn out to cost: so the limit is never passed, and no run fails early.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.messages import THINKING_TOKENS, ModelRef, Request, Usage, estimate_tokens

Price = Callable[[ModelRef, Usage], float | None]

ANSWER_TOKENS = 8_192
FLAGS = {"tokens": "--token-budget", "cost_usd": "--max-cost"}


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of input and output together, and US dollars."""

    tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(tokens=self.tokens + other.tokens, cost_usd=self.cost_usd + other.cost_usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(tokens=self.tokens - other.tokens, cost_usd=self.cost_usd - other.cost_usd)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a run may spend; None is without limit."""

    tokens: int | None = None
    cost_usd: float | None = None

    def exceeded(self, amount: Amount) -> str:
        """The name of the limit that the amount passes, empty where it passes none."""
        if self.tokens is not None and amount.tokens > self.tokens:
            return "tokens"
        # Sums of cents are not exact in binary: half a millionth of a dollar is no overrun.
        if self.cost_usd is not None and amount.cost_usd > self.cost_usd + 5e-7:
            return "cost_usd"
        return ""


class Account:
    """The budget of a run with the prices that it reckons with; without limits it asks for nothing."""

    def __init__(self, price: Price, limits: Limits, spent: Usage = Usage()) -> None:  # noqa: B008 - frozen
        self._price = price
        self._budget = None if limits == Limits() else Budget(limits, _amount(spent))

    def can_reckon(self, model: ModelRef) -> bool:
        """Whether a limit in dollars, if there is one, can be kept with this model."""
        if self._budget is None or self._budget.limits.cost_usd is None:
            return True
        return self._price(model, Usage(input=1, output=1)) is not None

    @property
    def is_spent(self) -> bool:
        """Whether a request has been refused."""
        return self._budget is not None and self._budget.has_refused

    def bounded(self, request: Request) -> Request:
        """The request with a bound of its answer: without one nothing can be set aside for it."""
        if self._budget is None or request.max_tokens is not None:
            return request
        return msgspec.structs.replace(request, max_tokens=ANSWER_TOKENS)

    async def reserve(self, request: Request) -> Amount:
        """Set aside the most that a bounded request may cost. Raises `KataError` limit_reached."""
        if self._budget is None:
            return Amount()
        output = (request.max_tokens or 0) + THINKING_TOKENS[request.thinking or "off"]
        most = Usage(input=estimate_tokens(request.prompt), output=output)
        amount = _amount(self.priced(request.model, most))
        await self._budget.reserve(amount)
        return amount

    def settle(self, reserved: Amount, used: Usage | None) -> None:
        """The request has ended; `used` is None when it was refused before any content came."""
        if self._budget is not None:
            self._budget.settle(reserved, _amount(used or Usage()))

    def priced(self, model: ModelRef, usage: Usage) -> Usage:
        """The usage with its cost, where the provider told none and the price is known."""
        if usage.cost_usd is not None:
            return usage
        return msgspec.structs.replace(usage, cost_usd=self._price(model, usage))


def _amount(usage: Usage) -> Amount:
    return Amount(tokens=usage.total, cost_usd=usage.cost_usd or 0.0)


class _Waiter(msgspec.Struct):
    amount: Amount
    granted: asyncio.Future[None]


class Budget:
    """What all tasks of a run share. `spent` begins with what a resumed run had spent before."""

    def __init__(self, limits: Limits, spent: Amount = Amount()) -> None:  # noqa: B008 - frozen
        self.limits = limits
        self.spent = spent
        self.has_refused = False
        self._reserved = Amount()
        self._waiters: deque[_Waiter] = deque()

    async def reserve(self, amount: Amount) -> None:
        """Set an amount aside, waiting for room. Raises `KataError` limit_reached when it cannot fit."""
        waiter = _Waiter(amount, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._pump()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise

    def settle(self, reserved: Amount, used: Amount) -> None:
        """Give a reservation back and note what was used of it, which may be more."""
        self._reserved -= reserved
        self.spent += used
        self._pump()

    def _pump(self) -> None:
        """Decide for all who wait, in their order: the one place where anything is granted or refused."""
        waiting, self._waiters = self._waiters, deque()
        while waiting:
            waiter = waiting[0]
            name = self.limits.exceeded(self.spent + waiter.amount)
            if waiter.granted.done():  # cancelled, and about to be withdrawn
                pass
            elif name:
                self.has_refused = True
                waiter.granted.set_exception(self._refusal(name, waiter.amount))
            elif self.limits.exceeded(self.spent + self._reserved + waiter.amount):
                break
            else:
                self._reserved += waiter.amount
                waiter.granted.set_result(None)
            waiting.popleft()
        self._waiters.extend(waiting)

    def _withdraw(self, waiter: _Waiter) -> None:
        """A waiter was cancelled; what it was granted in the same moment goes back."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.granted.done() and not waiter.granted.cancelled() and not waiter.granted.exception():
            self._reserved -= waiter.amount
        self._pump()

    def _refusal(self, name: str, amount: Amount) -> KataError:
        limit, spent, wanted = (getattr(part, name) for part in (self.limits, self.spent, amount))
        form = "{:,} tokens" if name == "tokens" else "${:,.4f}"
        return KataError(
            "limit_reached",
            f"{FLAGS[name]} {form.format(limit)} reached: {form.format(spent)} spent, "
            f"the next request may take {form.format(wanted)}",
            f"raise {FLAGS[name]}; --resume goes on where this run stopped",
        )
