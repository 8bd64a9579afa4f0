"""A service of live sessions (`kata serve`) as its clients see it: requests, answers, streams of events."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from kata_cli.core.errors import MEANINGS, KataError
from kata_cli.core.ports import Timeouts
from kata_cli.providers import failures
from kata_cli.providers.clients import http_client, is_loopback, tls_context
from kata_cli.providers.failures import Source
from kata_cli.providers.sse import SSEDecoder

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
# The service sends a comment every 15 s: who misses three of them has lost the connection.
SILENCE_S = 50.0


class Sent(NamedTuple, Generic[T]):
    """An event of a stream, and the id behind which another stream would go on."""

    id: str
    event: T


class _Refusal(msgspec.Struct):
    """The fields of an error document that matter here."""

    code: str
    message: str
    remediation: str = ""
    retryable: bool = False


class _Typed(msgspec.Struct):
    """The part of an event that says which one it is."""

    type: str


class ServiceClient:
    """Speaks to one service and to no other address; the token goes there and nowhere else.

    `url` must have been checked already; `token_file` is only named, where the token is refused. Every method
    raises `KataError`, for the service's own refusals with the code, the words and the status that it gave.
    """

    def __init__(
        self,
        url: str,
        token: str,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        *,
        token_file: str = "",
    ) -> None:
        self.url = url.rstrip("/")
        self.host = urlsplit(url).netloc
        self._token = token
        self._timeouts = timeouts
        self._token_file = token_file
        self._http: httpx2.AsyncClient | None = None

    async def get(self, path: str, kind: type[T]) -> T:
        """What is at a path, as `kind`."""
        return await self._ask("GET", path, None, kind)

    async def post(self, path: str, asked: object, kind: type[T]) -> T:
        """The answer to a request document, as `kind`."""
        return await self._ask("POST", path, asked, kind)

    async def stream(
        self,
        path: str,
        kinds: Mapping[str, type[T]],
        *,
        asked: object | None = None,
        after: str | None = None,
    ) -> AsyncGenerator[Sent[T], None]:
        """The events at a path until the service ends them; by a GET where nothing is `asked`.

        `kinds` are those wanted, by the `type` of their events; others are skipped. With `after`, the id of
        an event that was seen, the stream goes on behind it, and `asked` does not reach the agent again.
        """
        decoder = SSEDecoder()
        async with aclosing(self._chunks(path, asked, after)) as chunks:
            with self._faults():
                async for chunk in chunks:
                    for event_id, data in decoder.events(chunk):
                        kind = kinds.get(self._decoded(data, _Typed).type)
                        if kind is not None:
                            yield Sent(event_id, self._decoded(data, kind))

    async def aclose(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _ask(self, verb: str, path: str, asked: object | None, kind: type[T]) -> T:
        with self._faults():
            response = await self._client.send(self._request(verb, path, asked, self._timeouts.request_s))
            self._check(response)
            return self._decoded(response.content, kind)

    async def _chunks(
        self, path: str, asked: object | None, after: str | None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an event stream as they come."""
        request = self._request("GET" if asked is None else "POST", path, asked, SILENCE_S)
        request.headers["Accept"] = EVENT_STREAM
        if after is not None:
            request.headers["Last-Event-ID"] = after
        response = await self._client.send(request, stream=True)
        async with aclosing(response):
            if not response.is_success:
                await response.aread()
            self._check(response)
            kind = response.headers.get("content-type", "")
            if kind.partition(";")[0].strip().lower() != EVENT_STREAM:
                raise self._stranger(f"sent {kind or 'nothing'} instead of an event stream")
            async for chunk in response.aiter_bytes():
                yield chunk

    @property
    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            self._http = http_client(self.url, self._timeouts, tls_context(self.url))
        return self._http

    def _request(self, verb: str, path: str, asked: object | None, read_s: float) -> httpx2.Request:
        import httpx2

        headers = {"Authorization": f"Bearer {self._token}"} if path.startswith("/api/") else {}
        content = None
        if asked is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(asked)
        limits = httpx2.Timeout(read_s, connect=self._timeouts.connect_s)
        return self._client.build_request(
            verb, self.url + path, content=content, headers=headers, timeout=limits
        )

    def _check(self, response: httpx2.Response) -> None:
        """Raises what the service says when it does not do what was asked."""
        if response.is_success:
            return
        told = failures.of_response(
            self._source, response.status_code, response.headers, response.content, time.time()
        )
        told = msgspec.structs.replace(told, provider=None)
        try:
            refusal = msgspec.json.decode(response.content, type=_Refusal)
        except msgspec.DecodeError:
            hint = f"is {self.url} the address of a kata serve?"
            raise KataError.of(msgspec.structs.replace(told, remediation=hint)) from None
        raise KataError.of(
            msgspec.structs.replace(
                told,
                code=refusal.code if refusal.code in MEANINGS else told.code,
                message=refusal.message,
                remediation=self._way_on(response.status_code) or refusal.remediation,
                should_retry=refusal.retryable,
            )
        )

    def _way_on(self, status: int) -> str:
        """What helps where only this side knows it."""
        if status != 401:
            return ""
        place = f" (now: {self._token_file})" if self._token_file else ""
        return f"--token-file FILE with the token of {self.host}{place}"

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turns what the network or the other side did wrong into a `KataError`."""
        try:
            yield
        except Exception as error:
            failure = failures.of_exception(self._source, error)
            if failure is None:
                raise
            hint = self._start if failure.code == "provider_unavailable" else failure.remediation
            told = msgspec.structs.replace(failure, provider=None, remediation=hint)
            raise KataError.of(told) from error

    def _decoded(self, data: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._stranger(f"sent what this kata cannot read: {error}") from error

    def _stranger(self, what: str) -> KataError:
        told = failures.one_line(f"{self.host} {what}")
        return KataError("provider_unavailable", told, f"is {self.url} the address of a kata serve?")

    @property
    def _source(self) -> Source:
        return Source(self.host, None, self.host)

    @property
    def _start(self) -> str:
        if not is_loopback(self.url):
            return f"start it there: kata serve   (asked: {self.url})"
        return f"start it: kata serve --port {urlsplit(self.url).port or 80}"
