"""The service as an ASGI app: each operation as a route, streams of events, the WebSocket, the panel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from kata_cli.core.errors import Failure, KataError
from kata_cli.service import errors, openapi, panel, refusal, sse
from kata_cli.service.documents import Health, Send
from kata_cli.service.operations import OPERATIONS, Operation, decoded
from kata_cli.service.sessions import Sessions
from kata_cli.service.sockets import Sockets

Handler = Callable[[Request], Awaitable[Response]]


def app(sessions: Sessions, sockets: Sockets) -> Starlette:
    """The app over some sessions; who asks has been checked before (see `guard`)."""
    place = sessions.place

    async def unrouted(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(errors.no_route(error.status_code).failure)

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, KataError)
        return answer(error.failure)

    async def bug(_: Request, error: Exception) -> Response:
        place.on_bug(error)
        return answer(Failure(code="unexpected_error", message="a bug in kata"))

    def answer(failure: Failure) -> Response:
        told = errors.without_secrets(failure, place.redactor)
        ready = refusal.answer(refusal.of(told), place.runtime_mode)
        headers = {name.decode(): value.decode() for name, value in ready.headers}
        return Response(ready.body, ready.status, headers)

    handlers = {HTTPException: unrouted, KataError: refused, Exception: bug}
    return Starlette(routes=_routes(sessions, sockets), exception_handlers=handlers)


def _routes(sessions: Sessions, sockets: Sockets) -> list[BaseRoute]:
    """`create` stands before `{id}`, as it does in the table of operations."""
    streams = sse.Streams()
    return [
        Route("/healthz", _health(sessions, is_ready_asked=False)),
        Route("/readyz", _health(sessions, is_ready_asked=True)),
        Route("/", _page),
        Route("/panel/{name}", _page),
        Route("/api/openapi.json", _openapi),
        WebSocketRoute("/api/ws", sockets.serve),
        *(Route(found.path, _operation(sessions, found), methods=[found.verb]) for found in OPERATIONS),
        Route("/api/sessions/{id}/stream", _stream(sessions, streams), methods=["POST"]),
        Route("/api/sessions/{id}/events", _events(sessions, streams)),
    ]


def _operation(sessions: Sessions, operation: Operation) -> Handler:
    async def handle(request: Request) -> Response:
        asked = decoded(await request.body(), operation.takes)
        answer = await operation.ask(sessions, request.path_params.get("id", ""), asked)
        return _json(answer, operation.status)

    return handle


def _stream(sessions: Sessions, streams: sse.Streams) -> Handler:
    """A turn as it goes on; with `Last-Event-ID` the body, which may be the one of before, asks nothing."""

    async def handle(request: Request) -> Response:
        after = sse.last_event_id(request.headers)
        body = await request.body()
        asked = decoded(body, Send) if after is None else Send(message="")
        session_id = request.path_params["id"]
        return await streams.respond(session_id, lambda: sessions.stream(session_id, asked, after))

    return handle


def _events(sessions: Sessions, streams: sse.Streams) -> Handler:
    async def handle(request: Request) -> Response:
        after = sse.last_event_id(request.headers)
        session_id = request.path_params["id"]
        return await streams.respond(session_id, lambda: sessions.follow(session_id, after))

    return handle


def _health(sessions: Sessions, *, is_ready_asked: bool) -> Handler:
    """Alive; and when asked, whether a session could work: without a key it could not."""

    async def handle(_: Request) -> Response:
        place = sessions.place
        if is_ready_asked:
            await place.backend.choose("")
        health = Health(
            status="ok",
            version=place.version,
            live=sessions.pool.live,
            running=sessions.pool.running,
            max_sessions=place.limits.max_sessions,
        )
        return _json(health, 200)

    return handle


async def _openapi(_: Request) -> Response:
    return Response(openapi.document(), media_type="application/json")


async def _page(request: Request) -> Response:
    file = panel.find(request.path_params.get("name", "index.html"))
    if file is None:
        raise HTTPException(404)
    return Response(file.data, media_type=file.media_type)


def _json(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
