"""Connections that send half a request, too much or nothing: closed in time, and nobody else waits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import msgspec
import pytest
import uvicorn
from uvicorn.server import ServerState

from kata_cli.core import loop
from kata_cli.service.asgi import Receive, Scope, Send
from kata_cli.service.connections import LimitedProtocol, Limits, limited, uvicorn_options
from service.loopback import Loopback, read_to_end

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n{"
HUGE = b"x" * 20_000_000
BRIEF = Limits(request_s=0.3)


class Held:
    """An app that answers at once, on /held not before it is released, on /early before it has the body."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self._loop, self._release = asyncio.get_running_loop(), asyncio.Event()
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await self._release.wait()
            await send({"type": "websocket.send", "text": "released"})
            await send({"type": "websocket.close", "code": 1000})
            return
        is_early = scope["path"].startswith("/early")
        while not is_early and (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        if scope["path"] == "/early/huge":
            await send({"type": "http.response.body", "body": HUGE, "more_body": False})
            return
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        if scope["path"] in ("/held", "/early"):
            await self._release.wait()
        await send({"type": "http.response.body", "body": b"last", "more_body": False})

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._release.set)


@contextlib.contextmanager
def _serving(limits: Limits, app: Held | None = None) -> Iterator[Loopback]:
    with Loopback(app or Held(), lifespan="off", **uvicorn_options(limits)) as server:
        yield server


def _read_until(client: socket.socket, end: bytes) -> bytes:
    read = b""
    while not read.endswith(end):
        read += client.recv(65536)
    return read


def _wait_until_expired(server: Loopback) -> None:
    """Return when a connection opened now has used up its time: all older ones have then, too."""
    assert server.send_raw(b"") == b""


def test_f91_h4_two_hundred_half_open_connections_starve_nobody() -> None:
    """The oldest make room, so that at most 32 stay; a whole request is served in between and at the end."""
    with _serving(Limits(request_s=60.0, grace_s=0.0)) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(200)]
        for client in clients[::-1]:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert server.ask("GET", "/").status == 200
        assert [read_to_end(client) for client in clients[:168]] == [b""] * 168
        assert server.open_connections <= 33  # with the one that has just been served
        clients[-1].sendall(b" here\r\nConnection: close\r\n\r\n")
        assert read_to_end(clients[-1]).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("grace_s", "got"), [(60.0, b"HTTP/1.1 200 "), (0.0, b"")])
def test_h4_a_burst_does_not_end_what_is_new(grace_s: float, got: bytes) -> None:
    """Within its grace a connection may be overtaken by any number of others, after it not."""
    limits = Limits(request_s=60.0, grace_s=grace_s, max_half_open=2)
    with _serving(limits) as server, server.connect() as first, contextlib.ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(server.connect())
        assert server.ask("GET", "/").status == 200
        with contextlib.suppress(ConnectionError):
            first.sendall(HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_to_end(first)[:13] == got


class Wire(asyncio.Transport):
    """The side of a connection that the server holds, without a network."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


def test_h4_room_is_made_by_age_alone() -> None:
    """A look that older connections caused spares the new ones, which have a whole grace of their own."""
    kind = limited(Limits(max_half_open=1, grace_s=1.0))
    config, state = uvicorn.Config(Held(), log_config=None), ServerState()

    def connect() -> tuple[LimitedProtocol, Wire]:
        connection, wire = kind(config=config, server_state=state, app_state={}), Wire()
        connection.connection_made(wire)
        return connection, wire

    async def overtake() -> list[list[bool]]:
        old = [connect(), connect()]
        await asyncio.sleep(0.9)
        for connection, _ in old:
            connection.connection_lost(ConnectionResetError())
        new = [connect(), connect()]
        seen = []
        for wait_s in (0.5, 0.6):
            await asyncio.sleep(wait_s)
            seen.append([wire.is_aborted for _, wire in new])
        return seen

    assert loop.run(overtake(), is_virtual=True) == [[False, False], [True, False]]


@pytest.mark.parametrize(
    "sent",
    [
        b"G",
        b"GET / HTTP/1.1\r\nHost: he",
        HEAD + HEAD[:-2],
        HALF_A_BODY,
    ],
    ids=["a letter", "half a head", "half a second request", "half a body"],
)
def test_f91_half_a_request_is_ended_by_time(sent: bytes) -> None:
    """408 with the error document, then the end; before it the answer to what was whole."""
    with _serving(BRIEF) as server:
        got = server.send_raw(sent)
    head, _, body = got[got.index(b"HTTP/1.1 408 ") :].partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert msgspec.json.decode(body)["code"] == "timeout"
    assert got.count(b"HTTP/1.1 200 ") == sent.count(HEAD)


def test_a_blank_line_begins_a_request() -> None:
    """It ends uvicorn's limit between requests, so the one for requests takes over."""
    with _serving(BRIEF) as server, server.connect() as client:
        client.sendall(HEAD)
        _read_until(client, b"0\r\n\r\n")
        client.sendall(b"\r\n")
        assert read_to_end(client).startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_ends_without_a_word() -> None:
    """Browsers open connections in advance: an answer to no request would be taken for one to the next."""
    with _serving(BRIEF) as server:
        assert server.send_raw(b"") == b""


def test_a_drip_of_bytes_gains_no_time() -> None:
    """The time runs from the first byte, not from the last."""
    with _serving(BRIEF) as server, server.connect(timeout_s=0.01) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"GET / HTTP/1.1\r\nX: ")
            while not _has_answer(client):
                client.sendall(b"x")
            assert read_to_end(client).startswith(b"HTTP/1.1 408 ")
        _wait_until_expired(server)
        assert server.open_connections == 0


def _has_answer(client: socket.socket) -> bool:
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


def test_the_time_is_for_the_request_not_for_its_answer() -> None:
    """A stream, and a kept connection after it, outlive the time for a request."""
    app = Held()
    with _serving(BRIEF, app) as server, server.connect() as client:
        client.sendall(HEAD.replace(b"/ ", b"/held ", 1))
        _read_until(client, b"first \r\n")
        _wait_until_expired(server)
        app.release()
        _read_until(client, b"0\r\n\r\n")
        _wait_until_expired(server)
        client.sendall(HEAD)
        assert _read_until(client, b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_websocket_outlives_the_time_for_a_request() -> None:
    """The limit ends with the handshake."""
    from websockets.sync.client import connect

    app = Held()
    with _serving(BRIEF, app) as server, connect(f"ws://127.0.0.1:{server.port}/") as client:
        _wait_until_expired(server)
        app.release()
        assert client.recv() == "released"


@pytest.mark.parametrize(
    "behind",
    [b"GET / HT", HALF_A_BODY, b"no request\r\n\r\n"],
    ids=["half a head", "half a body", "malformed"],
)
def test_no_refusal_is_written_into_an_answer(behind: bytes) -> None:
    """What is wrong behind a request that is being answered ends the connection, and nothing else is sent."""
    app = Held()
    with _serving(BRIEF, app) as server, server.connect() as client:
        client.sendall(HEAD.replace(b"/ ", b"/held ", 1))
        _read_until(client, b"first \r\n")
        client.sendall(behind)
        assert read_to_end(client) == b""
        app.release()


def test_no_refusal_is_written_into_an_answer_that_came_early() -> None:
    """Half a body ends the connection, though its request is being answered already."""
    app = Held()
    with _serving(BRIEF, app) as server:
        got = server.send_raw(HALF_A_BODY.replace(b"/ ", b"/early ", 1))
        app.release()
    assert got.endswith(b"first \r\n")
    assert got.count(b"HTTP/1.1 ") == 1


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    """A client with half a body that does not take its answer is gone after the time for a request."""
    app = Held()
    app.headers = [(b"connection", b"close")]
    with _serving(BRIEF, app) as server, server.connect() as client:
        client.sendall(HALF_A_BODY.replace(b"/ ", b"/early/huge ", 1))
        assert client.recv(1)
        _wait_until_expired(server)
        assert len(read_to_end(client)) < len(HUGE)


def test_each_head_is_counted_by_itself() -> None:
    """Three long heads on one connection are served; the next one, which has no end, is cut."""
    head = HEAD.replace(b"here", b"x" * 1_500)
    with _serving(Limits(max_head_bytes=2_000)) as server, server.connect() as client:
        for _ in range(3):
            client.sendall(head)
            assert _read_until(client, b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        client.sendall(head[:-4] + b"x" * 1_500)
        assert read_to_end(client).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b""], ids=["header", "path", "blank lines"]
)
def test_an_endless_head_is_cut(sent: bytes) -> None:
    """431 long before memory matters, whichever part of the head has no end."""
    limits = Limits(request_s=60.0, max_head_bytes=2_000)
    with _serving(limits) as server, server.connect() as client:
        client.sendall(sent + (b"x" if sent else b"\r\n") * 2_000)
        assert read_to_end(client).startswith(b"HTTP/1.1 431 ")


def test_a_head_that_is_wrong_twice_gets_one_answer() -> None:
    """The first thing that is wrong decides."""
    with _serving(Limits(max_head_bytes=2_000)) as server:
        got = server.send_raw(b"no request " * 1_000)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert got.count(b"HTTP/1.1 ") == 1


def test_h4_more_connections_than_the_limit_are_told_to_come_back() -> None:
    """503 with Retry-After for the one too many, a handshake too; the others go on."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    app = Held()
    limits = Limits(max_connections=1)
    with _serving(limits, app) as server, server.connect() as client:
        client.sendall(HEAD)
        _read_until(client, b"0\r\n\r\n")
        surplus = server.ask("GET", "/")
        assert (surplus.status, surplus.json["code"], surplus.headers["retry-after"]) == (503, "busy", "5")
        with pytest.raises(InvalidStatus, match="503"):
            connect(f"ws://127.0.0.1:{server.port}/")
        client.sendall(HEAD)
        assert _read_until(client, b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert app.paths == ["/", "/"]


def test_an_idle_connection_is_closed() -> None:
    """uvicorn's own limit between two requests is in force."""
    with _serving(Limits(keep_alive_s=0)) as server:
        assert server.send_raw(HEAD).endswith(b"0\r\n\r\n")
