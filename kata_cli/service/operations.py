"""The operations of the service, in one table: REST, JSON-RPC and the OpenAPI document are made from it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.service.documents import (
    Accepted,
    Asked,
    Branch,
    Capabilities,
    Choose,
    Create,
    Fork,
    History,
    LiveSession,
    LiveSessions,
    Model,
    Models,
    Nothing,
    PiService,
    Say,
    Send,
    Services,
    ToolResult,
    Tree,
)
from kata_cli.service.errors import bad_request
from kata_cli.service.sessions import Sessions

A = TypeVar("A", bound=Asked)
Call = Callable[[Sessions, str, Any], Any]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that clients can ask for: `takes` is the request's document, `gives` the answer's.

    In `path`, `{id}` stands for a session, which is the second argument of `call`; it is empty elsewhere.
    """

    name: str
    verb: str
    path: str
    takes: type[Asked]
    gives: type[msgspec.Struct]
    summary: str
    call: Call
    status: int = 200

    @property
    def has_session(self) -> bool:
        return "{id}" in self.path

    async def ask(self, sessions: Sessions, session_id: str, asked: Asked) -> msgspec.Struct:
        """Do it. Raises `KataError`."""
        answer = self.call(sessions, session_id, asked)
        if isawaitable(answer):
            answer = await answer
        assert isinstance(answer, self.gives)
        return answer


def decoded(body: bytes, kind: type[A]) -> A:
    """What a client sent, checked. Raises `KataError` usage, naming the key."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"the request cannot be read: {error}") from None


async def _capabilities(sessions: Sessions, session_id: str, asked: Nothing) -> Capabilities:
    place = sessions.place
    is_pi = place.runtime_mode == "pi"
    return Capabilities(
        version=place.version,
        runtime_mode=place.runtime_mode,
        default_model=await _default(sessions),
        url=place.url,
        workspace=str(place.workspace.root),
        features={
            "pi": is_pi,
            "client_tools": not is_pi,
            "steer_now": is_pi,
            **dict.fromkeys(("fork", "branch", "compact", "follow_up", "abort", "files", "websocket"), True),
        },
        services=Services(pi=PiService(mode="service" if is_pi else "off", url=place.url)),
        live=sessions.pool.live,
        running=sessions.pool.running,
        max_sessions=place.limits.max_sessions,
    )


async def _default(sessions: Sessions) -> str:
    """The model of a session that names none; empty while there is no key for any."""
    try:
        return str(await sessions.place.backend.choose(""))
    except KataError:
        return ""


async def _models(sessions: Sessions, session_id: str, asked: Nothing) -> Models:
    backend = sessions.place.backend
    return Models(
        runtime_mode=sessions.place.runtime_mode,
        default=await _default(sessions),
        models=[
            Model(
                id=f"{found.provider}/{found.id}",
                name=found.name,
                context_window=found.context_window,
                thinking=found.thinking,
            )
            for found in await backend.models()
        ],
    )


def _of_service(name: str, gives: type[msgspec.Struct], summary: str, call: Call) -> Operation:
    return Operation(
        name=name,
        verb="GET",
        path=f"/api/{name}",
        takes=Nothing,
        gives=gives,
        summary=summary,
        call=call,
    )


def _read(name: str, gives: type[msgspec.Struct], summary: str, call: Call) -> Operation:
    path = "/api/sessions/{id}" + ("" if name == "get" else f"/{name}")
    return Operation(
        name=f"sessions.{name}",
        verb="GET",
        path=path,
        takes=Nothing,
        gives=gives,
        summary=summary,
        call=call,
    )


def _write(
    name: str,
    takes: type[Asked],
    gives: type[msgspec.Struct],
    summary: str,
    call: Call,
    status: int = 200,
) -> Operation:
    return Operation(
        name=f"sessions.{name}",
        verb="POST",
        path="/api/sessions/{id}/" + name.replace("_", "-"),
        takes=takes,
        gives=gives,
        summary=summary,
        call=call,
        status=status,
    )


OPERATIONS: tuple[Operation, ...] = (
    _of_service("capabilities", Capabilities, "What this service is and can do.", _capabilities),
    _of_service("models", Models, "The models that sessions can use.", _models),
    Operation(
        name="sessions.create",
        verb="POST",
        path="/api/sessions/create",
        takes=Create,
        gives=LiveSession,
        status=201,
        summary="Begin a session.",
        call=lambda sessions, _, asked: sessions.create(asked),
    ),
    Operation(
        name="sessions.list",
        verb="GET",
        path="/api/sessions",
        takes=Nothing,
        gives=LiveSessions,
        summary="All sessions of the workspace, last written first.",
        call=lambda sessions, _, asked: sessions.listed(),
    ),
    _read("get", LiveSession, "A session as it stands.", lambda s, i, _: s.get(i)),
    _read("history", History, "The conversation up to the head.", lambda s, i, _: s.history(i)),
    _read("tree", Tree, "The session with all its branches.", lambda s, i, _: s.tree(i)),
    _write("send", Send, Accepted, "Send a message; events tell the answer.", Sessions.send, 202),
    _write("steer", Say, Accepted, "Say something to the turn under way.", Sessions.steer, 202),
    _write("follow_up", Say, Accepted, "Say something after the turn.", Sessions.follow_up, 202),
    _write("tool_result", ToolResult, LiveSession, "Answer a tool call.", Sessions.tool_result),
    _write("abort", Nothing, LiveSession, "End the turn under way.", lambda s, i, _: s.abort(i)),
    _write("stop", Nothing, LiveSession, "Let the session go; it stays on disk.", lambda s, i, _: s.stop(i)),
    _write("choose", Choose, LiveSession, "Another model, thinking or title.", Sessions.choose),
    _write("fork", Fork, LiveSession, "A new session that leaves this one.", Sessions.fork, 201),
    _write("branch", Branch, LiveSession, "Go on after another place.", Sessions.branch),
    _write("compact", Nothing, LiveSession, "Summarize what came before.", lambda s, i, _: s.compact(i)),
)
