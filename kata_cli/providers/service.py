"""The one door to all providers: mode gate, choice, credentials, retries, fallback, deadline.

Adapters behind it never retry, sleep or read the environment; callers in front of it never see which
adapter answers.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import Event, ReplyFinished
from kata_cli.core.messages import ModelInfo, ModelRef, Request, Usage
from kata_cli.core.ports import Clock, Credentials, Endpoint, Provider, Timeouts
from kata_cli.providers import registry
from kata_cli.providers.attempt import Attempt
from kata_cli.providers.budget import Account, Amount, Limits
from kata_cli.providers.choice import Choice, Chooser, unsendable
from kata_cli.providers.connections import Connect, Connections, Refusal, is_sendable
from kata_cli.providers.rate import Limiter
from kata_cli.providers.retry import ATTEMPTS, Route

MOST_REQUESTS = 10_000  # the most that --jobs allows


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every request of a command. `attempts` is the number for each model.

    `hosts` are those of the services that agents of pi mode run at.
    """

    mode: str  # native | pi | mock
    mode_source: str
    timeouts: Timeouts
    fallbacks: tuple[ModelRef, ...] = ()
    hosts: tuple[str, ...] = ()
    attempts: int = ATTEMPTS


class ProviderService:
    """A `LiveProvider` over all providers of a command. The redactor learns each secret by `on_secret`.

    At most `most_requests` are under way at a time. With `is_paced` they wait for the limits of providers.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        endpoints: Mapping[str, Endpoint],
        credentials: Credentials,
        clock: Clock,
        on_secret: Callable[[str], None],
        connect: Connect = registry.connect,
        account: Account = Account(lambda model, usage: None, Limits()),  # noqa: B008 - keeps nothing
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        most_requests: int = MOST_REQUESTS,
        is_paced: bool = True,
    ) -> None:
        self.policy = policy
        self._endpoints = endpoints
        self._clock = clock
        self._account = account
        self._sleep = sleep
        self._jitter = jitter
        self._attempts: Counter[str] = Counter()
        self._slots = asyncio.Semaphore(most_requests)
        self._limiter = Limiter(endpoints if is_paced and policy.mode == "native" else {}, clock, sleep)
        stand_in = self._stand_in
        reachable = {**endpoints, stand_in.name: stand_in} if stand_in else endpoints
        self._connections = Connections(reachable, credentials, policy.timeouts, connect, on_secret)
        self._chooser = Chooser(policy.mode, endpoints, self._connections, policy.hosts)

    def for_run(self) -> ProviderService:
        """The service for one of several runs: it shares everything but the numbers of the attempts."""
        service = copy.copy(self)
        service._attempts = Counter()
        return service

    def choose(self, provider: str | None, model: str | None, *, needs_key: bool = True) -> Choice:
        """The model that a run would use, from the settings `provider` and `model`, already merged.

        Raises `KataError`: usage for a name that cannot be, `missing_auth` or `invalid_auth` where no key
        can be used. With `needs_key=False`, for a dry run, `key_source` says
        what is missing instead.
        """
        return self._chooser.choose(provider, model, needs_key=needs_key)

    def priced(self, model: ModelRef, usage: Usage) -> Usage:
        """A usage with its cost, where the price of the model is known."""
        return self._account.priced(self._chooser.gated(model), usage)

    def check_priced(self, model: ModelRef) -> None:
        """Refuse a limit in dollars over a model without a price. Raises `KataError` usage."""
        if not self._account.can_reckon(self._chooser.gated(model)):
            raise KataError(
                "usage",
                f"--max-cost: nobody knows the price of {model}",
                "--token-budget N bounds tokens instead",
            )

    def endpoint(self, provider: str) -> Endpoint:
        """Where requests to a provider go: in mock and pi mode always there. Raises `KataError` usage."""
        return self._stand_in or self._connections.endpoint(provider)

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        """Attempts until one is answered or the failure stands; the last event is the reply's end.

        Every attempt is announced by `AttemptStarted` and closed by its usage, if any, and by
        `AttemptFailed`, if so. `request.timeout_s` bounds them all together.
        """
        deadline_s = None if request.timeout_s is None else self._clock.monotonic() + request.timeout_s
        route = Route(map(self._chooser.gated, (request.model, *self.policy.fallbacks)), self.policy.attempts)
        await self._slots.acquire()
        try:
            while True:
                await self._limiter.admit(route.model, request, deadline_s, is_last=route.is_last)
                attempt = self._attempt(request, route.model, deadline_s)
                async with aclosing(self._made(attempt)) as events:
                    async for event in events:
                        yield event
                last, delay_s = self._ending(route, attempt)
                for event in last:
                    yield event
                if delay_s is None:
                    return
                await self._sleep(delay_s)
        finally:
            self._slots.release()

    async def _made(self, attempt: Attempt) -> AsyncGenerator[Event, None]:
        """All events of one attempt but its last, then its usage; nothing when the budget refuses it."""
        try:
            reserved = await self._account.reserve(attempt.request)
        except KataError as error:
            attempt.refuse(error.failure)
            return
        try:
            yield attempt.started()
            async with aclosing(attempt.relay(self._open(attempt.request.model))) as events:
                async for event in events:
                    yield event
        finally:
            self._settle(attempt, reserved)
        if usage := attempt.usage():
            yield usage

    def _ending(self, route: Route, attempt: Attempt) -> tuple[list[Event], float | None]:
        """The last events of an attempt, and the seconds until the next one, if there is one."""
        end = attempt.end
        if isinstance(end, ReplyFinished) or attempt.is_refused:
            return [end], None
        verdict = self._verdict(route, attempt, end.failure)
        if isinstance(verdict, Failure):
            return [attempt.failed(verdict, None), msgspec.structs.replace(end, failure=verdict)], None
        return [attempt.failed(end.failure, verdict)], verdict

    async def steer(self, task: str, text: str) -> bool:
        """Give a message to the answer under way; False where no provider can. Raises `KataError`."""
        for provider in self._connections.live:
            if await provider.steer(task, text):
                return True
        return False

    async def leave(self, task: str) -> None:
        """Let go what providers keep for a conversation."""
        self._attempts.pop(task, None)
        for provider in self._connections.live:
            await provider.leave(task)

    async def models(self, provider: str | None = None) -> list[ModelInfo]:
        """The models that one provider reports, by default the one a run would use. Raises `KataError`."""
        if self._stand_in is not None:
            return await self._connections.open(self._stand_in.name).models()
        name = provider or self.choose(None, None).model.provider
        return await self._connections.open(name).models()

    async def aclose(self) -> None:
        await self._connections.aclose()

    @property
    def warnings(self) -> list[str]:
        """What was odd about providers, though no answer failed for it; complete once they are closed."""
        return self._connections.warnings

    @property
    def is_spent(self) -> bool:
        """Whether the budget has refused a request."""
        return self._account.is_spent

    @property
    def _stand_in(self) -> Endpoint | None:
        """Who answers for every provider in this mode, if anybody does."""
        return {"mock": registry.MOCK, "pi": registry.PI}.get(self.policy.mode)

    def _open(self, ref: ModelRef) -> Provider:
        if not is_sendable(ref.id):
            return Refusal(unsendable(ref.id).failure)
        return self._connections.open(self._stand_in.name if self._stand_in else ref.provider)

    def _attempt(self, request: Request, model: ModelRef, deadline_s: float | None) -> Attempt:
        self._attempts[request.task] += 1
        asked = self._account.bounded(msgspec.structs.replace(request, model=model))
        return Attempt(self._attempts[request.task], asked, self._clock, deadline_s, self._account.priced)

    def _settle(self, attempt: Attempt, reserved: Amount) -> None:
        """Reckon with what an attempt took, which may have been broken off."""
        used = attempt.charged()
        self._account.settle(reserved, used)
        self._limiter.note(
            attempt.request.model,
            attempt.request,
            sent_s=attempt.started_s,
            usage=used,
            failure=attempt.failure,
        )

    def _verdict(self, route: Route, attempt: Attempt, failure: Failure) -> float | Failure:
        return route.next(
            failure,
            has_content=attempt.has_content,
            remaining_s=attempt.remaining_s,
            jitter=self._jitter(),
            cooling_s=self._limiter.cooling_s(route.model),
        )
