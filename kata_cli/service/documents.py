"""What the service takes and gives, as data: requests and answers (what it tells is in `live_events`).

Schemas, the OpenAPI document and the checks of what clients send all come from these. Within a version
changes only add; readers ignore what they do not know.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kata_cli.core.messages import StopCause, Tool, ToolCall, Usage
from kata_cli.core.session import ToolStep

SessionState = Literal["idle", "running", "closed"]


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of all that clients send: a name that is not known is refused, not ignored."""


class Create(Asked):
    """A new session. `directory` is relative to the workspace; `tools` are answered by the client."""

    title: str = ""
    model: str = ""
    thinking: str = ""
    directory: str = ""
    tools: tuple[Tool, ...] = ()


class Send(Asked):
    """A message for the agent; `files`, relative to the session's directory, go with it as material."""

    message: str
    files: tuple[str, ...] = ()


class Say(Asked):
    """A message for an agent at work."""

    message: str


class Choose(Asked):
    """Another model or level of thinking from the next request on; what is None stays."""

    model: str | None = None
    thinking: str | None = None
    title: str | None = None


class Fork(Asked):
    """A new session with the path up to `entry`, by default the head."""

    entry: str | None = None
    title: str = ""


class Branch(Asked):
    """Go on after `entry` instead of the head; None: from the very beginning."""

    entry: str | None


class ToolResult(Asked):
    """What came of a tool call that the client was asked to make."""

    call_id: str
    output: str
    is_error: bool = False


class Nothing(Asked):
    """A request without content."""


class Queue(msgspec.Struct, kw_only=True):
    """Messages that wait: `steering` for the next request of the turn, `follow_up` for its end."""

    steering: list[str] = []
    follow_up: list[str] = []


class LiveSession(msgspec.Struct, kw_only=True):
    """A session as it stands (`kata.live-session/v1`). A closed one is only on disk, and can be taken up.

    `last_event_id` is where its stream of events has got to; `wanted` are the tool calls that it waits for.
    """

    schema: str = "kata.live-session/v1"
    id: str
    title: str
    status: SessionState
    runtime_mode: str
    model: str
    thinking: str
    directory: str
    created_at: str
    updated_at: str
    head: str | None
    messages: int
    queue: Queue
    wanted: list[ToolCall]
    last_event_id: str


class LiveSessions(msgspec.Struct, kw_only=True):
    """All sessions of the workspace, last written first (`kata.live-sessions/v1`)."""

    schema: str = "kata.live-sessions/v1"
    sessions: list[LiveSession]
    live: int
    max_sessions: int
    warnings: list[str]


class Told(msgspec.Struct, kw_only=True):
    """A message of the conversation, or, as `summary`, what stands for all before it.

    `is_error`: the tool failed, or the answer was broken off.
    """

    entry: str
    ts: str
    role: Literal["user", "assistant", "tool", "summary"]
    text: str
    calls: list[ToolCall] = []
    call_id: str = ""
    is_error: bool = False
    model: str = ""
    stop: StopCause = "stop"
    usage: Usage | None = None
    steps: list[ToolStep] = []


class History(msgspec.Struct, kw_only=True):
    """The path to the head (`kata.live-history/v1`); events after `last_event_id` go on from it.

    `partial` is what has come so far of an answer under way.
    """

    schema: str = "kata.live-history/v1"
    session: LiveSession
    messages: list[Told]
    partial: str
    last_event_id: str


class TreePlace(msgspec.Struct, kw_only=True):
    """A place in the tree of a session."""

    entry: str
    parent: str | None
    ts: str
    type: str
    title: str
    is_head: bool


class Tree(msgspec.Struct, kw_only=True):
    """A session with all its branches (`kata.live-tree/v1`)."""

    schema: str = "kata.live-tree/v1"
    session: LiveSession
    places: list[TreePlace]


class Accepted(msgspec.Struct, kw_only=True):
    """A message was taken (`kata.accepted/v1`): `now`, by the turn under way, or queued for later."""

    schema: str = "kata.accepted/v1"
    session_id: str
    delivery: Literal["now", "steering", "follow_up"]
    last_event_id: str


class Model(msgspec.Struct, kw_only=True):
    """A model that sessions can use; what its provider does not say is None."""

    id: str
    name: str
    context_window: int | None
    thinking: list[str] | None


class Models(msgspec.Struct, kw_only=True):
    """The models as the provider reports them (`kata.live-models/v1`)."""

    schema: str = "kata.live-models/v1"
    runtime_mode: str
    default: str
    models: list[Model]


class PiService(msgspec.Struct, kw_only=True):
    """Whether sessions are Pi agents, and in which way."""

    mode: Literal["service", "off"]
    url: str


class Services(msgspec.Struct, kw_only=True):
    """The services behind this address."""

    pi: PiService


class Capabilities(msgspec.Struct, kw_only=True):
    """What this service is and can do (`kata.capabilities/v1`). `features` has a flag for each ability."""

    schema: str = "kata.capabilities/v1"
    version: str
    runtime_mode: str
    default_model: str
    url: str
    workspace: str
    features: dict[str, bool]
    services: Services
    live: int
    running: int
    max_sessions: int


class Health(msgspec.Struct, kw_only=True):
    """Alive, and with how much to do (`kata.health/v1`)."""

    schema: str = "kata.health/v1"
    status: Literal["ok"]
    version: str
    live: int
    running: int
    max_sessions: int
