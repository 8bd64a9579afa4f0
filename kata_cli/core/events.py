"""The vocabulary of a run: every event, and its one-line JSON form.

Producers yield fresh events without time or number; the recorder alone gives them `seq`, `ts` and
`run_id` (see `Recorded`). Readers ignore types they do not know; within a version changes only add.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.messages import Reply, Request, Usage

VERSION = 1


class Event(msgspec.Struct, tag_field="type", kw_only=True, omit_defaults=True):
    """Base of all events."""


class RunStarted(Event, tag="run.started"):
    """The run exists on disk; everything a resume needs is in here.

    `cwd` is where the `files` named by the user are, `context_root` where those of the tree are, if one was
    read. `definition` is the workflow as it was read and `vars` its variables as bound; `system` comes before
    every system prompt; `earlier` is what the session held before, `previous` the draft that is revised.
    `resumes` and `replays` name the run, or the file, that this one goes on from or does again.
    """

    session_id: str
    goal: str
    workflow: str
    workflow_source: str
    runtime_mode: str
    mode_source: str
    model: str
    key_source: str = ""
    host: str = ""
    project: str = ""
    cwd: str = ""
    context_root: str = ""
    kata_version: str = ""
    stdin_bytes: int = 0
    settings: dict[str, Any] = {}
    definition: dict[str, Any] = {}
    vars: dict[str, str] = {}
    system: str = ""
    files: list[str] = []
    earlier: str = ""
    previous: dict[str, Any] | None = None
    resumes: str = ""
    replays: str = ""
    warnings: list[str] = []


class ContextFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file, or a part of one, that the models see. Lines count from 1, inclusive."""

    path: str
    sha256: str
    bytes: int
    tokens: int
    first_line: int = 1
    last_line: int = 0
    score: float = 0.0
    origin: Literal["project", "file", "stdin"] = "project"


class ContextGathered(Event, tag="context.gathered"):
    """What was read around the goal, and what was left out and why (counts by reason)."""

    root: str = ""
    text: str = ""
    tokens: int = 0
    files: list[ContextFile] = []
    seen: int = 0
    left_out: dict[str, int] = {}
    redactions: int = 0
    diagnostics: list[str] = []


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task as the plan knows it."""

    id: str
    role: str
    needs: list[str] = []
    model: str = ""


class PlanCreated(Event, tag="plan.created"):
    """The graph of tasks; the run is `running` from here on."""

    tasks: list[PlannedTask]


class TaskStarted(Event, tag="task.started"):
    """All needs of the task are done and its request is being made."""

    task: str
    role: str = ""


class AttemptStarted(Event, tag="attempt.started"):
    """One request is about to leave the process."""

    task: str
    attempt: int
    model: str
    request: Request


class AttemptFailed(Event, tag="attempt.failed"):
    """A request did not give a usable answer; `delay_s` is set when another attempt follows.

    `answer` is the text of an answer that came but did not hold (`invalid_output`).
    """

    task: str
    attempt: int
    failure: Failure
    delay_s: float | None = None
    answer: str = ""


class ContentDelta(Event, tag="content.delta"):
    """Text as it arrives, one per network read. Shown, never stored."""

    task: str
    text: str
    kind: Literal["text", "thinking"] = "text"


class ToolStarted(Event, tag="tool.started"):
    """An agent called one of its own tools."""

    task: str
    tool: str
    call_id: str = ""
    input: str = ""


class ToolFinished(Event, tag="tool.finished"):
    """A tool call of an agent ended.

    `output` is the beginning of what it gave back; only agents of a live session tell it.
    """

    task: str
    tool: str
    call_id: str = ""
    is_error: bool = False
    output: str = ""


class UsageReported(Event, tag="usage.reported"):
    """What one attempt cost, and who answered, on which level of thinking; `host` as in `Reply`."""

    task: str
    attempt: int
    usage: Usage
    model: str = ""
    thinking: str = ""
    host: str = ""
    stop: str = ""
    request_id: str | None = None
    is_estimated: bool = False
    duration_s: float = 0.0
    first_byte_s: float | None = None


TaskEnd = Literal["completed", "failed", "skipped"]


class TaskFinished(Event, tag="task.finished"):
    """The end of a task with its answer; `skipped_for` names the failed dependency."""

    task: str
    status: TaskEnd
    output: str = ""
    failure: Failure | None = None
    skipped_for: str = ""
    duration_s: float = 0.0


class DraftCreated(Event, tag="draft.created"):
    """The spec document, whole."""

    document: dict[str, Any]
    task: str = ""


class FindingReported(Event, tag="finding.reported"):
    """A lint rule that the draft breaks. `line` counts from 1 in the rendered draft."""

    rule: str
    severity: Literal["error", "warning", "info"]
    message: str
    line: int = 0
    fix: str = ""


class ResultInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the run made: `task` holds a text result, `path` is where the draft lies."""

    kind: Literal["spec", "text", "json"]
    task: str = ""
    path: str = ""


class RunFinished(Event, tag="run.finished"):
    """The last event of every run."""

    status: Literal["completed", "failed", "interrupted"]
    exit_code: int
    failure: Failure | None = None
    result: ResultInfo | None = None
    usage: Usage = Usage()
    duration_s: float = 0.0
    warnings: list[str] = []


class ReplyFinished(Event, tag="reply.finished"):
    """Last event of a provider's stream: a complete answer. Never stored."""

    reply: Reply


class ReplyFailed(Event, tag="reply.failed"):
    """Last event of a provider's stream: no answer, and why. Never stored.

    `seen` is the text that had arrived before the failure.
    """

    failure: Failure
    seen: str = ""
    usage: Usage | None = None


StoredEvent = (
    RunStarted
    | ContextGathered
    | PlanCreated
    | TaskStarted
    | AttemptStarted
    | AttemptFailed
    | ToolStarted
    | ToolFinished
    | UsageReported
    | TaskFinished
    | DraftCreated
    | FindingReported
    | RunFinished
)

STORED_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in StoredEvent.__args__)


class Recorded(msgspec.Struct, frozen=True):
    """An event with its place in the run. For a `content.delta`, `seq` is the number it follows."""

    seq: int
    ts: str
    run_id: str
    event: Event

    @property
    def is_stored(self) -> bool:
        return not isinstance(self.event, ContentDelta)

    def line(self) -> bytes:
        """The JSON line, LF included: keys v, seq (or after), ts, run_id, type, then the event's own."""
        number = "seq" if self.is_stored else "after"
        head = f'{{"v":{VERSION},"{number}":{self.seq},"ts":"{self.ts}","run_id":"{self.run_id}",'
        return head.encode() + encode_json(self.event)[1:] + b"\n"


class _Envelope(msgspec.Struct):
    v: int
    type: str
    ts: str
    run_id: str
    seq: int = -1


_encode = msgspec.json.Encoder().encode
_CONTROLS = re.compile(rb"\x7f|\xc2[\x80-\x9f]")


def encode_json(value: object) -> bytes:
    """Compact UTF-8 JSON in which DEL and C1 controls are escaped too: a terminal would obey them."""
    return _CONTROLS.sub(lambda found: b"\\u%04x" % found[0][-1], _encode(value))


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_event = msgspec.json.Decoder(StoredEvent).decode


class NewerVersion(ValueError):
    """A line written by a later kata than this one."""


def decode_line(line: bytes) -> Recorded | None:
    """A stored line back as data, or None for a type that this version does not know.

    Raises `NewerVersion`, or `msgspec.DecodeError` for a line that is not an event.
    """
    envelope = _decode_envelope(line)
    if envelope.v > VERSION:
        raise NewerVersion(f"event version {envelope.v} is newer than {VERSION}")
    if envelope.type not in STORED_TYPES:
        return None
    event: Event = _decode_event(line)
    return Recorded(envelope.seq, envelope.ts, envelope.run_id, event)
