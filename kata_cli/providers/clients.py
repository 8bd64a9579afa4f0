"""HTTP clients for an SDK: few, made when they are needed, without what would betray a key or a prompt."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.ports import Endpoint, Timeouts

if TYPE_CHECKING:
    import httpx2

# The work of a pool grows with the square of what is in it; at 1,000 requests at once, clients of 10 took
# 1.9 ms of CPU a request, clients of 25 took 2.1, clients of 100 took 3.3.
MAX_REQUESTS_PER_CLIENT = 10
KEEPALIVE_S = 5.0


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """An SDK client as this house uses it: two calls that give raw responses, and its error types."""

    post: Callable[[str, dict[str, Any]], Awaitable[httpx2.Response]]
    get: Callable[[str, dict[str, str]], Awaitable[httpx2.Response]]
    aclose: Callable[[], Awaitable[None]]
    status_error: type[Exception]
    connection_error: type[Exception]


class Lent(msgspec.Struct):
    """A connection and how many use it now; who borrowed it counts `borrowers` down at the end."""

    connection: Connection
    borrowers: int = 0


class Clients:
    """Lends connections, each to at most `MAX_REQUESTS_PER_CLIENT` borrowers; all share one TLS context."""

    def __init__(
        self, endpoint: Endpoint, timeouts: Timeouts, connect: Callable[[httpx2.AsyncClient], Connection]
    ) -> None:
        self.endpoint = endpoint
        self.timeouts = timeouts
        self._connect = connect
        self._tls: ssl.SSLContext | None = None
        self._all: list[Lent] = []

    def borrow(self) -> Lent:
        """A connection with room, made if there is none. Raises `KataError` config."""
        lent = next((lent for lent in self._all if lent.borrowers < MAX_REQUESTS_PER_CLIENT), None)
        if lent is None:
            lent = Lent(self._make())
            self._all.append(lent)
        lent.borrowers += 1
        return lent

    def _make(self) -> Connection:
        import httpx2

        try:
            return self._connect(self._http_client())
        # Addresses, proxies of an unknown kind and missing certificate files come to light here.
        except (httpx2.InvalidURL, ValueError, ImportError, OSError) as error:
            told = f"cannot prepare a connection to {self.endpoint.base_url}: {error}"
            hint = f"check the base_url of {self.endpoint.name}, ALL_PROXY, HTTPS_PROXY and SSL_CERT_FILE"
            raise KataError("config", told, hint) from error

    async def aclose(self) -> None:
        """Close all connections; the next borrower opens new ones."""
        closing, self._all = self._all, []
        for lent in closing:
            await lent.connection.aclose()

    def _http_client(self) -> httpx2.AsyncClient:
        if self._tls is None:
            self._tls = tls_context(self.endpoint.base_url)
        return http_client(self.endpoint.base_url, self.timeouts, self._tls)


def http_client(base_url: str, timeouts: Timeouts, tls: ssl.SSLContext) -> httpx2.AsyncClient:
    """A client for one address; on this machine it goes round every proxy."""
    import httpx2

    return httpx2.AsyncClient(
        verify=tls,
        timeout=httpx2.Timeout(None, connect=timeouts.connect_s),
        limits=httpx2.Limits(
            max_connections=None,
            max_keepalive_connections=MAX_REQUESTS_PER_CLIENT,
            keepalive_expiry=KEEPALIVE_S,
        ),
        # A redirect would carry the prompt, and headers of ours, to whoever is named in it.
        follow_redirects=False,
        trust_env=not is_loopback(base_url),
    )


def wrap(sdk: Any, names: Any, headers: dict[str, Any]) -> Connection:
    """A connection over an SDK client. Both SDKs come from one generator: `names` is either's module.

    The SDK carries address, credential and HTTP errors; its typed chunks cost 5 to 18 times our decoding.
    """
    import httpx2

    async def post(path: str, body: dict[str, Any]) -> httpx2.Response:
        response: httpx2.Response = await sdk.post(
            path,
            cast_to=httpx2.Response,
            body=body,
            options={"headers": headers},
            stream=True,
            stream_cls=names.AsyncStream[Any],
        )
        return response

    async def get(path: str, query: dict[str, str]) -> httpx2.Response:
        options = {"headers": headers, "params": query}
        response: httpx2.Response = await sdk.get(path, cast_to=httpx2.Response, options=options)
        return response

    return Connection(
        post=post,
        get=get,
        aclose=sdk.close,
        status_error=names.APIStatusError,
        connection_error=names.APIConnectionError,
    )


def is_loopback(base_url: str) -> bool:
    """Whether a URL names this machine, so that no proxy and no key is needed."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def tls_context(base_url: str) -> ssl.SSLContext:
    """The system's trust; or, where no TLS is spoken, a context that trusts nobody and loads nothing."""
    if is_loopback(base_url) and not base_url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    import httpx2

    return httpx2.create_ssl_context()
