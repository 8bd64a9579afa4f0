"""Open providers and their credentials: each found once, checked before any byte is sent, then kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import Event, ReplyFailed
from kata_cli.core.messages import ModelInfo, Request
from kata_cli.core.ports import Credential, Credentials, Endpoint, LiveProvider, Provider, Timeouts
from kata_cli.core.text import near
from kata_cli.providers.registry import MOCK

Connect = Callable[[Endpoint, Credential, Timeouts], Provider]


class Refusal:
    """A provider that answers every request with one failure."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        yield ReplyFailed(failure=self._failure)

    async def models(self) -> list[ModelInfo]:
        raise KataError.of(self._failure)

    async def aclose(self) -> None:
        return None


class Connections:
    """The providers of one command, by name; `warnings` are those of the providers that are closed."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        credentials: Credentials,
        timeouts: Timeouts,
        connect: Connect,
        on_secret: Callable[[str], None],
    ) -> None:
        self.warnings: list[str] = []
        self._endpoints = endpoints
        self._credentials = credentials
        self._timeouts = timeouts
        self._connect = connect
        self._on_secret = on_secret
        self._found: dict[str, Credential | Failure] = {}
        self._open: dict[str, Provider] = {}

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of a provider. Raises `KataError` usage with the nearest or all names."""
        if name not in self._endpoints:
            raise KataError("usage", f"unknown provider {name!r}", self._nearest(name))
        return self._endpoints[name]

    def credential(self, endpoint: Endpoint) -> Credential | Failure:
        """The credential of an endpoint, or why there is none; looked for once."""
        if endpoint.name not in self._found:
            self._found[endpoint.name] = self._look(endpoint)
        return self._found[endpoint.name]

    def open(self, name: str) -> Provider:
        """The provider of a name; one that cannot be used refuses every request with the reason."""
        if name not in self._open:
            self._open[name] = self._connected(name)
        return self._open[name]

    @property
    def live(self) -> list[LiveProvider]:
        """The open providers that keep something alive for a conversation."""
        return [provider for provider in self._open.values() if isinstance(provider, LiveProvider)]

    async def aclose(self) -> None:
        while self._open:
            _, provider = self._open.popitem()
            await provider.aclose()
            self.warnings += getattr(provider, "warnings", [])

    def _nearest(self, name: str) -> str:
        if name == MOCK.name:
            return "kata run --mode mock"
        known = f"known providers: {', '.join(self._endpoints)}"
        return near(name, self._endpoints) or f"{known}; a model id that holds a slash needs --provider"

    def _connected(self, name: str) -> Provider:
        try:
            endpoint = self.endpoint(name)
            credential = self.credential(endpoint)
            if isinstance(credential, Failure):
                return Refusal(credential)
            return self._connect(endpoint, credential, self._timeouts)
        except KataError as error:
            return Refusal(error.failure)

    def _look(self, endpoint: Endpoint) -> Credential | Failure:
        if endpoint.kind == "mock":
            return Credential(kind="none", source="no key needed")
        if endpoint.kind == "pi":
            return Credential(kind="none", source="no key of the run's own: agents get those they need")
        found = self._credentials.find(endpoint)
        if isinstance(found, Failure):
            if endpoint.requires_key or found.code != "missing_auth":
                return msgspec.structs.replace(found, provider=found.provider or endpoint.name)
            return Credential(kind="none", source="no key needed")
        if found.secret:
            self._on_secret(found.secret)
        return found if is_sendable(found.secret) else _unsendable(endpoint, found)


def is_sendable(text: str) -> bool:
    """Whether a text may stand in a header line: printable ASCII, so that it cannot end the line."""
    return text.isascii() and text.isprintable()


def _unsendable(endpoint: Endpoint, credential: Credential) -> Failure:
    return Failure(
        code="invalid_auth",
        message=f"the key of {endpoint.name} from {credential.source or 'its source'} holds a character "
        "that no key has (a line end, a control character, or one outside ASCII)",
        remediation="store the key again as one plain line",
        provider=endpoint.name,
    )
