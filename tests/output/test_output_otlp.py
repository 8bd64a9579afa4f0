"""The spans of a run: their tree, names, times and attributes, in the form of the OTLP file exporter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    Event,
    Recorded,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from kata_cli.core.messages import Message, ModelRef, Request, Usage
from kata_cli.output.otlp import traces

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BUSY = Failure(code="provider_unavailable", message="the secret goal is busy")
REQUEST = Request(
    task="look",
    goal="the secret goal",
    model=ModelRef("anthropic", "claude"),
    messages=(Message("user", "the secret goal"),),
    max_tokens=100,
)
USAGE = Usage(input=3, output=4, cache_read=5, cost_usd=0.5)
EVENTS: list[Event] = [
    RunStarted(
        session_id="s-1",
        goal="the secret goal",
        workflow="ask",
        workflow_source="",
        runtime_mode="native",
        mode_source="flag",
        model="anthropic/claude",
    ),
    TaskStarted(task="look", role="answer"),
    AttemptStarted(task="look", attempt=1, model="anthropic/claude", request=REQUEST),
    AttemptFailed(task="look", attempt=1, failure=BUSY, delay_s=0.5),
    AttemptStarted(task="look", attempt=2, model="anthropic/claude", request=REQUEST),
    ToolStarted(task="look", tool="read", call_id="c1", input="the secret goal"),
    ToolFinished(task="look", tool="read", call_id="c1"),
    UsageReported(
        task="look", attempt=2, usage=USAGE, model="anthropic/claude-2", stop="stop", first_byte_s=0.25
    ),
    TaskFinished(task="look", status="completed", output="the secret goal"),
    RunFinished(status="completed", exit_code=0, usage=USAGE),
]


def recorded(events: list[Event]) -> list[Recorded]:
    return [
        Recorded(seq, f"2026-11-21T05:44:{seq:02d}.500Z", "20261121-054412-k3f9q2", event)
        for seq, event in enumerate(events)
    ]


def spans(events: list[Event], env: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The spans in the one line."""
    line = traces(recorded(events), env or {})
    assert line.count(b"\n") == 1
    spans: list[dict[str, Any]] = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return spans


def told(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span by name."""
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]}


def test_a_run_is_a_tree_of_workflow_agent_chat_and_tool() -> None:
    """Names and kinds are those of the conventions; each span names the one around it."""
    run, task, first, second, tool = spans(EVENTS)
    names = [span["name"] for span in (run, task, first, second, tool)]
    assert names == [
        "invoke_workflow ask",
        "invoke_agent answer",
        "chat claude",
        "chat claude",
        "execute_tool read",
    ]
    assert [span["kind"] for span in (run, task, first, second, tool)] == [1, 1, 3, 3, 1]
    assert task["parentSpanId"] == run["spanId"]
    assert first["parentSpanId"] == second["parentSpanId"] == task["spanId"]
    assert tool["parentSpanId"] == second["spanId"]
    assert len({span["spanId"] for span in (run, task, first, second, tool)}) == 5


def test_ids_are_hex_and_times_are_text() -> None:
    """OTLP/JSON: 32 and 16 hex digits, nanoseconds as strings, no end before its start."""
    for span in spans(EVENTS):
        assert len(bytes.fromhex(span["traceId"])) == 16
        assert len(bytes.fromhex(span["spanId"])) == 8
        assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"])
    assert spans(EVENTS)[0]["startTimeUnixNano"] == "1795239840500000000"


def test_an_answer_tells_model_tokens_and_cost() -> None:
    """Input counts what came from the cache; the cost has kata's own name."""
    answer = told(spans(EVENTS)[3])
    assert answer["gen_ai.provider.name"] == "anthropic"
    assert answer["gen_ai.request.model"] == "claude"
    assert answer["gen_ai.response.model"] == "claude-2"
    assert (answer["gen_ai.usage.input_tokens"], answer["gen_ai.usage.output_tokens"]) == ("8", "4")
    assert answer["gen_ai.response.time_to_first_chunk"] == 0.25
    assert answer["kata.cost.usd"] == 0.5
    assert answer["gen_ai.request.stream"] is True


def test_spans_name_their_workflow_and_conversation() -> None:
    """The session is the conversation, for every span of a request or above."""
    run, task, first, second, _ = spans(EVENTS)
    assert told(run)["gen_ai.workflow.name"] == "ask"
    assert {told(span)["gen_ai.conversation.id"] for span in (run, task, first, second)} == {"s-1"}


def test_an_attribute_is_told_once() -> None:
    """Names are unique within a span, whatever adds to it."""
    for span in spans(EVENTS):
        names = [entry["key"] for entry in span["attributes"]]
        assert len(names) == len(set(names))


def test_a_span_is_as_long_as_what_it_measures() -> None:
    """Both ends may have one stamp, that of their batch; then the measured duration says when it began."""
    moment = "2026-11-21T05:44:30.000Z"
    usage = UsageReported(task="look", attempt=2, usage=USAGE, duration_s=1.5)
    end = TaskFinished(task="look", status="completed", duration_s=2.0)
    batch = [Recorded(seq, moment, "r", event) for seq, event in enumerate([*EVENTS[1:3], usage, end])]
    found = json.loads(traces(batch, {}))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    lengths = [int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) for span in found]
    assert lengths == [2_000_000_000, 1_500_000_000]


def test_a_failure_marks_its_span_with_its_code() -> None:
    """The first attempt failed, the task did not."""
    _, task, first, second, _ = spans(EVENTS)
    assert (first["status"], told(first)["error.type"]) == ({"code": 2}, "provider_unavailable")
    assert task["status"] == second["status"] == {"code": 1}


@pytest.mark.parametrize(
    "value", ["", "00-zz", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + PARENT[2:], "x" + PARENT]
)
def test_a_bad_traceparent_is_ignored(value: str) -> None:
    """The run is then a trace of its own."""
    assert spans(EVENTS, {"TRACEPARENT": value})[0]["parentSpanId"] == ""


def test_a_sound_traceparent_makes_the_run_a_part_of_that_trace() -> None:
    """Trace and parent are the caller's, for every span."""
    found = spans(EVENTS, {"TRACEPARENT": PARENT})
    assert {span["traceId"] for span in found} == {"0af7651916cd43dd8448eb211c80319c"}
    assert found[0]["parentSpanId"] == "b7ad6b7169203331"


def test_the_state_of_the_callers_trace_goes_with_it() -> None:
    """`TRACESTATE` is passed on as it is; garbled, or without a sound `TRACEPARENT`, it is dropped."""
    state = {"TRACESTATE": "vendor=1"}
    assert {span["traceState"] for span in spans(EVENTS, {"TRACEPARENT": PARENT, **state})} == {"vendor=1"}
    for env in (state, {"TRACEPARENT": PARENT, "TRACESTATE": "a\n"}, {"TRACEPARENT": PARENT}):
        assert all("traceState" not in span for span in spans(EVENTS, env))


def test_no_content_is_in_the_spans() -> None:
    """Neither goal, prompt, answer nor tool input, nor messages of failures, which may hold them."""
    assert b"secret" not in traces(recorded(EVENTS), {})


@pytest.mark.parametrize("length", range(len(EVENTS) + 1))
def test_a_run_that_broke_off_anywhere_has_sound_spans(length: int) -> None:
    """Whatever the journal ends with, there is one line of JSON, and what did not end has no status."""
    for span in spans(EVENTS[:length]):
        assert span["status"] in ({}, {"code": 1}, {"code": 2})
