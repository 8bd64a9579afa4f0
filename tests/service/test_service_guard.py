"""The guard: which requests it refuses and why, as a table and through ASGI without a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from kata_cli.service import guard as guard_module
from kata_cli.service import refusal
from kata_cli.service.asgi import Message, Receive, Scope, Send
from kata_cli.service.guard import MAX_BODY_BYTES, MAX_DRAINED_BYTES, Guard, guarded
from kata_cli.service.refusal import PAGE_POLICY, SAFE_HEADERS
from service.guard_rows import GUARD, HOST, JSON, KEY, OWN, TABLES, TOKEN, Row

ROWS = [pytest.param(row, id=f"{table}: {row.name}") for table, rows in TABLES.items() for row in rows]


@pytest.mark.parametrize("row", ROWS)
def test_f89_f90_h1_each_request_of_the_table_gets_its_answer(row: Row) -> None:
    """Host, Origin, token, content type, length and target: the refusal of the table, or served."""
    refused = GUARD.check(row.asked)
    assert (refused.status if refused else 0) == row.status
    assert refused is None or refused.is_last


def test_h1_the_first_check_that_fails_gives_the_answer() -> None:
    """The order is method, Host, Origin, token, content type, framing and length."""
    headers = {
        "Host": "evil.example",
        "Origin": "http://evil.example",
        "Authorization": "Bearer guess",
        "Content-Type": "text/plain",
        "Content-Length": "-1",
    }
    statuses = [_status(headers, "PUT")]
    for mended in ({}, OWN, {"Origin": f"http://{HOST}"}, KEY, JSON, {"Content-Length": "9" * 9}):
        headers |= mended
        statuses.append(_status(headers))
    assert statuses == [405, 421, 403, 401, 415, 400, 413]


def _status(headers: dict[str, str], method: str = "POST") -> int:
    refused = GUARD.check(Row("", 0, headers, method=method).asked)
    return refused.status if refused else 0


def test_a_browser_leaves_out_the_port_of_plain_http() -> None:
    """On port 80 the bare name is the own one."""
    guard = Guard(token=TOKEN, port=80)
    assert guard.check(Row("", 0, OWN | KEY | {"Host": "localhost"}).asked) is None
    assert guard.check(Row("", 0, OWN | KEY | {"Host": "localhost:80"}).asked) is None


def test_h3_the_token_is_compared_in_constant_time_only() -> None:
    """One place compares tokens, with `compare_digest`, and the guard has no other comparison of its own."""
    room = Path(guard_module.__file__).parent
    assert "secrets.compare_digest" in (room / "token.py").read_text()
    assert not re.search(
        r"_token\s*(==|!=|in\b)|(==|!=|in\b)\s*self\._token", (room / "guard.py").read_text()
    )


def test_a_refusal_never_repeats_what_was_sent() -> None:
    """What a stranger sends, the token too, does not come back in the document."""
    marked = {"Host": "canary.example", "Authorization": "Bearer canary", "Origin": "http://canary"}
    for name, value in marked.items():
        refused = GUARD.check(Row("", 0, OWN | KEY | {name: value}).asked)
        assert refused is not None
        assert b"canary" not in refusal.answer(refused).body


class Exchange:
    """A guarded app without a server: what it was given, and what it sent."""

    def __init__(self, *messages: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.bodies: list[bytes] = []
        self.sent: list[dict[str, Any]] = []
        self.reads = 0
        self._waiting = list(messages)
        self._headers = headers or {}

    def run(self, row: Row, kind: str = "http") -> Exchange:
        scope = {
            "type": kind,
            "method": row.method,
            "path": row.path,
            "raw_path": row.path.encode(),
            "query_string": b"",
            "headers": row.asked.headers,
        }
        asyncio.run(self._exchange(scope))
        return self

    async def _exchange(self, scope: Scope) -> None:
        await guarded(self._app, GUARD)(scope, self._receive, self._send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.sent[0]["headers"]}

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.bodies.append((await receive())["body"])
            assert (await receive())["type"] == "http.disconnect"
        headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    async def _receive(self) -> Message:
        self.reads += 1
        return self._waiting.pop(0) if self._waiting else {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(dict(message))


def _part(body: bytes, *, has_more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": has_more}


POST = Row("", 0, OWN | KEY | JSON | {"Content-Length": "4"}, method="POST")


def test_an_app_gets_its_body_once_and_whole() -> None:
    """Parts are put together before the app is called; after the body it hears of the client's leaving."""
    exchange = Exchange(_part(b"{", has_more=True), _part(b"}", has_more=False)).run(POST)
    assert (exchange.bodies, exchange.status) == ([b"{}"], 200)


def test_f91_half_a_body_never_reaches_the_app() -> None:
    """A client that leaves in the middle of its body has asked nothing."""
    exchange = Exchange(_part(b"{", has_more=True)).run(POST)
    assert (exchange.bodies, exchange.sent) == ([], [])


@pytest.mark.parametrize("has_more", [True, False])
def test_f92_the_body_is_counted_too(has_more: bool) -> None:
    """More bytes than the limit are 413, whatever length was announced."""
    exchange = Exchange(_part(b"x" * (MAX_BODY_BYTES + 1), has_more=has_more)).run(POST)
    assert (exchange.bodies, exchange.status, exchange.reads) == ([], 413, 1)


def test_the_body_of_a_refused_request_passes_by() -> None:
    """The answer goes first, then as many bytes are read as a client may still be sending."""
    endless = [_part(b"x" * MAX_BODY_BYTES, has_more=True)] * 20
    exchange = Exchange(*endless).run(Row("", 0, OWN | {"Content-Length": "9999999999"}, method="POST"))
    assert (exchange.status, exchange.reads) == (401, MAX_DRAINED_BYTES // MAX_BODY_BYTES)
    assert [message.get("more_body") for message in exchange.sent] == [None, True, False]
    assert exchange.headers["connection"] == "close"


def test_a_refused_body_that_ends_is_read_to_its_end() -> None:
    """A short body takes one read, and nothing is read where none was announced."""
    assert Exchange(_part(b"{}", has_more=False)).run(Row("", 0, OWN | {"Content-Length": "2"})).reads == 1
    assert Exchange().run(Row("", 0, OWN)).reads == 0


def test_each_answer_is_hardened() -> None:
    """An app's own caching, server and CORS headers give way; a page gets the strict policy."""
    loose = {
        "Cache-Control": "public",
        "Access-Control-Allow-Origin": "*",
        "Server": "uvicorn",
        "Content-Type": "text/html; charset=utf-8",
    }
    exchange = Exchange(_part(b"", has_more=False), headers=loose).run(Row("", 0, OWN, path="/"))
    assert exchange.headers == {name.decode(): value.decode() for name, value in SAFE_HEADERS} | {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": PAGE_POLICY.decode(),
    }


def test_what_is_no_request_passes() -> None:
    """Start and end of the server go to the app as they are."""
    assert Exchange().run(Row("", 0, {}), kind="lifespan").status == 200


def test_a_handshake_is_refused_as_an_answer() -> None:
    """A refused WebSocket gets the error document, an allowed one goes to the app."""
    foreign = Row("", 0, OWN | {"Origin": "http://evil.example"}, path="/api/ws")
    refused = Exchange({"type": "websocket.connect"}).run(foreign, kind="websocket")
    assert (refused.status, refused.sent[0]["type"]) == (403, "websocket.http.response.start")
    assert refused.headers["cache-control"] == "no-store"
    assert Exchange().run(Row("", 0, OWN, path="/api/ws"), kind="websocket").status == 200
