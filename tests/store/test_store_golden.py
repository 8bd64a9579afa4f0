"""Golden records of tools: what version 1 got as new optional fields is read for ever as it was written."""

from __future__ import annotations

from pathlib import Path

import msgspec
from made_events import lines, recorded, started

from kata_cli.core.events import (
    AttemptStarted,
    Event,
    RunFinished,
    TaskFinished,
    TaskStarted,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from kata_cli.core.exchange import Exchange, RecordedReply
from kata_cli.core.messages import Message, ModelRef, Request, Tool, ToolCall, Usage
from kata_cli.store.exchanges import exchanges, read_exchanges
from kata_cli.store.journal import read_journal

GOLDEN = Path(__file__).parent / "golden"
MODEL = ModelRef("openai", "m-1")
CALLS = (
    ToolCall(id="call-1", name="read", arguments='{"path":"shelf/é.py"}'),
    ToolCall(id="call-2", name="clock", arguments=""),
)
ASKED = Request(
    task="answer",
    model=MODEL,
    system="Be brief.",
    messages=(
        Message("user", "Why?"),
        Message("assistant", "Let me look.", calls=CALLS),
        Message("tool", "text of it", call_id="call-1"),
        Message("tool", "no clock", call_id="call-2", is_error=True),
    ),
    tools=(
        Tool(name="read", description="Read a file", parameters={"type": "object", "required": ["path"]}),
        Tool(name="clock"),
    ),
)
EVENTS: list[Event] = [
    started(mode="native"),
    TaskStarted(task="answer", role="answer"),
    AttemptStarted(task="answer", attempt=1, model=str(MODEL), request=ASKED),
    ToolStarted(task="answer", tool="bash", call_id="own-1", input='{"command":"ls"}'),
    ToolFinished(task="answer", tool="bash", call_id="own-1", output="shelf\n"),
    ToolStarted(task="answer", tool="edit", call_id="own-2"),
    ToolFinished(task="answer", tool="edit", call_id="own-2", is_error=True),
    UsageReported(
        task="answer",
        attempt=1,
        usage=Usage(input=30, output=4),
        model=str(MODEL),
        host="a.example",
        stop="stop",
    ),
    TaskFinished(task="answer", status="completed", output="Because.", duration_s=1.5),
    RunFinished(status="completed", exit_code=0, usage=Usage(input=30, output=4), duration_s=2.0),
]
CALLED = Exchange(
    task="answer",
    attempt=1,
    model=str(MODEL),
    request=msgspec.structs.replace(ASKED, messages=ASKED.messages[:1]),
    reply=RecordedReply(
        text="Let me look.",
        stop="tool_use",
        usage=Usage(input=12, output=9),
        request_id="req-1",
        model=str(MODEL),
        calls=CALLS,
    ),
)


def test_t5_a_golden_journal_with_tools_is_read_whole() -> None:
    """T5: requests with tools, calls and their results, and the tools of an agent mean the same today."""
    golden = GOLDEN / "v1-with-tools.events.jsonl"
    text = read_journal(golden)
    assert (text.recorded, text.warnings) == (recorded(EVENTS), [])
    assert golden.read_bytes() == b"".join(lines(recorded(EVENTS)))


def test_t5_golden_exchanges_with_tools_are_read_whole() -> None:
    """T5: an answer that calls tools, and the one that follows their results."""
    golden = GOLDEN / "v1-with-tools.exchanges.jsonl"
    made = [CALLED, *exchanges(recorded(EVENTS))]
    assert read_exchanges(golden) == made
    assert golden.read_bytes() == b"".join(msgspec.json.encode(exchange) + b"\n" for exchange in made)


def test_t5_what_has_no_tools_is_written_as_before() -> None:
    """T5: the new fields are left out where they are empty, so that older records keep their bytes."""
    plain = msgspec.structs.replace(ASKED, tools=(), messages=(Message("user", "Why?"),))
    written = msgspec.json.decode(msgspec.json.encode(plain))
    assert set(written) == {"task", "model", "system", "messages"}
    assert written["messages"] == [{"role": "user", "text": "Why?"}]
    finished = msgspec.json.decode(msgspec.json.encode(ToolFinished(task="answer", tool="bash")))
    assert set(finished) == {"type", "task", "tool"}
