"""Limits of connections, for uvicorn: half a request may neither last nor crowd out others.

uvicorn has a time limit between requests, but none for a request and no bound for its head; its own
`limit_concurrency` answers in plain text and lets WebSocket handshakes pass.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kata_cli.service import guard, refusal
from kata_cli.service.refusal import Refusal


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one listener. A connection is half open from its first byte to the end of a request."""

    request_s: float = 10.0
    keep_alive_s: int = 30
    max_half_open: int = 32
    max_connections: int = 256
    max_head_bytes: int = guard.MAX_HEAD_BYTES + guard.MAX_TARGET_BYTES
    max_message_bytes: int = guard.MAX_BODY_BYTES  # of a WebSocket


def uvicorn_options(limits: Limits) -> dict[str, Any]:
    """What `uvicorn.Config` must be told for these limits, and to say and believe no more than it has to."""
    return {
        "http": limited(limits),
        "timeout_keep_alive": limits.keep_alive_s,
        "ws": "websockets-sansio",
        "ws_max_size": limits.max_message_bytes,
        "ws_per_message_deflate": False,
        "server_header": False,
        "proxy_headers": False,
        "access_log": False,
    }


def limited(limits: Limits) -> type[LimitedProtocol]:
    """The protocol class with these limits; uvicorn makes one object of it for each connection."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})


class _RefusedError(Exception):
    """Stops the parser; uvicorn then calls `send_400_response`."""


class LimitedProtocol(HttpToolsProtocol):
    """A connection with a time limit and a bounded head, whose own answers are error documents too."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._expiry: asyncio.TimerHandle | None = None  # set while the connection is half open
        self._is_surplus = False
        self._is_in_head = True
        self._head_bytes = 0
        self._refusal: Refusal | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._is_surplus = len(self.connections) > self.limits.max_connections
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._begin()
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self.limits.max_head_bytes:
            self._refuse(refusal.final(431, "the headers are too long", "send fewer headers"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._begin()

    def on_headers_complete(self) -> None:
        self._is_in_head, self._head_bytes = False, 0
        self._refusal = self._check()
        if self._refusal:
            raise _RefusedError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not take, or what `on_headers_complete` refused."""
        self._refuse(self._refusal or refusal.final(400, "this is no HTTP request", "use an HTTP client"))

    def _check(self) -> Refusal | None:
        """What only the connection knows, and all that decides how it is read on from here."""
        if self._is_surplus:
            return refusal.final(503, "too many connections", "close some, and try again")
        if not self.url.startswith(b"/"):
            return refusal.final(400, "the address names a host", "send the path, and the host as Host")
        is_upgrade, method = self.parser.should_upgrade(), self.parser.get_method().decode("ascii")
        is_socket = is_upgrade and self._should_upgrade()
        if is_upgrade and not is_socket:  # its body would be taken for the next request
            return refusal.final(400, "this service changes to WebSocket only", "send no other Upgrade")
        return guard.framing(guard.Asked(method=method, path="", headers=self.headers, is_socket=is_socket))

    def _begin(self) -> None:
        if self._expiry is None and not self.transport.is_closing():
            self._expiry = self.loop.call_later(self.limits.request_s, self._expire)
            self._make_room()

    def _end(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        if self.scope is None or self.transport.is_closing():
            self._drop()  # nothing was asked (browsers connect in advance), or nobody reads the answer
        else:
            self._refuse(refusal.final(408, "the request did not come to its end", "send it again"))

    def _make_room(self) -> None:
        """Close the oldest half-open connection when there are too many of them."""
        half_open = {
            other: other._expiry.when()
            for other in self.connections
            if isinstance(other, LimitedProtocol) and other._expiry is not None
        }
        if len(half_open) > self.limits.max_half_open:
            min(half_open, key=half_open.__getitem__)._drop()

    def _drop(self) -> None:
        self._end()
        self.transport.abort()

    def _refuse(self, refused: Refusal) -> None:
        """Close with an answer where one can be understood, without one in the middle of another."""
        if self.transport.is_closing():
            return
        if not self._may_answer():
            self._drop()
            return
        self._end()
        self.transport.write(refusal.wire(refusal.answer(refused)))
        self.transport.close()

    def _may_answer(self) -> bool:
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self.cycle.more_body and not (self.cycle.response_started or self.pipeline)
