"""The one door to all providers: mode gate, choice, credentials, retries, fallback, deadline.

Adapters behind it never retry, sleep or read the environment; callers in front of it never see which
adapter answers.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import Event, ReplyFinished
from kata_cli.core.messages import ModelInfo, ModelRef, Request
from kata_cli.core.ports import Clock, Credential, Credentials, Endpoint, Provider, Timeouts
from kata_cli.providers import registry
from kata_cli.providers.attempt import Attempt
from kata_cli.providers.connections import Connect, Connections, Refusal, is_sendable
from kata_cli.providers.retry import ATTEMPTS, Route


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every request of a command. `attempts` is the number for each model."""

    mode: str  # native | pi | mock
    mode_source: str
    timeouts: Timeouts
    fallbacks: tuple[ModelRef, ...] = ()
    attempts: int = ATTEMPTS


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The model of a run, where its key comes from and which host will be called."""

    model: ModelRef
    key_source: str
    host: str


class ProviderService:
    """A `Provider` over all providers of a command. The redactor learns each secret by `on_secret`."""

    def __init__(
        self,
        *,
        policy: Policy,
        endpoints: Mapping[str, Endpoint],
        credentials: Credentials,
        clock: Clock,
        on_secret: Callable[[str], None],
        connect: Connect = registry.connect,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.policy = policy
        self._endpoints = endpoints
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._attempts: Counter[str] = Counter()
        stand_in = self._stand_in
        reachable = {**endpoints, stand_in.name: stand_in} if stand_in else endpoints
        self._connections = Connections(reachable, credentials, policy.timeouts, connect, on_secret)

    def choose(self, provider: str | None, model: str | None, *, needs_key: bool = True) -> Choice:
        """The model that a run would use, from the settings `provider` and `model`, already merged.

        Raises `KataError`: usage for a name that cannot be, `missing_auth` or `invalid_auth` where no key
        can be used. With `needs_key=False`, for a dry run, `key_source` says
        what is missing instead.
        """
        if self.policy.mode == "pi":
            return self._of_pi(provider, model)
        named = self._named(provider, model)
        ref = self._gated(named or self._first_authenticated(needs_key=needs_key))
        endpoint = self._connections.endpoint(ref.provider)
        credential = self._connections.credential(endpoint)
        if isinstance(credential, Credential):
            return Choice(model=ref, key_source=credential.source, host=endpoint.host)
        if needs_key:
            raise KataError.of(credential)
        return Choice(model=ref, key_source=credential.message, host=endpoint.host)

    def endpoint(self, provider: str) -> Endpoint:
        """Where requests to a provider go: in mock and pi mode always there. Raises `KataError` usage."""
        return self._stand_in or self._connections.endpoint(provider)

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        """Attempts until one is answered or the failure stands; the last event is the reply's end.

        Every attempt is announced by `AttemptStarted` and closed by its usage, if any, and by
        `AttemptFailed`, if so. `request.timeout_s` bounds them all together.
        """
        deadline_s = None if request.timeout_s is None else self._clock.monotonic() + request.timeout_s
        route = Route(map(self._gated, (request.model, *self.policy.fallbacks)), self.policy.attempts)
        while True:
            attempt = self._attempt(request, route.model, deadline_s)
            yield attempt.started()
            events = attempt.relay(self._open(route.model))
            try:
                async for event in events:
                    yield event
            finally:
                await events.aclose()
            if usage := attempt.usage():
                yield usage
            if isinstance(attempt.end, ReplyFinished):
                yield attempt.end
                return
            verdict = self._verdict(route, attempt, attempt.end.failure)
            if isinstance(verdict, Failure):
                yield attempt.failed(verdict, None)
                yield msgspec.structs.replace(attempt.end, failure=verdict)
                return
            yield attempt.failed(attempt.end.failure, verdict)
            await self._sleep(verdict)

    async def models(self, provider: str | None = None) -> list[ModelInfo]:
        """The models that one provider reports, by default the one a run would use. Raises `KataError`."""
        if self._stand_in is not None:
            return await self._connections.open(self._stand_in.name).models()
        name = provider or self.choose(None, None).model.provider
        return await self._connections.open(name).models()

    async def aclose(self) -> None:
        await self._connections.aclose()

    @property
    def _is_mock(self) -> bool:
        return self.policy.mode == "mock"

    @property
    def _stand_in(self) -> Endpoint | None:
        """Who answers for every provider in this mode, if anybody does."""
        return {"mock": registry.MOCK, "pi": registry.PI}.get(self.policy.mode)

    def _of_pi(self, provider: str | None, model: str | None) -> Choice:
        """Pi knows its own providers and models; kata checks only that one is named."""
        if not model:
            told = "which of Pi's models?"
            raise KataError("usage", told, "kata models list --mode pi, then -m provider/id")
        if not is_sendable(model):
            raise _unsendable_model(model)
        ref = ModelRef(provider, model) if provider else ModelRef.parse(model)
        credential = self._connections.credential(registry.PI)
        source = credential.source if isinstance(credential, Credential) else ""
        return Choice(model=ref, key_source=source, host="")

    def _gated(self, ref: ModelRef) -> ModelRef:
        """In mock mode the mock answers for every model, and says so in the model's name."""
        return ModelRef("mock", str(ref)) if self._is_mock and ref.provider != "mock" else ref

    def _open(self, ref: ModelRef) -> Provider:
        if not is_sendable(ref.id):
            return Refusal(_unsendable_model(ref.id).failure)
        return self._connections.open(self._stand_in.name if self._stand_in else ref.provider)

    def _attempt(self, request: Request, model: ModelRef, deadline_s: float | None) -> Attempt:
        self._attempts[request.task] += 1
        asked = msgspec.structs.replace(request, model=model)
        return Attempt(self._attempts[request.task], asked, self._clock, deadline_s)

    def _verdict(self, route: Route, attempt: Attempt, failure: Failure) -> float | Failure:
        return route.next(
            failure,
            has_content=attempt.has_content,
            remaining_s=attempt.remaining_s,
            jitter=self._jitter(),
        )

    def _named(self, provider: str | None, model: str | None) -> ModelRef | None:
        """The model that the settings name, if they name one."""
        if model and not is_sendable(model):
            raise _unsendable_model(model)
        if provider:
            endpoint = self._connections.endpoint(provider)
            return ModelRef(provider, model or _default_model(endpoint))
        if not model:
            return None
        if "/" not in model:
            raise KataError(
                "usage",
                f"whose model is {model!r}?",
                f"write it as provider/{model}, or add --provider NAME",
            )
        ref = ModelRef.parse(model)
        self._connections.endpoint(ref.provider)
        return ref

    def _first_authenticated(self, *, needs_key: bool) -> ModelRef:
        """The default model of the first built-in provider with a key; custom ones are never picked."""
        if self._is_mock:
            return ModelRef("mock", _default_model(registry.MOCK))
        candidates = [self._endpoints[name] for name in registry.CHOICE_ORDER]
        refusals = []
        for endpoint in candidates:
            credential = self._connections.credential(endpoint)
            if isinstance(credential, Credential):
                return ModelRef(endpoint.name, _default_model(endpoint))
            refusals.append(credential)
        if not needs_key:
            return ModelRef(candidates[0].name, _default_model(candidates[0]))
        raise _unauthenticated(refusals)


def _default_model(endpoint: Endpoint) -> str:
    if not endpoint.default_model:
        name = endpoint.name
        raise KataError("usage", f"{name} has no default model", f"choose one with -m {name}/MODEL")
    return endpoint.default_model


def _unsendable_model(model: str) -> KataError:
    return KataError(
        "usage", f"not a model id: {model!r}", "kata models list shows the ids that the provider knows"
    )


def _unauthenticated(refusals: list[Failure]) -> KataError:
    """No key at all; but a key that is there and cannot be used is the nearer cause."""
    for failure in refusals:
        if failure.code != "missing_auth":
            return KataError.of(failure)
    reasons = "; ".join(failure.message for failure in refusals)
    return KataError("missing_auth", reasons, refusals[0].hint)
