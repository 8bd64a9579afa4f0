"""What the clients of a session are told, as data. Within a version changes only add."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kata_cli.core.errors import ErrorDocument
from kata_cli.core.messages import StopCause, Usage
from kata_cli.service.documents import LiveSession, Told


class SessionEvent(msgspec.Struct, kw_only=True, tag_field="type"):
    """Base of all events of a session. Their ids count up within one life of the session."""


class SessionChanged(SessionEvent, tag="session"):
    """The session as it stands, first in each stream and after each change."""

    session: LiveSession


class MessageAdded(SessionEvent, tag="message"):
    """A message is in the tree, durably."""

    message: Told


class Delta(SessionEvent, tag="delta"):
    """Text of an answer as it comes; the message that follows is what holds."""

    text: str
    kind: Literal["text", "thinking"] = "text"


class ToolEvent(SessionEvent, tag="tool"):
    """A tool call: the agent's own (`started`, `finished`), or one for the client to make (`wanted`)."""

    state: Literal["started", "finished", "wanted", "answered"]
    call_id: str
    tool: str
    input: str = ""
    output: str = ""
    is_error: bool = False


class Retrying(SessionEvent, tag="retry"):
    """An attempt failed and is made again; text that came of it does not count."""

    error: ErrorDocument
    delay_s: float


class Compacted(SessionEvent, tag="compaction"):
    """A summary stands for what came before; sizes in tokens, estimated."""

    entry: str
    summary: str
    tokens_before: int
    tokens_after: int


class Done(SessionEvent, tag="done"):
    """The turn is over and its answer is in the tree."""

    entry: str
    text: str
    stop: StopCause
    model: str
    usage: Usage
    duration_s: float


class Failed(SessionEvent, tag="error"):
    """The turn is over without an answer."""

    error: ErrorDocument


class Reset(SessionEvent, tag="reset"):
    """Events in between are gone: read the history, and go on after its `last_event_id`."""

    reason: str


class Bye(SessionEvent, tag="bye"):
    """The service ends this stream."""

    reason: str


AnyEvent = (
    SessionChanged | MessageAdded | Delta | ToolEvent | Retrying | Compacted | Done | Failed | Reset | Bye
)

TYPES: dict[str, Any] = {str(kind.__struct_config__.tag): kind for kind in AnyEvent.__args__}
