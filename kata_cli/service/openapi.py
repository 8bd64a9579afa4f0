"""The OpenAPI 3.1 document of the service, made from the operations and their types.

OpenAPI has no words for server-sent events of several types and for WebSockets: the schema of a stream is
that of one event of it, and the methods of the WebSocket stand under `x-websocket`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from kata_cli import __version__
from kata_cli.core.errors import ErrorDocument
from kata_cli.service import openapi_socket
from kata_cli.service.documents import Asked, Health, Nothing, Send
from kata_cli.service.event_id import EventId
from kata_cli.service.live_events import AnyEvent
from kata_cli.service.openapi_parts import REF, cleaned, content, reference
from kata_cli.service.operations import OPERATIONS, Operation

Json = dict[str, Any]

REFUSALS = {
    "400": "The request cannot be read, or asks for what cannot be.",
    "401": "The service token is missing or wrong.",
    "403": "Pages of other origins may not ask.",
    "404": "There is no such session.",
    "409": "The session is at work, or waits for no such thing.",
    "413": "The body exceeds 1 MiB.",
    "415": "The body is not said to be JSON.",
    "421": "The service has another name.",
    "429": "There is too much of it already.",
    "503": "No session can work, as without a key, or the service is stopping.",
}
PASSING = ("429", "503")
SESSION_ID: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


@cache
def document() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "kata serve", "version": __version__, "description": "Live agent sessions."},
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "paths": _paths(),
            "components": {
                "schemas": _schemas(),
                "responses": {status: _refusal(status) for status in REFUSALS},
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "x-websocket": openapi_socket.described(),
        }
    )


def _schemas() -> Json:
    """Every type that goes over the wire, by its name, and `Event` for any of the events."""
    kinds = [kind for operation in OPERATIONS for kind in (operation.takes, operation.gives)]
    kinds += [Health, ErrorDocument, *openapi_socket.kinds()]
    (event, *_), schemas = msgspec.json.schema_components([AnyEvent, *kinds], ref_template=REF)
    schemas["Event"] = event
    return {name: cleaned(schema) for name, schema in schemas.items()}


def _paths() -> dict[str, Json]:
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.verb.lower()] = _operation(operation)
    return {
        **paths,
        "/api/sessions/{id}/stream": {"post": _stream("sessions.stream", "A turn, up to its end.", Send)},
        "/api/sessions/{id}/events": {"get": _stream("sessions.events", "All events from now on.", None)},
        "/api/ws": {"get": _socket()},
        "/healthz": {"get": _health("healthz", "Alive.")},
        "/readyz": {"get": _health("readyz", "A new session could work.")},
    }


def _operation(operation: Operation) -> Json:
    answer = {"description": operation.summary, **content(reference(operation.gives))}
    parameters = [SESSION_ID] if operation.has_session else []
    takes = operation.takes if operation.verb == "POST" else None
    return _asked(operation.name, operation.summary, takes, parameters, {operation.status: answer})


def _stream(name: str, summary: str, takes: type[Asked] | None) -> Json:
    told = "Each event has its id, its type, and itself as JSON; a comment comes while there is none."
    last_seen = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Go on after this event; nothing is sent to the agent.",
        "schema": msgspec.json.schema(EventId),
    }
    answer = {"description": told, **content({"$ref": REF.format(name="Event")}, "text/event-stream")}
    return _asked(name, summary, takes, [SESSION_ID, last_seen], {200: answer})


def _socket() -> Json:
    answer = {"description": "JSON-RPC 2.0 from here on: see `x-websocket`."}
    return _asked("ws", "One connection for many sessions.", None, [], {101: answer})


def _health(name: str, summary: str) -> Json:
    answers: Json = {"200": {"description": summary, **content(reference(Health))}}
    if name == "readyz":
        answers["503"] = _refused("503")
    return {"operationId": name, "summary": summary, "security": [], "responses": answers}


def _asked(
    name: str, summary: str, takes: type[Asked] | None, parameters: list[Json], answers: dict[int, Json]
) -> Json:
    told: Json = {
        "operationId": name,
        "summary": summary,
        "responses": {str(status): answer for status, answer in answers.items()}
        | {status: _refused(status) for status in REFUSALS},
    }
    if parameters:
        told["parameters"] = parameters
    if takes is not None:
        told["requestBody"] = {"required": takes is not Nothing, **content(reference(takes))}
    return told


def _refused(status: str) -> Json:
    return {"$ref": f"#/components/responses/{status}"}


def _refusal(status: str) -> Json:
    told: Json = {"description": REFUSALS[status], **content(reference(ErrorDocument))}
    if status in PASSING:
        seconds = {"description": "Seconds until it may work.", "schema": {"type": "integer"}}
        told["headers"] = {"Retry-After": seconds}
    return told
