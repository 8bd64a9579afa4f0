"""One streamed exchange with a vendor: request out, deltas in, exactly one end.

What differs between vendors is a `Call`: where to post what, and how one event of the stream is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import Event, ReplyFailed
from kata_cli.core.messages import Request
from kata_cli.core.ports import Credential, Timeouts
from kata_cli.providers import failures, headers
from kata_cli.providers.answer import Answer
from kata_cli.providers.clients import Clients, Connection
from kata_cli.providers.failures import Source
from kata_cli.providers.sse import SSEDecoder

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

MAX_WAITING_BYTES = 1024 * 1024
# After the last event only the end of the HTTP body is missing; with it the connection can be used again.
DRAIN_S = 0.2


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request in a vendor's words, and the reader of its event stream.

    `thinking` is the level that the words stand for, empty where the vendor's own default holds.
    """

    path: str
    body: dict[str, Any]
    read: Callable[[bytes, Answer], None]
    thinking: str = ""


class Limits:
    """The time limits of one exchange, of which the total starts now. Must be made inside a loop."""

    def __init__(self, timeouts: Timeouts, total_s: float | None = None) -> None:
        self._timeouts = timeouts
        self._total_s = timeouts.request_s if total_s is None else min(total_s, timeouts.request_s)
        self._deadline_s = asyncio.get_running_loop().time() + self._total_s

    async def first_byte(self, step: Awaitable[T]) -> T:
        limit_s = self._timeouts.first_byte_s
        return await self._within(step, limit_s, f"no answer began within {limit_s:g} s (first byte)")

    async def idle(self, step: Awaitable[T]) -> T:
        limit_s = self._timeouts.idle_s
        return await self._within(step, limit_s, f"nothing came for {limit_s:g} s (idle)")

    async def _within(self, step: Awaitable[T], limit_s: float, told: str) -> T:
        now_s = asyncio.get_running_loop().time()
        if self._deadline_s - now_s <= limit_s:
            limit_s = self._deadline_s - now_s
            told = f"no complete answer within {self._total_s:g} s (request)"
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await step
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise KataError("timeout", told) from error


class Body:
    """The body of a response, read in a task of its own: all that has arrived is taken at once."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._read())
        self._task.add_done_callback(lambda _: self._changed.set())

    async def _read(self) -> None:
        async with contextlib.aclosing(self._response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                self._chunks.append(chunk)
                self._waiting_bytes += len(chunk)
                self._changed.set()
                while self._waiting_bytes > MAX_WAITING_BYTES:
                    self._room.clear()
                    await self._room.wait()

    async def take(self) -> bytes:
        """All bytes that have come, or b"" at the end. Raises what broke the connection."""
        while not self._waiting_bytes and not self._task.done():
            self._changed.clear()
            await self._changed.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._waiting_bytes = 0
        self._room.set()
        if not data:
            self._task.result()
        return data

    async def aclose(self, drain_s: float) -> None:
        """End the reading, after a short wait for the end of the body, and close the response."""
        if drain_s and not self._task.done():
            await asyncio.wait([self._task], timeout=drain_s)
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()
        await self._response.aclose()


class Exchange:
    """One call on one connection."""

    def __init__(self, connection: Connection, call: Call, answer: Answer, limits: Limits) -> None:
        self._connection = connection
        self._call = call
        self._answer = answer
        self._limits = limits
        self._decoder = SSEDecoder()
        self._body: Body | None = None

    async def advance(self) -> None:
        """One step: the response headers, then one read at a time. A fault becomes the answer's failure."""
        try:
            if self._body is None:
                self._body = await self._open()
            else:
                self._take_in(await self._limits.idle(self._body.take()))
        except Exception as error:
            failure = failure_of(error, self._connection, self._answer.source)
            if failure is None:
                raise
            request_id = failure.request_id or self._answer.request_id
            self._answer.failure = msgspec.structs.replace(failure, request_id=request_id)

    async def aclose(self) -> None:
        if self._body is not None:
            await self._body.aclose(DRAIN_S if self._answer.is_complete else 0)

    async def _open(self) -> Body:
        posting = self._connection.post(self._call.path, self._call.body)
        response = await self._limits.first_byte(posting)
        self._answer.request_id = headers.request_id(response.headers)
        kind = response.headers.get("content-type", "text/event-stream")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            told = failures.one_line(f"{self._answer.source.host} sent {kind} instead of an event stream")
            self._answer.fail("provider_unavailable", told)
        return Body(response)

    def _take_in(self, data: bytes) -> None:
        if not data:
            self._answer.fail("provider_unavailable", "the stream ended before the answer was complete")
        for payload in self._decoder.feed(data):
            self._call.read(payload, self._answer)
            if self._answer.is_over:
                break


async def converse(clients: Clients, request: Request, call: Call) -> AsyncGenerator[Event, None]:
    """All events of one call, the last of them `ReplyFinished` or `ReplyFailed`."""
    source = Source(request.model.provider, str(request.model), clients.endpoint.host)
    answer = Answer(source, request, call.thinking)
    try:
        lent = clients.borrow()
    except KataError as error:
        yield ReplyFailed(failure=error.failure)
        return
    exchange = Exchange(lent.connection, call, answer, Limits(clients.timeouts, request.timeout_s))
    try:
        while not answer.is_over:
            await exchange.advance()
            for delta in answer.deltas(request.task):
                yield delta
    finally:
        lent.borrowers -= 1
        await exchange.aclose()
    yield answer.ending()


async def decline(failure: Failure) -> AsyncGenerator[Event, None]:
    """The events of a request that does not leave the process."""
    yield ReplyFailed(failure=failure)


def failure_of(error: Exception, connection: Connection, source: Source) -> Failure | None:
    """The failure behind an exception of the SDK, the transport or a limit; None for a programming error."""
    if isinstance(error, KataError):
        return msgspec.structs.replace(error.failure, provider=source.provider, model=source.model)
    if isinstance(error, connection.status_error):
        response: httpx2.Response = error.response  # type: ignore[attr-defined]
        return failures.of_response(
            source, response.status_code, response.headers, response.content, time.time()
        )
    if isinstance(error, connection.connection_error):
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return failures.of_exception(source, error)


def refusal(request: Request, credential: Credential, max_temperature: float) -> Failure | None:
    """Why a request must not leave the process, if it must not."""
    secret, temperature = credential.secret, request.temperature
    message, code = "", "invalid_request"
    if not (secret.isascii() and secret.isprintable()):
        code, message = "invalid_auth", "the key holds characters that no HTTP header may carry"
    elif temperature is not None and not 0 <= temperature <= max_temperature:
        message = f"temperature {temperature:g} is not between 0 and {max_temperature:g}"
    if not message:
        return None
    return Failure(code=code, message=message, provider=request.model.provider, model=str(request.model))
