"""What a run needs to know of the documents of a service, as the client of one request sees them."""

from __future__ import annotations

import msgspec

from kata_cli.core.messages import StopCause, Usage


class Health(msgspec.Struct):
    status: str


class Capabilities(msgspec.Struct):
    runtime_mode: str
    max_sessions: int
    live: int = 0


class Model(msgspec.Struct):
    id: str
    name: str = ""
    context_window: int | None = None
    thinking: list[str] | None = None


class Models(msgspec.Struct):
    models: list[Model]


class Create(msgspec.Struct):
    title: str
    model: str
    thinking: str


class Send(msgspec.Struct):
    message: str


class Nothing(msgspec.Struct):
    pass


class Session(msgspec.Struct):
    id: str
    last_event_id: str
    thinking: str = ""


class Delta(msgspec.Struct):
    text: str
    kind: str = "text"


class Tool(msgspec.Struct):
    state: str
    call_id: str
    tool: str
    input: str = ""
    is_error: bool = False


class Retry(msgspec.Struct):
    delay_s: float


class Done(msgspec.Struct):
    text: str
    stop: StopCause = "stop"
    model: str = ""
    usage: Usage = Usage()


class Error(msgspec.Struct):
    code: str
    message: str
    remediation: str = ""
    request_id: str | None = None


class Failed(msgspec.Struct):
    error: Error


class Ended(msgspec.Struct):
    """The stream, or what it could replay, ends here."""

    reason: str


class Seen(msgspec.Struct):
    """An event that only shows that the service is at work."""


TurnEvent = Delta | Tool | Retry | Done | Failed | Ended | Seen
KINDS: dict[str, type[TurnEvent]] = {
    "session": Seen,
    "message": Seen,
    "compaction": Seen,
    "delta": Delta,
    "tool": Tool,
    "retry": Retry,
    "done": Done,
    "error": Failed,
    "reset": Ended,
    "bye": Ended,
}
