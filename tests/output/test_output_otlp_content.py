"""What was said, in the spans of those who ask for it: messages, tools and answers, each text bounded."""

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
    TaskFinished,
    TaskStarted,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from kata_cli.core.messages import Message, ModelRef, Request, Tool, ToolCall, Usage
from kata_cli.output.otlp import traces
from kata_cli.output.otlp_content import MAX_CHARS, VARIABLE

CALL = ToolCall(id="c1", name="read", arguments='{"path":"a"}')
REQUEST = Request(
    task="look",
    model=ModelRef("anthropic", "claude"),
    system="Be brief.",
    messages=(
        Message("user", "Why?"),
        Message("assistant", "", calls=(CALL,)),
        Message("tool", "text of a", call_id="c1"),
    ),
    tools=(Tool(name="read", description="Read a file", parameters={"type": "object"}),),
)
ASKED = [
    TaskStarted(task="look", role="answer"),
    AttemptStarted(task="look", attempt=1, model="anthropic/claude", request=REQUEST),
]


def contents(events: list[Event], value: str = "true") -> list[dict[str, Any]]:
    """The attributes of each span that hold content."""
    recorded = [
        Recorded(seq, "2026-11-21T05:44:00.000Z", "20261121-054412-k3f9q2", event)
        for seq, event in enumerate(events)
    ]
    line = json.loads(traces(recorded, {VARIABLE: value}))
    names = ("messages", "instructions", "definitions", "arguments", "result")
    return [
        {
            entry["key"].removeprefix("gen_ai."): entry["value"]["stringValue"]
            for entry in span["attributes"]
            if entry["key"].endswith(names)
        }
        for span in line["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]


@pytest.mark.parametrize("value", ["true", "True", "SPAN_ONLY", " span_and_event "])
def test_a_request_is_told_with_instructions_messages_and_tools(value: str) -> None:
    """In the forms of the conventions, each as one text of JSON."""
    _, asked = contents([*ASKED], value)
    told = {name: json.loads(text) for name, text in asked.items()}
    assert told["system_instructions"] == [{"type": "text", "content": "Be brief."}]
    assert told["input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "Why?"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "read", "arguments": '{"path":"a"}'}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "text of a"}]},
    ]
    (tool,) = told["tool.definitions"]
    assert (tool["type"], tool["name"], tool["parameters"]) == ("function", "read", {"type": "object"})


@pytest.mark.parametrize("value", ["", "false", "no_content", "event_only", "1"])
def test_nothing_is_told_unless_asked_for(value: str) -> None:
    """Off is the default, and no other value than those of spans switches it on."""
    assert contents([*ASKED, TaskFinished(task="look", status="completed", output="So.")], value) == [{}, {}]


@pytest.mark.parametrize(
    ("stop", "reason"), [("stop", "stop"), ("length", "length"), ("refusal", "content_filter")]
)
def test_an_answer_is_told_with_why_it_ended(stop: str, reason: str) -> None:
    """Of a task that ended, and of an attempt whose answer did not hold."""
    usage = UsageReported(task="look", attempt=1, usage=Usage(), stop=stop)
    failed = AttemptFailed(
        task="look", attempt=1, failure=Failure(code="invalid_output", message="no"), answer="So."
    )
    for end in (failed, TaskFinished(task="look", status="completed", output="So.")):
        _, asked = contents([*ASKED, usage, end])
        assert json.loads(asked["output.messages"]) == [
            {"role": "assistant", "parts": [{"type": "text", "content": "So."}], "finish_reason": reason}
        ]


def test_a_tool_is_told_with_input_and_output() -> None:
    """What an agent's own tool was given, and the beginning of what it gave back."""
    started = ToolStarted(task="look", tool="read", call_id="c1", input='{"path":"a"}')
    finished = ToolFinished(task="look", tool="read", call_id="c1", output="text of a")
    *_, called = contents([*ASKED, started, finished])
    assert called == {"tool.call.arguments": '{"path":"a"}', "tool.call.result": "text of a"}


def test_a_text_is_bounded_and_stays_json() -> None:
    """Of a long one the beginning is told, and how much there was more."""
    long = TaskFinished(task="look", status="completed", output="x" * (MAX_CHARS + 1_500))
    _, asked = contents([*ASKED, long])
    (answer,) = json.loads(asked["output.messages"])
    assert answer["parts"][0]["content"] == "x" * MAX_CHARS + "… (1,500 more characters)"
