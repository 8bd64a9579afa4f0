"""A run as OpenTelemetry spans: OTLP/JSON by the conventions for generative AI, without any content.

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
from kata_cli.core.messages import ModelRef, Usage

INTERNAL, CLIENT = 1, 3
OK, ERROR = 1, 2

# W3C Trace Context: version, trace id, parent id, flags; ids of zeros are invalid.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


def traces(recorded: Iterable[Recorded], env: Mapping[str, str]) -> bytes:
    """The spans of a run as one line. A sound `TRACEPARENT` makes them part of the caller's trace."""
    tracer = _Tracer(env.get("TRACEPARENT", ""))
    for entry in recorded:
        tracer.note(entry)
    resource = {"service.name": env.get("OTEL_SERVICE_NAME") or "kata", "service.version": __version__}
    data = {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": {"name": "kata", "version": __version__}, "spans": tracer.spans}],
            }
        ]
    }
    return encode_json(data) + b"\n"


class _Tracer:
    """Builds the spans of one run, in the order in which they begin."""

    def __init__(self, parent: str) -> None:
        self.spans: list[dict[str, Any]] = []
        self._open: dict[tuple[str, ...], dict[str, Any]] = {}
        self._parent = _TRACEPARENT.fullmatch(parent.strip())

    def trace_id(self, run_id: str) -> str:
        return self._parent[1] if self._parent else hashlib.sha256(run_id.encode()).hexdigest()[:32]

    def note(self, entry: Recorded) -> None:
        """Begin, add to or end the span that an event belongs to."""
        match entry.event:
            case RunStarted() as event:
                self._begin(entry, ("run",), (), f"invoke_workflow {event.workflow}", INTERNAL, _run(event))
            case RunFinished(failure=failure, usage=usage):
                self._end(entry, ("run",), failure, _used(usage))
            case TaskStarted(task=task, role=role):
                told = {
                    "gen_ai.operation.name": "invoke_agent",
                    "gen_ai.agent.name": role,
                    "gen_ai.agent.id": task,
                }
                self._begin(entry, ("task", task), ("run",), f"invoke_agent {role or task}", INTERNAL, told)
            case TaskFinished(task=task, failure=failure):
                self._end(entry, ("attempt", task), failure, {})
                self._end(entry, ("task", task), failure, {})
            case AttemptStarted(task=task, model=model) as event:
                self._begin(
                    entry, ("attempt", task), ("task", task), f"chat {_model(model)}", CLIENT, _asked(event)
                )
            case AttemptFailed(task=task, failure=failure):
                self._end(entry, ("attempt", task), failure, {})
            case UsageReported(task=task) as event:
                self._add(("attempt", task), _answered(event))
            case ToolStarted(task=task, tool=tool, call_id=call):
                told = {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": tool,
                    "gen_ai.tool.call.id": call,
                }
                self._begin(
                    entry, ("tool", task, call), ("attempt", task), f"execute_tool {tool}", INTERNAL, told
                )
            case ToolFinished(task=task, call_id=call, is_error=is_error):
                failed = Failure(code="task_failed", message="") if is_error else None
                self._end(entry, ("tool", task, call), failed, {})

    def _begin(
        self,
        entry: Recorded,
        key: tuple[str, ...],
        parent: tuple[str, ...],
        name: str,
        kind: int,
        told: Mapping[str, object],
    ) -> None:
        span = {
            "traceId": self.trace_id(entry.run_id),
            "spanId": _id(entry.run_id, *key, str(entry.seq) if key != ("run",) else ""),
            "parentSpanId": self._parent_id(parent),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": _nanoseconds(entry.ts),
            "endTimeUnixNano": _nanoseconds(entry.ts),
            "attributes": _attributes(told),
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
        span["attributes"] += _attributes(more)

    def _add(self, key: tuple[str, ...], told: Mapping[str, object]) -> None:
        if key in self._open:
            self._open[key]["attributes"] += _attributes(told)

    def _parent_id(self, parent: tuple[str, ...]) -> str:
        if parent in self._open:
            return str(self._open[parent]["spanId"])
        return self._parent[2] if self._parent else ""


def _run(event: RunStarted) -> dict[str, object]:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.conversation.id": event.session_id,
        "kata.runtime_mode": event.runtime_mode,
        "kata.workflow": event.workflow,
    }


def _asked(event: AttemptStarted) -> dict[str, object]:
    request = event.request
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": request.model.provider,
        "gen_ai.request.model": request.model.id,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.output.type": "json" if request.schema else "text",
        "kata.attempt": event.attempt,
    }


def _answered(event: UsageReported) -> dict[str, object]:
    return {
        "gen_ai.response.model": _model(event.model),
        "gen_ai.response.id": event.request_id,
        "gen_ai.response.finish_reasons": [event.stop] if event.stop else None,
        "gen_ai.response.time_to_first_chunk": event.first_byte_s,
        **_used(event.usage),
        "kata.cost.estimated": event.is_estimated,
    }


def _used(usage: Usage) -> dict[str, object]:
    return {
        "gen_ai.usage.input_tokens": usage.input + usage.cache_read + usage.cache_write,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read or None,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write or None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
        "kata.cost.usd": usage.cost_usd,
    }


def _model(reference: str) -> str:
    return ModelRef.parse(reference).id if "/" in reference else reference


def _attributes(told: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in told.items() if value not in (None, "")]


def _value(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"stringValue": str(value)}


def _id(*parts: str) -> str:
    return hashlib.sha256("\n".join(filter(None, parts)).encode()).hexdigest()[:16]


def _nanoseconds(ts: str) -> str:
    return str(round(parse_stamp(ts) * 1000) * 1_000_000)
