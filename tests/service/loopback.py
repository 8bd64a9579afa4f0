"""A real uvicorn on a loopback port of its own, for tests of the service.

    with Loopback(app) as server:
        answer = server.ask("GET", "/healthz")

An app that must know its port gets the listener first:

    listener = listen()
    app = guarded(routes, Guard(token=TOKEN, port=port_of(listener)))
    with Loopback(app, listener=listener, **uvicorn_options(Limits())) as server:
        ...
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WAIT_S = 10.0
DEFAULTS: dict[str, Any] = {
    "ws": "websockets-sansio",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": 1,
}


class Answer(msgspec.Struct, frozen=True):
    """A whole HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class _Server(uvicorn.Server):
    """Tells when it listens, or that it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.is_settled.set()


class Loopback:
    """Serves an ASGI app in a thread while the `with` block lasts; `options` go to `uvicorn.Config`."""

    def __init__(
        self,
        app: Any,
        *,
        listener: socket.socket | None = None,
        http: type[HttpToolsProtocol] = HttpToolsProtocol,
        **options: Any,
    ) -> None:
        self._listener = listener or listen()
        self.port = port_of(self._listener)
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = _Server(uvicorn.Config(app, http=http, **{**DEFAULTS, **options}))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        assert self._server.is_settled.wait(WAIT_S)
        assert self._server.started, "the app did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "uvicorn did not stop"

    @property
    def open_connections(self) -> int:
        return len(self._server.server_state.connections)

    def connect(self, timeout_s: float = WAIT_S) -> socket.socket:
        """A new connection, for what no HTTP client would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def send_raw(self, data: bytes) -> bytes:
        """All that is answered to these bytes until the server closes; TimeoutError if it does not."""
        with self.connect() as client:
            client.sendall(data)
            return read_to_end(client)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request by the standard library's client, which sets Host and Content-Length itself."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            client.request(method, path, body, dict(headers or {}))
            reply = client.getresponse()
            lowered = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, lowered, reply.read())
        finally:
            client.close()


def listen() -> socket.socket:
    """A socket that listens on a free loopback port."""
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def read_to_end(client: socket.socket) -> bytes:
    """What arrives until the peer closes; a reset after the answer is a close too."""
    read = bytearray()
    try:
        while data := client.recv(65536):
            read += data
    except ConnectionResetError:
        pass
    return bytes(read)
