"""The WebSocket in the OpenAPI document: its methods, what it says by itself, its errors and its ends."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from kata_cli.service import rpc, rpc_socket
from kata_cli.service.documents import Asked
from kata_cli.service.openapi_parts import REF, reference
from kata_cli.service.operations import Operation

Json = dict[str, Any]

ERRORS = {
    rpc.PARSE_ERROR: "the message is no JSON",
    rpc.INVALID_REQUEST: "it is no request; batches are not taken",
    rpc.METHOD_NOT_FOUND: "no method is called so",
    rpc.INVALID_PARAMS: "the parameters do not fit the method",
    rpc.INTERNAL_ERROR: "a bug in kata",
    rpc.REFUSED: "refused: `data` is an ErrorDocument",
}
TOO_BIG = rpc_socket.End(1009, "a message exceeds 1 MiB")
ENDS = (rpc_socket.NO_TOKEN, rpc_socket.GOING_AWAY, TOO_BIG, rpc_socket.SLOW)


def kinds() -> list[type[msgspec.Struct]]:
    """The types of the WebSocket alone."""
    own = [kind for method in rpc.OF_CONNECTION.values() for kind in (method.takes, method.gives)]
    return [*own, *map(_params, rpc.OF_SESSIONS.values())]


def described() -> Json:
    """The extension of the OpenAPI document."""
    own = {name: _method(told.takes, told.gives, told.summary) for name, told in rpc.OF_CONNECTION.items()}
    asked = {name: _method(_params(told), told.gives, told.summary) for name, told in rpc.OF_SESSIONS.items()}
    return {
        "path": "/api/ws",
        "protocol": "JSON-RPC 2.0",
        "methods": own | asked,
        "notifications": {"event": {"params": _event()}, "heartbeat": {"params": reference(rpc.Time)}},
        "errors": {str(code): told for code, told in ERRORS.items()},
        "closeCodes": {str(end.code): end.reason for end in ENDS},
    }


def _method(takes: type[msgspec.Struct], gives: type[msgspec.Struct], summary: str) -> Json:
    return {"summary": summary, "params": reference(takes), "result": reference(gives)}


def _event() -> Json:
    return {
        "type": "object",
        "properties": {
            "session": {"type": "string"},
            "id": {"type": "string", "description": "`subscribe` with it as `after` goes on from here."},
            "event": {"$ref": REF.format(name="Event")},
        },
        "required": ["session", "id", "event"],
    }


def _params(operation: Operation) -> type[msgspec.Struct]:
    """What REST takes in the path and the body is one object here."""
    return _with_session(operation.takes) if operation.has_session else operation.takes


@cache
def _with_session(takes: type[Asked]) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        f"{takes.__name__}OfSession",
        [("session", str)],
        bases=(takes,),
        namespace={"__doc__": takes.__doc__},
        kw_only=True,
    )
