"""The guard and the connections on a real socket: the table again, smuggling, bodies and handshakes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from kata_cli.service.asgi import Receive, Scope, Send
from kata_cli.service.connections import Limits, uvicorn_options
from kata_cli.service.guard import MAX_BODY_BYTES, Guard, guarded
from kata_cli.service.refusal import SAFE_HEADERS
from service.guard_rows import JSON, KEY, PORT, REMOTE_HOSTS, TABLES, TOKEN, Row
from service.loopback import Loopback, listen, port_of

SAFE = {f"{name.decode()}: {value.decode()}" for name, value in SAFE_HEADERS}


class Site:
    """A guarded app on a real socket that counts what reaches it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        listener = listen()
        guard = Guard(token=TOKEN, port=port_of(listener), hosts=REMOTE_HOSTS)
        options = uvicorn_options(Limits(request_s=2.0))
        self.server = Loopback(guarded(self._app, guard), listener=listener, lifespan="off", **options)
        self.host = f"127.0.0.1:{self.server.port}"

    def ask(self, row: Row) -> tuple[list[str], bytes]:
        """The lines of the answer's head, in lower case, and its body."""
        lines = [f"{name}: {value}" for name, value in row.pairs]
        request = "\r\n".join([f"{row.method} {row.path} HTTP/1.1", *lines, "Connection: close", "", ""])
        got = self.server.send_raw(request.replace(f":{PORT}", f":{self.server.port}").encode("latin-1"))
        head, _, body = got.partition(b"\r\n\r\n")
        return head.decode().lower().split("\r\n"), body

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append(scope["path"])
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": str((await receive()).get("text"))})
            await send({"type": "websocket.close", "code": 1000})
            return
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
        )
        await send({"type": "http.response.body", "body": message["body"], "more_body": False})


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    with site.server:
        yield site


ON_A_SOCKET = [
    pytest.param(row, id=f"{table}: {row.name}")
    for table in ("host", "origin", "token")
    for row in TABLES[table]
    if not row.is_socket
]


@pytest.mark.parametrize("row", ON_A_SOCKET)
def test_h1_the_table_holds_on_a_real_socket(site: Site, row: Row) -> None:
    """The same answers through uvicorn: an error document and a closed connection, nothing in the app."""
    before = len(site.reached)
    head, body = site.ask(row)
    assert head[0].startswith(f"http/1.1 {row.status or 200} ")
    assert {"connection: close", *SAFE} <= set(head)
    assert not [line for line in head if line.startswith(("server:", "access-control-"))]
    assert len(site.reached) - before == (row.status == 0)
    assert row.status == 0 or msgspec.json.decode(body)["schema"] == "kata.error/v1"


def test_h3_a_token_in_the_address_opens_nothing(site: Site) -> None:
    """`?token=` is 401: addresses end up in histories and logs."""
    assert site.server.ask("GET", f"/api/sessions?token={TOKEN}").status == 401


def test_h4_a_body_of_ten_mebibytes_gets_its_answer(site: Site) -> None:
    """A client that is still sending reads 413, not a reset."""
    got = site.server.ask("POST", "/api/x", KEY | JSON, b"x" * (10 * MAX_BODY_BYTES))
    assert (got.status, got.json["code"]) == (413, "limit_reached")
    assert "/api/x" not in site.reached


def test_a_body_and_a_handshake_get_through(site: Site) -> None:
    """What is allowed is served: a body of the whole limit, and a WebSocket of a real client."""
    from websockets.sync.client import connect

    body = b"x" * MAX_BODY_BYTES
    assert site.server.ask("POST", "/api/echo", KEY | JSON, body).body == body
    with connect(f"ws://{site.host}/api/ws") as client:
        client.send("hello")
        assert client.recv() == "hello"


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"Origin": "http://evil.example"}, "/api/ws", 403),
        ({"Authorization": "Bearer guess"}, "/api/ws", 401),
        ({}, "/api/other", 401),
    ],
)
def test_h1_a_handshake_is_refused_on_a_real_socket(
    site: Site, headers: dict[str, str], path: str, status: int
) -> None:
    """A page of another origin, a wrong token and other paths get no WebSocket, but the error document."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    before = len(site.reached)
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{site.host}{path}", additional_headers=headers)
    assert refused.value.response.status_code == status
    assert msgspec.json.decode(refused.value.response.body or b"")["schema"] == "kata.error/v1"
    assert len(site.reached) == before


def _raw(*lines: str, start: str = "POST /api/x HTTP/1.1", host: str = "Host: HOST", body: str = "{}") -> str:
    head = [start, host, f"Authorization: Bearer {TOKEN}", "Content-Type: application/json", *lines]
    return "\r\n".join(line for line in head if line) + "\r\n\r\n" + body


CHUNKED = "Transfer-Encoding: chunked"
UPGRADE = "Connection: Upgrade\r\nUpgrade: "
SMUGGLED = "GET /api/smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"
SMUGGLING = {
    "length and chunks": (400, _raw("Content-Length: 6", CHUNKED, body="0\r\n\r\nG")),
    "chunks and length": (400, _raw(CHUNKED, "Content-Length: 4", body=f"5c\r\n{SMUGGLED}0\r\n\r\n")),
    "two equal lengths": (400, _raw("Content-Length: 2", "Content-Length: 2")),
    "two lengths": (400, _raw("Content-Length: 2", "Content-Length: 0", body=SMUGGLED)),
    "list of lengths": (400, _raw("Content-Length: 2, 2")),
    "negative length": (400, _raw("Content-Length: -1")),
    "length with a plus": (400, _raw("Content-Length: +2")),
    "length with a space": (400, _raw("Content-Length: 1 2")),
    "length past 64 bits": (400, _raw("Content-Length: 99999999999999999999999")),
    "blank length": (400, _raw("Content-Length:")),
    "space before the colon": (400, _raw("Content-Length : 2")),
    "two hosts": (400, _raw("Host: evil.example", "Content-Length: 2")),
    "two equal hosts": (400, _raw("Host: HOST", "Content-Length: 2")),
    "folded header": (400, _raw("X-A: b\r\n c: d", "Content-Length: 2")),
    "folded coding": (400, _raw("Transfer-Encoding:\r\n chunked", body="0\r\n\r\n")),
    "bare line feeds": (400, _raw("Content-Length: 2").replace("\r\n", "\n")),
    "one bare line feed": (400, _raw("X-A: b\nContent-Length: 2")),
    "bare carriage return": (400, _raw("X-A: b\rContent-Length: 2")),
    "NUL in a value": (400, _raw("X-A: b\x00c", "Content-Length: 2")),
    "chunk longer than said": (400, _raw(CHUNKED, body="1\r\nabc\r\n0\r\n\r\n")),
    "negative chunk": (400, _raw(CHUNKED, body="-1\r\nabc\r\n0\r\n\r\n")),
    "chunk past 64 bits": (400, _raw(CHUNKED, body="fffffffffffffffff\r\nabc\r\n0\r\n\r\n")),
    "chunk in C notation": (400, _raw(CHUNKED, body="0x1\r\na\r\n0\r\n\r\n")),
    "plain chunks": (411, _raw(CHUNKED, body="2\r\n{}\r\n0\r\n\r\n")),
    "unknown coding": (400, _raw("Transfer-Encoding: xchunked", body="0\r\n\r\n")),
    "chunked, then another": (400, _raw("Transfer-Encoding: chunked, identity", body="0\r\n\r\n")),
    "chunked twice": (400, _raw(CHUNKED, CHUNKED, body="0\r\n\r\n")),
    "other host in the address": (
        400,
        _raw("Content-Length: 2", start="POST http://evil.example/a HTTP/1.1"),
    ),
    "own host in the address": (400, _raw(start="GET http://HOST/api/x HTTP/1.1", body="")),
    "HTTP/1.0 without host": (421, _raw(start="GET /api/x HTTP/1.0", host="", body="")),
    "HTTP/1.1 without host": (421, _raw(start="GET /api/x HTTP/1.1", host="", body="")),
    "HTTP/0.9": (421, "GET /api/x\r\n\r\n"),
    "HTTP/2 in advance": (400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "tunnel": (400, _raw(start="CONNECT evil.example:80 HTTP/1.1", body="")),
    "body behind a handshake": (400, _raw(f"{UPGRADE}websocket", "Content-Length: 50", body=SMUGGLED)),
    "body behind another protocol": (400, _raw(f"{UPGRADE}h2c", "Content-Length: 50", body=SMUGGLED)),
}


@pytest.mark.parametrize(("status", "request_text"), SMUGGLING.values(), ids=SMUGGLING)
def test_h7_f92_no_request_hides_behind_another(site: Site, status: int, request_text: str) -> None:
    """What two parsers could read in two ways gets one answer, the end of the connection, and no effect."""
    before = len(site.reached)
    raw = (
        request_text.replace("HOST", site.host).encode("latin-1")
        + SMUGGLED.replace("HOST", site.host).encode()
    )
    got = site.server.send_raw(raw)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert got.count(b"HTTP/1.1 ") == 1
    assert b'"schema":"kata.error/v1"' in got
    assert b"\r\nconnection: close\r\n" in got
    assert b"\r\nx-content-type-options: nosniff\r\n" in got
    assert len(site.reached) == before
