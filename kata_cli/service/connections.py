"""Limits of connections, for uvicorn: half a request may neither last nor crowd out others.

uvicorn has a time limit between requests, but none for a request and no bound for its head; its own
`limit_concurrency` answers in plain text and lets WebSocket handshakes pass.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kata_cli.service import guard, refusal
from kata_cli.service.refusal import Refusal

BACKLOG = 128  # asyncio accepts as many in one go, and nobody is read in the meantime


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one listener. A connection is half open until it has sent a whole request.

    A half-open one is left alone for `grace_s`, so that a burst of others cannot end it unread.
    """

    request_s: float = 10.0
    grace_s: float = 0.1
    keep_alive_s: int = 30
    max_half_open: int = 32
    max_connections: int = 256  # besides the half-open ones
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
        "backlog": BACKLOG,
        "access_log": False,
    }


def limited(limits: Limits) -> type[LimitedProtocol]:
    """The protocol class of one listener; uvicorn makes an object of it for each connection."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits, "half_open": OrderedDict()})


class _RefusedError(Exception):
    """Stops the parser; uvicorn then calls `send_400_response`."""


class LimitedProtocol(HttpToolsProtocol):
    """A connection with a time limit and a bounded head, whose own answers are error documents too."""

    limits: ClassVar[Limits]
    half_open: ClassVar[OrderedDict[LimitedProtocol, float]]  # by the loop's time at which they began

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._expiry: asyncio.TimerHandle | None = None
        self._is_in_head = True
        self._head_bytes = 0
        self._refusal: Refusal | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # ASGI has no word for it: a client that does not read is hung up on without a goodbye.
        self.app_state = {**self.app_state, "abort": transport.abort}
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
        self._begin()

    def on_headers_complete(self) -> None:
        self._is_in_head, self._head_bytes = False, 0
        self._refusal = self._check()
        if self._refusal:
            raise _RefusedError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_head = True
        self._end()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not take, or what `on_headers_complete` refused."""
        self._refuse(self._refusal or refusal.final(400, "this is no HTTP request", "use an HTTP client"))

    def _check(self) -> Refusal | None:
        """What only the connection knows, and all that decides how it is read on from here."""
        if self._is_one_too_many():
            return refusal.final(503, "too many connections", "close some, and try again")
        if not self.url.startswith(b"/"):
            return refusal.final(400, "the address names a host", "send the path, and the host as Host")
        is_upgrade, method = self.parser.should_upgrade(), self.parser.get_method().decode("ascii")
        is_socket = is_upgrade and self._should_upgrade()
        if is_upgrade and not is_socket:  # its body would be taken for the next request
            return refusal.final(400, "this service changes to WebSocket only", "send no other Upgrade")
        return guard.framing(guard.Asked(method=method, path="", headers=self.headers, is_socket=is_socket))

    def _begin(self) -> None:
        if self in self.half_open or self.transport.is_closing():
            return
        begun_s = self.half_open[self] = self.loop.time()
        self._expiry = self.loop.call_later(self.limits.request_s, self._expire)
        if len(self.half_open) > self.limits.max_half_open:
            self.loop.call_later(self.limits.grace_s, self._make_room, begun_s)

    def _end(self) -> None:
        if self.half_open.pop(self, None) is not None and self._expiry:
            self._expiry.cancel()

    def _expire(self) -> None:
        if self.scope is None or self.transport.is_closing():
            self._drop()  # nothing was asked (browsers connect in advance), or nobody reads the answer
        else:
            self._refuse(refusal.final(408, "the request did not come to its end", "send it again"))

    def _make_room(self, until_s: float) -> None:
        """Close the oldest half-open connections that are too many, but none that began later than that."""
        while len(self.half_open) > self.limits.max_half_open:
            oldest, begun_s = next(iter(self.half_open.items()))
            if begun_s > until_s:
                break
            oldest._drop()

    def _is_one_too_many(self) -> bool:
        return len(self.connections) - len(self.half_open) >= self.limits.max_connections

    def _drop(self) -> None:
        self._end()
        self.transport.abort()

    def _refuse(self, refused: Refusal) -> None:
        """Close with an answer where one can be understood, without one in the middle of another."""
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
