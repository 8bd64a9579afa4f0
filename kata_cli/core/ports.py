"""The few seams of the house: what the engine and the service may know of the world outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.events import Event
from kata_cli.core.messages import ModelInfo, Request


class Provider(Protocol):
    """Answers requests.

    `stream` does not raise for what a request, model, network or child can do wrong: its last event is
    exactly one `ReplyFinished` or `ReplyFailed`, and text of the same read comes before a failure.
    The consumer closes the iterator; cancellation ends it without a last event.
    """

    def stream(self, request: Request) -> AsyncIterator[Event]: ...

    async def models(self) -> list[ModelInfo]:
        """All models the provider reports. Raises `KataError`."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class LiveProvider(Provider, Protocol):
    """A provider that may keep something alive between the requests of one conversation.

    Requests of a conversation have the same `task`; each brings all messages so far, so that nothing is lost
    when what was kept alive is gone, or no longer fits them.
    """

    async def steer(self, task: str, text: str) -> bool:
        """Give a message to the answer under way; False where that cannot be done. Raises `KataError`."""
        ...

    async def leave(self, task: str) -> None:
        """Let go what is kept for a conversation; harmless where there is nothing."""
        ...


class Clock(Protocol):
    """Wall time (seconds since the epoch) and a monotonic count for durations."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A secret and where it came from. `kind` says which header carries it; never printed whole."""

    secret: str = ""
    kind: str = "api_key"  # api_key | token | none
    source: str = ""
    shadowed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Credential(source={self.source!r})"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as settings define it: where it is and which wire format it speaks."""

    name: str
    kind: str  # anthropic | openai
    api: str = ""  # messages | responses | chat
    base_url: str
    default_model: str = ""
    requires_key: bool = True
    supports_token: bool = False
    rpm: int | None = None  # requests a minute; None is without limit
    tpm: int | None = None  # tokens a minute, in and out

    @property
    def host(self) -> str:
        return self.base_url.partition("://")[2].partition("/")[0]


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one request, in seconds. Idle counts from the response headers on."""

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 300.0
    request_s: float = 600.0


class Credentials(Protocol):
    """Finds the credential of a provider, or says why there is none."""

    def find(self, endpoint: Endpoint) -> Credential | Failure: ...
