"""JSON-RPC 2.0 (jsonrpc.org/specification) as the WebSocket speaks it: a message in, an answer out, no I/O.

Batches are refused: on a connection that takes requests at any time they would only hold up each other.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from kata_cli.core.errors import ErrorDocument, KataError, document
from kata_cli.core.events import encode_json
from kata_cli.core.jsonl import decode_json
from kata_cli.core.text import near
from kata_cli.service import errors
from kata_cli.service.documents import Asked, Nothing
from kata_cli.service.event_id import EventId
from kata_cli.service.log import Logged
from kata_cli.service.operations import OPERATIONS, Operation
from kata_cli.service.sessions import Sessions
from kata_cli.service.workplace import Workplace

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_SHOWN_CHARS = 80

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
REFUSED = -32000

Id = str | int | float | None
T = TypeVar("T")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request; without an `id` it is a notification, which gets no answer."""

    jsonrpc: Literal["2.0"]
    method: str
    params: dict[str, Any] | list[Any] = {}
    id: Id | msgspec.UnsetType = msgspec.UNSET


class RpcError(Exception):
    """Why a message is no call of ours. `id` is that of the message, if it has one."""

    def __init__(self, code: int, message: str, id: Id = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = id


class Auth(Asked):
    """The first message of a client whose handshake had no `Authorization`."""

    token: str


class Subscribe(Asked):
    """Ask for the events of a session, from now on or after the last one seen."""

    session: str
    after: EventId = ""


class Unsubscribe(Asked):
    """Ask for no more events of a session."""

    session: str


class Subscribed(msgspec.Struct, kw_only=True):
    """`last_event_id` is where the events of the session had got to."""

    last_event_id: str


class Time(msgspec.Struct, kw_only=True):
    """The clock of the service: an answer to `ping`, and what a `heartbeat` says."""

    ts: str


class Method(NamedTuple):
    """What a client can ask of the connection itself."""

    takes: type[Asked]
    gives: type[msgspec.Struct]
    summary: str


OF_CONNECTION = {
    "auth": Method(Auth, Time, "Show the token, first of all."),
    "subscribe": Method(Subscribe, Subscribed, "Be told the events of a session."),
    "unsubscribe": Method(Unsubscribe, Time, "Be told them no more."),
    "ping": Method(Nothing, Time, "Ask whether the service is there."),
}
OF_SESSIONS = {operation.name: operation for operation in OPERATIONS}


def decode(data: bytes) -> Call:
    """The call in a message. Raises `RpcError`."""
    try:
        value = decode_json(data, max_bytes=MAX_MESSAGE_BYTES)
    except ValueError as error:
        raise RpcError(PARSE_ERROR, f"this is no JSON: {error}") from None
    if isinstance(value, list):
        raise RpcError(INVALID_REQUEST, "batches are not taken: send each request by itself")
    try:
        return msgspec.convert(value, Call)
    except msgspec.ValidationError as error:
        raise RpcError(INVALID_REQUEST, f"this is no request: {error}", _id_of(value)) from None


def arguments(params: object, kind: type[T]) -> T:
    """The parameters of a call, which are named. Raises `RpcError`."""
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise RpcError(INVALID_PARAMS, f"params: {error}") from None


async def perform(call: Call, sessions: Sessions) -> msgspec.Struct:
    """Do what a call asks of the sessions. Raises `RpcError`, `KataError`."""
    operation = _find(call.method)
    session_id, asked = _split(call, operation)
    return await operation.ask(sessions, session_id, asked)


async def answer(call: Call, doing: Awaitable[object], place: Workplace) -> bytes | None:
    """The answer to a call, whatever comes of doing it; None to a notification."""
    if isinstance(call.id, msgspec.UnsetType):
        await _answer(None, doing, place)
        return None
    return await _answer(call.id, doing, place)


def error(refused: RpcError) -> bytes:
    """The answer to what is no call of ours."""
    return _error(refused.id, refused.code, str(refused))


def notification(method: str, params: object) -> bytes:
    """What the service says of itself."""
    return encode_json({"jsonrpc": "2.0", "method": method, "params": params})


def event(session_id: str, logged: Logged) -> bytes:
    """An event of a session, and the id to go on after."""
    return notification("event", {"session": session_id, "id": logged.id, "event": msgspec.Raw(logged.data)})


async def _answer(id: Id, doing: Awaitable[object], place: Workplace) -> bytes:
    try:
        return encode_json({"jsonrpc": "2.0", "id": id, "result": await doing})
    except RpcError as refused:
        return _error(id, refused.code, place.redactor.text(str(refused)))
    except KataError as refused:
        told = document(errors.without_secrets(refused.failure, place.redactor), place.runtime_mode)
        return _error(id, REFUSED, told.message, told)
    except Exception as bug:
        place.on_bug(bug)
        return _error(id, INTERNAL_ERROR, "a bug in kata")


def _error(id: Id, code: int, message: str, data: ErrorDocument | None = None) -> bytes:
    told: dict[str, object] = {"code": code, "message": message}
    if data is not None:
        told["data"] = data
    return encode_json({"jsonrpc": "2.0", "id": id, "error": told})


def _find(method: str) -> Operation:
    if found := OF_SESSIONS.get(method):
        return found
    shown = method[:MAX_SHOWN_CHARS]
    hint = near(shown, [*OF_CONNECTION, *OF_SESSIONS]) or "GET /api/openapi.json lists the methods"
    raise RpcError(METHOD_NOT_FOUND, f"no method is called {shown!r}: {hint}")


def _split(call: Call, operation: Operation) -> tuple[str, Asked]:
    """The session and the document of a request, which are one object of parameters here."""
    if not isinstance(call.params, dict):
        raise RpcError(INVALID_PARAMS, "params: must be an object")
    fields = dict(call.params)
    session_id = fields.pop("session", None) if operation.has_session else ""
    if not isinstance(session_id, str):
        raise RpcError(INVALID_PARAMS, "params: `session` must be the id of a session")
    return session_id, arguments(fields, operation.takes)


def _id_of(message: object) -> Id:
    """The id of what is no request, so that its sender can tell which it was."""
    found = message.get("id") if isinstance(message, dict) else None
    return found if isinstance(found, str | int | float) and not isinstance(found, bool) else None
