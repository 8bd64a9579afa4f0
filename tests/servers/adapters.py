"""Every adapter, connected to a loopback vendor where it speaks HTTP, and how a test asks it."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Message, ModelRef, Request, Usage
from kata_cli.core.ports import Credential, Endpoint, Provider, Timeouts
from kata_cli.providers import registry

KEY = Credential(secret="key-for-tests", source="test")
REQUEST = Request(
    task="look",
    model=ModelRef("vendor", "asked-1"),
    system="You are brief.",
    messages=(Message("user", "Say hello."),),
)


class Adapter(msgspec.Struct, frozen=True):
    """One adapter under test; `path` is what its base URL adds to the server's origin."""

    name: str
    kind: str
    api: str
    path: str = ""

    def connect(
        self, origin: str, timeouts: Timeouts | None = None, credential: Credential = KEY
    ) -> Provider:
        endpoint = Endpoint(name="vendor", kind=self.kind, api=self.api, base_url=origin + self.path)
        return registry.connect(endpoint, credential, timeouts or Timeouts())


ADAPTERS = [
    Adapter("anthropic", "anthropic", "messages"),
    Adapter("openai-responses", "openai", "responses", "/v1"),
    Adapter("openai-chat", "openai", "chat", "/v1"),
]


class PiAdapter(Adapter, frozen=True):
    """Pi, by a fake that knows the model of the usual request; a provider's files go with it."""

    def connect(
        self, origin: str, timeouts: Timeouts | None = None, credential: Credential = KEY
    ) -> Provider:
        from fake_pi.fakes import FakePi

        place = TemporaryDirectory(prefix="kata-fake-")
        model = {"id": REQUEST.model.id, "provider": REQUEST.model.provider}
        provider = FakePi(Path(place.name), models=[model]).provider(timeouts)
        weakref.finalize(provider, place.cleanup)
        return provider


class ReplayAdapter(Adapter, frozen=True):
    """A record in which the usual request was answered, for each task that asks it in the tests."""

    def connect(
        self, origin: str, timeouts: Timeouts | None = None, credential: Credential = KEY
    ) -> Provider:
        from kata_cli.core.exchange import Exchange, RecordedReply
        from kata_cli.providers.replay import ReplayProvider

        model = str(REQUEST.model)
        reply = RecordedReply(text="Hello.", stop="stop", usage=Usage(), request_id=None, model=model)
        asked = [asking(task=task) for task in (REQUEST.task, "a", "b", "c")]
        return ReplayProvider(
            Exchange(task=request.task, attempt=1, model=model, request=request, reply=reply)
            for request in asked
        )


class RemoteAdapter(Adapter, frozen=True):
    """A service of live sessions, scripted; it ends with its provider."""

    def connect(
        self, origin: str, timeouts: Timeouts | None = None, credential: Credential = KEY
    ) -> Provider:
        from kata_cli.providers.remote import RemotePi
        from kata_cli.providers.service_client import ServiceClient
        from servers.agent_service import TOKEN, AgentService
        from servers.vendor import VendorServer

        server = VendorServer(AgentService()).__enter__()
        timeouts = timeouts or Timeouts()
        provider = RemotePi(ServiceClient(server.base_url, TOKEN, timeouts), timeouts)
        weakref.finalize(provider, server.__exit__)
        return provider


# What needs no vendor; a new adapter joins the contract with one row here or above.
LOCAL_ADAPTERS = [
    Adapter("mock", "mock", ""),
    PiAdapter("pi", "pi", ""),
    ReplayAdapter("replay", "replay", ""),
    RemoteAdapter("remote", "pi", ""),
]


def asking(**changes: Any) -> Request:
    """The usual request with some of its fields changed."""
    return msgspec.structs.replace(REQUEST, **changes)


async def listen(provider: Provider, request: Request = REQUEST) -> list[Event]:
    """All events of one request."""
    async with aclosing(provider.stream(request)) as events:  # type: ignore[type-var]
        return [event async for event in events]


def converse(provider: Provider, request: Request = REQUEST) -> list[Event]:
    """All events of one request, on a loop of its own that the provider does not outlive."""

    async def main() -> list[Event]:
        try:
            return await listen(provider, request)
        finally:
            await provider.aclose()

    return asyncio.run(main())


def text_of(events: list[Event], kind: str = "text") -> str:
    """The text of all deltas of a kind."""
    return "".join(event.text for event in events if isinstance(event, ContentDelta) and event.kind == kind)


def finish(events: list[Event]) -> ReplyFinished:
    """The only terminal event, which must be a reply."""
    last = end(events)
    assert isinstance(last, ReplyFinished), last
    return last


def failure(events: list[Event]) -> ReplyFailed:
    """The only terminal event, which must be a failure."""
    last = end(events)
    assert isinstance(last, ReplyFailed), last
    return last


def end(events: list[Event]) -> Event:
    """The last event; all before it must be deltas, and a failure must have seen their text."""
    *before, last = events
    assert all(isinstance(event, ContentDelta) for event in before), events
    seen = last.seen if isinstance(last, ReplyFailed) else last.reply.text  # type: ignore[attr-defined]
    assert seen == text_of(events)
    return last
