"""What stands before the service: a decision on method, path and headers, and the ASGI layer around it.

A web page that the user visits can reach a loopback port by a name of its own (DNS rebinding), and a proxy
in between may see other borders between requests than the server does (request smuggling).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from kata_cli.service import refusal
from kata_cli.service.asgi import App, Receive, Scope, Send, drain, read_body, with_body
from kata_cli.service.refusal import Refusal
from kata_cli.service.token import is_same

METHODS = ("GET", "HEAD", "POST")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
OPEN_FOLDER = "/panel/"
SOCKET_PATH = "/api/ws"
MAX_TARGET_BYTES = 8_192
MAX_HEAD_BYTES = 32_768
MAX_BODY_BYTES = 1_048_576
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES

_DIGITS = re.compile(rb"[0-9]{1,18}")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request before its body: the decoded path, header names in lower case."""

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    target_bytes: int = 0
    is_socket: bool = False

    def values(self, name: bytes) -> list[bytes]:
        return [value.strip() for key, value in self.headers if key == name]

    @property
    def has_body(self) -> bool:
        return bool(self.values(b"transfer-encoding")) or self.values(b"content-length") not in ([], [b"0"])


class Guard:
    """Decides on requests to one address. `hosts` are names beyond loopback, with or without a port."""

    def __init__(
        self, *, token: str, port: int, hosts: Sequence[str] = (), runtime_mode: str | None = None
    ) -> None:
        self.runtime_mode = runtime_mode
        self._token = token
        own, remote = set(_loopback(port)), set(_remote(hosts, port))
        self._hosts = frozenset(own | remote)
        self._origins = frozenset(
            {f"http://{host}" for host in own | remote} | {f"https://{host}" for host in remote}
        )

    def check(self, asked: Asked) -> Refusal | None:
        """Why a request is refused, by the first check that it does not pass; None when it is served."""
        checks = (_target, self._host, self._origin, self._bearer, _socket, _content_type, framing, _length)
        return next((found for check in checks if (found := check(asked))), None)

    def _host(self, asked: Asked) -> Refusal | None:
        hosts = asked.values(b"host")
        if len(hosts) > 1:
            return refusal.final(400, "more than one Host header", "send exactly one")
        if hosts and _text(hosts[0]) in self._hosts:
            return None
        return refusal.final(
            421,
            "this service has another name",
            "open the address that kata serve printed, or see --allow-remote",
        )

    def _origin(self, asked: Asked) -> Refusal | None:
        origins = asked.values(b"origin")
        if not origins or (len(origins) == 1 and _text(origins[0]) in self._origins):
            return None
        return refusal.final(403, "pages of other origins may not call this service", "open the panel at /")

    def _bearer(self, asked: Asked) -> Refusal | None:
        given = asked.values(b"authorization")
        if _is_open(asked.path) or (not given and asked.is_socket and asked.path == SOCKET_PATH):
            return None
        if len(given) == 1 and self._is_right(given[0]):
            return None
        return refusal.final(
            401,
            "the service token is wrong" if given else "the service token is missing",
            "send Authorization: Bearer with the token from the file that kata serve names",
            ((b"www-authenticate", b"Bearer"),),
        )

    def _is_right(self, credentials: bytes) -> bool:
        scheme, _, token = credentials.partition(b" ")
        return scheme.lower() == b"bearer" and is_same(token.strip(b" "), self._token)


def framing(asked: Asked) -> Refusal | None:
    """Refuse what leaves open where the request ends (RFC 9112, section 6.3)."""
    lengths, codings = asked.values(b"content-length"), asked.values(b"transfer-encoding")
    is_plain = all(_DIGITS.fullmatch(length) for length in lengths)
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings) or not is_plain:
        return refusal.final(400, "the length of the body is ambiguous", "send one plain Content-Length")
    if asked.is_socket and (asked.has_body or asked.method != "GET"):
        return refusal.final(400, "this is no plain WebSocket handshake", "send GET without a body")
    return None


def guarded(app: App, guard: Guard) -> App:
    """The app behind a guard: it sees a request only when that is allowed and its body is there whole."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        send = refusal.hardened(send)
        asked = asked_by(scope)
        if refused := guard.check(asked):
            await _refuse(asked, refusal.answer(refused, guard.runtime_mode), receive, send)
        elif asked.is_socket:
            await app(scope, receive, send)
        else:
            await _serve_whole(app, guard, scope, receive, send)

    return serve


def asked_by(scope: Scope) -> Asked:
    """The request of an ASGI scope."""
    return Asked(
        method=scope.get("method", "GET"),
        path=scope["path"],
        headers=scope["headers"],
        target_bytes=len(scope["raw_path"]) + len(scope["query_string"]),
        is_socket=scope["type"] == "websocket",
    )


async def _serve_whole(app: App, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body first, so that half a request, or one that is longer than it said, does nothing."""
    body, is_whole = await read_body(receive, MAX_BODY_BYTES)
    if is_whole:
        await app(scope, with_body(body, receive), send)
    elif len(body) > MAX_BODY_BYTES:
        await refusal.send_answer(send, refusal.answer(_too_big(), guard.runtime_mode))


async def _refuse(asked: Asked, ready: refusal.Answer, receive: Receive, send: Send) -> None:
    """Answer, then let the body pass by: a client that still writes would see a reset and no answer."""
    if asked.is_socket:
        await receive()
        await refusal.send_answer(send, ready, "websocket.http.response")
        return
    await refusal.send_answer(send, ready, is_complete=not asked.has_body)
    if asked.has_body:
        await drain(receive, MAX_DRAINED_BYTES)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _target(asked: Asked) -> Refusal | None:
    if asked.method not in METHODS:
        allowed = ", ".join(METHODS)
        return refusal.final(405, "no such method", f"use {allowed}", ((b"allow", allowed.encode()),))
    if asked.target_bytes > MAX_TARGET_BYTES:
        return refusal.final(414, f"the address exceeds {MAX_TARGET_BYTES} bytes", "send a shorter one")
    if sum(len(name) + len(value) for name, value in asked.headers) > MAX_HEAD_BYTES:
        return refusal.final(431, f"the headers exceed {MAX_HEAD_BYTES} bytes", "send fewer headers")
    if not asked.path.isprintable() or {".", ".."} & set(asked.path.replace("\\", "/").split("/")):
        return refusal.final(
            400, "the path is not a plain one", "send it without dots and control characters"
        )
    return None


def _socket(asked: Asked) -> Refusal | None:
    """Refuse a handshake to anything else; the app would do so too, without saying why."""
    if not asked.is_socket or asked.path == SOCKET_PATH:
        return None
    return refusal.final(404, "there is no WebSocket at this address", f"connect to {SOCKET_PATH}")


def _content_type(asked: Asked) -> Refusal | None:
    if not asked.has_body:
        return None
    kinds = [_text(value).partition(";")[0].strip() for value in asked.values(b"content-type")]
    if kinds == ["application/json"]:
        return None
    return refusal.final(415, "the body is not said to be JSON", "send Content-Type: application/json")


def _length(asked: Asked) -> Refusal | None:
    if asked.values(b"transfer-encoding"):
        return refusal.final(411, "the length of the body is not known", "send Content-Length, not chunks")
    lengths = asked.values(b"content-length")
    return _too_big() if lengths and int(lengths[0]) > MAX_BODY_BYTES else None


def _too_big() -> Refusal:
    return refusal.final(413, f"the body exceeds {MAX_BODY_BYTES} bytes", "send less in one request")


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _text(value: bytes) -> str:
    return value.decode("latin-1").lower()


def _loopback(port: int) -> Iterator[str]:
    """How clients on this machine may call the service; they leave out the port of plain HTTP."""
    for host in LOOPBACK:
        yield f"{host}:{port}"
        if port == 80:
            yield host


def _remote(hosts: Sequence[str], port: int) -> Iterator[str]:
    """How others may: by a name alone behind a proxy, else with the port."""
    for host in map(str.lower, hosts):
        yield host
        if ":" not in host.rpartition("]")[2]:
            yield f"{host}:{port}"
