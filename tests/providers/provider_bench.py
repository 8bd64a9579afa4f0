"""Doubles for the provider service: scripted providers, keys from a table, and a service over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from kata_cli.core import loop
from kata_cli.core.clock import FixedClock
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContentDelta,
    Event,
    ReplyFailed,
    ReplyFinished,
    UsageReported,
)
from kata_cli.core.messages import Message, ModelInfo, ModelRef, Reply, Request, Usage
from kata_cli.core.ports import Credential, Endpoint, Provider, Timeouts
from kata_cli.providers.service import Policy, ProviderService

Step = Event | float | Exception  # to yield, to wait for in seconds, to raise
CANARY = "sk-canary-0123456789"
HI = ContentDelta(task="look", text="Hi there")
DONE = ReplyFinished(
    reply=Reply(text="Hi there", model="big-1", usage=Usage(10, 4), request_id="req-1", stop="stop")
)
OVERLOADED = ReplyFailed(failure=Failure(code="provider_unavailable", message="overloaded", status=529))
REFUSED = ReplyFailed(failure=Failure(code="invalid_request", message="bad", status=400))
LIMITED = ReplyFailed(
    failure=Failure(code="rate_limited", message="slow down", status=429, retry_after_s=7.0)
)


class Scripted:
    """A provider that plays one list of steps for each request, in order, and remembers what it was asked."""

    def __init__(self, endpoint: Endpoint, credential: Credential, scripts: list[list[Step]]) -> None:
        self.endpoint = endpoint
        self.credential = credential
        self.requests: list[Request] = []
        self.open_streams = 0
        self.is_closed = False
        self._scripts = scripts

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        self.requests.append(request)
        self.open_streams += 1
        try:
            for step in self._scripts.pop(0):
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.open_streams -= 1

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(provider=self.endpoint.name, id="big-1")]

    async def aclose(self) -> None:
        self.is_closed = True


class Keys:
    """Credentials by provider name; a name that is missing has none."""

    def __init__(self, **secrets: str | Failure) -> None:
        self.asked: list[str] = []
        self._secrets = secrets

    def find(self, endpoint: Endpoint) -> Credential | Failure:
        self.asked.append(endpoint.name)
        found = self._secrets.get(endpoint.name, _missing(endpoint.name))
        if isinstance(found, Failure):
            return found
        return Credential(secret=found, source=f"env {endpoint.name.upper()}_API_KEY")


def _missing(name: str) -> Failure:
    variable = f"{name.upper()}_API_KEY"
    return Failure(
        code="missing_auth",
        message=f"no key for {name}: set {variable}",
        remediation=f"export {variable}=… or kata run --mode mock",
    )


class Bench:
    """A service with its scripted providers and what it told to the outside."""

    def __init__(
        self,
        *,
        mode: str = "native",
        keys: Keys | None = None,
        fallbacks: tuple[ModelRef, ...] = (),
        **scripts: list[list[Step]],
    ) -> None:
        self.keys = keys or Keys(anthropic=CANARY)
        self.opened: list[str] = []
        self.providers: dict[str, Scripted] = {}
        self.secrets: list[str] = []
        self.slept_s: list[float] = []
        self._scripts = scripts
        self.service = ProviderService(
            policy=Policy(mode=mode, mode_source="flag", timeouts=Timeouts(), fallbacks=fallbacks),
            endpoints=ENDPOINTS,
            credentials=self.keys,
            clock=FixedClock(0.0),
            on_secret=self.secrets.append,
            connect=self._connect,
            sleep=self._sleep,
            jitter=lambda: 0.0,
        )

    def _connect(self, endpoint: Endpoint, credential: Credential, timeouts: Timeouts) -> Provider:
        self.opened.append(endpoint.name)
        scripted = Scripted(endpoint, credential, self._scripts.get(endpoint.name, []))
        self.providers[endpoint.name] = scripted
        return scripted

    async def _sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        await asyncio.sleep(delay_s)

    async def collect(self, **changes: Any) -> list[Event]:
        asked = msgspec.structs.replace(REQUEST, **changes)
        return [event async for event in self.service.stream(asked)]

    def ask(self, **changes: Any) -> list[Event]:
        return on_virtual_time(lambda: self.collect(**changes))


def on_virtual_time(work: Callable[[], Awaitable[list[Event]]]) -> list[Event]:
    async def main() -> list[Event]:
        return await work()

    return loop.run(main(), is_virtual=True)


def _endpoint(name: str, default_model: str = "", *, requires_key: bool = True) -> Endpoint:
    base_url = f"https://{name}.example/v1"
    return Endpoint(
        name=name, kind=name, base_url=base_url, default_model=default_model, requires_key=requires_key
    )


ENDPOINTS = {
    "local": _endpoint("local", requires_key=False),
    "openai": _endpoint("openai", "gpt-x"),
    "anthropic": _endpoint("anthropic", "claude-x"),
}
CLAUDE = ModelRef("anthropic", "claude-x")
GPT = ModelRef("openai", "gpt-x")
REQUEST = Request(task="look", model=CLAUDE, system="Be brief.", messages=(Message("user", "Hi?"),))


def shapes(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def failures(events: list[Event]) -> list[tuple[int, str, float | None]]:
    return [
        (event.attempt, event.failure.code, event.delay_s)
        for event in events
        if isinstance(event, AttemptFailed)
    ]


def models_asked(events: list[Event]) -> list[str]:
    return [event.model for event in events if isinstance(event, AttemptStarted)]


def usages(events: list[Event]) -> list[UsageReported]:
    return [event for event in events if isinstance(event, UsageReported)]


def last_failure(events: list[Event]) -> Failure:
    assert isinstance(events[-1], ReplyFailed)
    return events[-1].failure


def refusal(choose: Callable[[], object]) -> Failure:
    with pytest.raises(KataError) as caught:
        choose()
    return caught.value.failure
