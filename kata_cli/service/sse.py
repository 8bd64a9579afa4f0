"""Events of a session as server-sent events (WHATWG HTML, section 9.2): a stream for each who asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager

import msgspec
from starlette.responses import Response

from kata_cli.core.errors import Failure, KataError
from kata_cli.service.asgi import Receive, Scope, Send
from kata_cli.service.errors import bad_request
from kata_cli.service.event_id import EventId
from kata_cli.service.hang_up import hang_up
from kata_cli.service.log import Logged
from kata_cli.service.race import race

Batches = AsyncGenerator[list[Logged], None]

PING = b": ping\n\n"
HEADERS = {"content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"}
CHUNK_BYTES = 64 * 1024


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the streams. A silent one gets a ping; one that takes nothing for `slow_s` is closed."""

    max_per_session: int = 8
    ping_s: float = 15.0
    slow_s: float = 30.0


def frame(logged: Logged) -> bytes:
    """An event as it stands in a stream; its data is JSON and holds no line break."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (logged.id.encode(), logged.type.encode(), logged.data)


def last_event_id(headers: Mapping[str, str]) -> str | None:
    """Where a client that reconnects goes on. Raises `KataError` for what was never the id of an event."""
    try:
        return msgspec.convert(headers.get("last-event-id", ""), EventId) or None
    except msgspec.ValidationError:
        raise bad_request("Last-Event-ID is not the id of an event") from None


class Streams:
    """The streams that are open, so many at most of one session."""

    def __init__(self, limits: StreamLimits | None = None) -> None:
        self._limits = limits or StreamLimits()
        self._open: Counter[str] = Counter()

    async def respond(self, session_id: str, begin: Callable[[], Awaitable[Batches]]) -> EventStream:
        """The stream of what `begin` gives, which is asked only if there is room. Raises `KataError`."""
        with ExitStack() as held:
            held.enter_context(self._counted(session_id))
            return EventStream(await begin(), self._limits, held.pop_all())

    @contextmanager
    def _counted(self, session_id: str) -> Iterator[None]:
        if self._open[session_id] >= self._limits.max_per_session:
            raise _too_many(self._limits.max_per_session)
        self._open[session_id] += 1
        try:
            yield
        finally:
            self._open[session_id] -= 1
            if not self._open[session_id]:
                del self._open[session_id]


class EventStream(Response):
    """An answer that goes on until its events end, the client leaves, or does not read what it is sent.

    `held` is closed with it.
    """

    def __init__(self, batches: Batches, limits: StreamLimits, held: ExitStack) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._batches = batches
        self._limits = limits
        self._held = held
        self._began_s: float | None = None  # when the send under way began
        self._sent_s = asyncio.get_running_loop().time()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        with self._held:
            async with aclosing(self._batches):
                try:
                    await race(self._tell(), self._watch(), _left(receive))
                except TimeoutError:
                    if hang_up(scope):
                        await _left(receive)

    async def _tell(self) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for batch in self._batches:
            for chunk in _chunks(batch):
                await self._put(chunk)
        await self._put(b"", is_last=True)

    async def _watch(self) -> None:
        """Show that the stream lives while there is nothing to tell: proxies close what is silent.

        Raises `TimeoutError` when the client does not read. To bound each send by itself would cost as much
        as the send.
        """
        while True:
            now_s = asyncio.get_running_loop().time()
            if self._began_s is not None and now_s - self._began_s >= self._limits.slow_s:
                raise TimeoutError
            if self._began_s is None and now_s - self._sent_s >= self._limits.ping_s:
                await self._put(PING)
            await asyncio.sleep(self._due_s() - asyncio.get_running_loop().time())

    def _due_s(self) -> float:
        """When the stream has to be looked at again."""
        if self._began_s is not None:
            return self._began_s + self._limits.slow_s
        return self._sent_s + min(self._limits.ping_s, self._limits.slow_s)

    async def _put(self, chunk: bytes, *, is_last: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self._began_s = loop.time()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": not is_last})
        self._began_s, self._sent_s = None, loop.time()


def _chunks(batch: list[Logged]) -> Iterator[bytes]:
    """The frames of a batch in few pieces, none much larger than what the server buffers anyway."""
    chunk = bytearray()
    for logged in batch:
        chunk += frame(logged)
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_many(limit: int) -> KataError:
    failure = Failure(
        code="limit_reached",
        message=f"{limit} streams of this session are open, which is the most",
        remediation="close one, or use the WebSocket",
        status=429,
        retry_after_s=5.0,
    )
    return KataError.of(failure)
