"""A run as OpenTelemetry spans: OTLP/JSON by the conventions for generative AI, without content by default.

The names are those of https://github.com/open-telemetry/semantic-conventions-genai, the form that of the file
exporter (https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/): one `TracesData` per line, ids in
hex, nanoseconds as strings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kata_cli import __version__
from kata_cli.core.clock import parse_stamp
from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    Recorded,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
    ToolFinished,
    ToolStarted,
    UsageReported,
    encode_json,
)
from kata_cli.output import otlp_attributes as attributes
from kata_cli.output import otlp_content as content

INTERNAL, CLIENT = 1, 3
OK, ERROR = 1, 2

# W3C Trace Context: version, trace id, parent id, flags; ids of zeros are invalid.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


def traces(recorded: Iterable[Recorded], env: Mapping[str, str]) -> bytes:
    """The spans of a run as one line. A sound `TRACEPARENT` makes them part of the caller's trace.

    What was asked and answered is in them if `otlp_content.is_wanted`.
    """
    tracer = _Tracer(env)
    for entry in recorded:
        tracer.note(entry)
    resource = {"service.name": env.get("OTEL_SERVICE_NAME") or "kata", "service.version": __version__}
    data = {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes.encoded(resource)},
                "scopeSpans": [{"scope": {"name": "kata", "version": __version__}, "spans": tracer.spans}],
            }
        ]
    }
    return encode_json(data) + b"\n"


class _Tracer:
    """Builds the spans of one run, in the order in which they begin."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.spans: list[dict[str, Any]] = []
        self._open: dict[tuple[str, ...], dict[str, Any]] = {}
        self._parent = _TRACEPARENT.fullmatch(env.get("TRACEPARENT", "").strip())
        state = _TRACESTATE.fullmatch(env.get("TRACESTATE", ""))
        self._state = {"traceState": state[0]} if self._parent and state else {}
        self._has_content = content.is_wanted(env)
        self._session = ""
        self._stops: dict[str, str] = {}

    def trace_id(self, run_id: str) -> str:
        return self._parent[1] if self._parent else hashlib.sha256(run_id.encode()).hexdigest()[:32]

    def note(self, entry: Recorded) -> None:
        """Begin, add to or end the span that an event belongs to."""
        match entry.event:
            case RunStarted() as event:
                self._session = event.session_id
                self._begin(entry, ("run",), (), event.workflow, INTERNAL, attributes.of_run(event))
            case RunFinished(failure=failure, usage=usage):
                self._end(entry, ("run",), failure, attributes.of_usage(usage))
            case TaskStarted() | TaskFinished():
                self._note_task(entry, entry.event)
            case ToolStarted() | ToolFinished():
                self._note_tool(entry, entry.event)
            case AttemptStarted() | AttemptFailed() | UsageReported():
                self._note_attempt(entry, entry.event)

    def _note_task(self, entry: Recorded, event: TaskStarted | TaskFinished) -> None:
        key = ("task", event.task)
        if isinstance(event, TaskStarted):
            told = {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": event.role,
                "gen_ai.agent.id": event.task,
                "gen_ai.conversation.id": self._session,
            }
            self._begin(entry, key, ("run",), event.role or event.task, INTERNAL, told)
        else:
            self._end(entry, ("attempt", event.task), event.failure, self._answer(event.task, event.output))
            self._reach_back(entry, event.duration_s, key)
            self._end(entry, key, event.failure, {})

    def _note_attempt(self, entry: Recorded, event: AttemptStarted | AttemptFailed | UsageReported) -> None:
        key = ("attempt", event.task)
        if isinstance(event, AttemptStarted):
            told = {**attributes.of_request(event), "gen_ai.conversation.id": self._session}
            told |= content.of_request(event.request) if self._has_content else {}
            self._begin(entry, key, ("task", event.task), attributes.model_of(event.model), CLIENT, told)
        elif isinstance(event, UsageReported):
            self._stops[event.task] = event.stop
            self._reach_back(entry, event.duration_s, key, ("task", event.task))
            self._add(key, attributes.of_reply(event))
        else:
            self._end(entry, key, event.failure, self._answer(event.task, event.answer))

    def _note_tool(self, entry: Recorded, event: ToolStarted | ToolFinished) -> None:
        key = ("tool", event.task, event.call_id)
        if isinstance(event, ToolStarted):
            told = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": event.tool,
                "gen_ai.tool.call.id": event.call_id,
                **(content.of_call(event) if self._has_content else {}),
            }
            self._begin(entry, key, ("attempt", event.task), event.tool, INTERNAL, told)
        else:
            failed = Failure(code="task_failed", message="") if event.is_error else None
            self._end(entry, key, failed, content.of_result(event) if self._has_content else {})

    def _answer(self, task: str, text: str) -> dict[str, object]:
        return content.of_answer(text, self._stops.get(task, "")) if self._has_content else {}

    def _begin(
        self,
        entry: Recorded,
        key: tuple[str, ...],
        parent: tuple[str, ...],
        subject: str,
        kind: int,
        told: Mapping[str, object],
    ) -> None:
        span = {
            "traceId": self.trace_id(entry.run_id),
            "spanId": _id(entry.run_id, *key, str(entry.seq) if key != ("run",) else ""),
            "parentSpanId": self._parent_id(parent),
            **self._state,
            "name": f"{told['gen_ai.operation.name']} {subject}",
            "kind": kind,
            "startTimeUnixNano": _nanoseconds(entry.ts),
            "endTimeUnixNano": _nanoseconds(entry.ts),
            "attributes": attributes.encoded(told),
            "status": {},
        }
        self._open[key] = span
        self.spans.append(span)

    def _end(
        self, entry: Recorded, key: tuple[str, ...], failure: Failure | None, told: Mapping[str, object]
    ) -> None:
        span = self._open.pop(key, None)
        if span is None:
            return
        span["endTimeUnixNano"] = _nanoseconds(entry.ts)
        span["status"] = {"code": ERROR if failure else OK}
        more = {**told, "error.type": failure.code} if failure else told
        span["attributes"] += attributes.encoded(more)

    def _reach_back(self, entry: Recorded, duration_s: float, *keys: tuple[str, ...]) -> None:
        """Let spans begin earlier: a stamp is that of a batch, which may hold both ends."""
        began = int(_nanoseconds(entry.ts)) - round(duration_s * 1e9)
        for span in filter(None, map(self._open.get, keys)):
            span["startTimeUnixNano"] = str(min(began, int(span["startTimeUnixNano"])))

    def _add(self, key: tuple[str, ...], told: Mapping[str, object]) -> None:
        if key in self._open:
            self._open[key]["attributes"] += attributes.encoded(told)

    def _parent_id(self, parent: tuple[str, ...]) -> str:
        if parent in self._open:
            return str(self._open[parent]["spanId"])
        return self._parent[2] if self._parent else ""


def _id(*parts: str) -> str:
    return hashlib.sha256("\n".join(filter(None, parts)).encode()).hexdigest()[:16]


def _nanoseconds(ts: str) -> str:
    return str(round(parse_stamp(ts) * 1000) * 1_000_000)
