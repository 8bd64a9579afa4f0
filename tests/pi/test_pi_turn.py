"""A run folded from events: recordings of the real Pi, and what no recording holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_cli.core.errors import Failure
from kata_cli.core.events import ContentDelta, ToolFinished, ToolStarted
from kata_cli.core.messages import THINKING_LEVELS, Usage
from kata_cli.pi import wire
from kata_cli.pi.rpc import Rpc
from kata_cli.pi.turn import MAX_OUTPUT_CHARS, MAX_WAITING_CHARS, Turn
from kata_cli.pi.wire import Model

RECORDINGS = Path(__file__).with_name("recordings")


def recorded(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Direction and record of every line of a recording."""
    for line in RECORDINGS.joinpath(name).read_bytes().split(b"\n")[:-1]:
        entry = json.loads(line)
        yield entry["dir"], entry["line"]


def replay(turn: Turn, *records: dict[str, Any]) -> Turn:
    for record in records:
        frame = wire.frame(json.dumps(record).encode())
        assert frame is not None
        turn.feed(frame)
    return turn


def turns(name: str) -> dict[str, Turn]:
    """The run of every prompt of a recording, by the prompt."""
    found: dict[str, Turn] = {}
    has_settled = ".0.74." not in name
    for direction, record in recorded(name):
        if direction == "in" and record.get("type") == "prompt":
            found[record["message"]] = turn = Turn("look", has_settled=has_settled)
        elif direction == "out" and found and record["type"] != "response":
            replay(turn, record)
    return found


def said(text: str, stop: str = "stop", **fields: Any) -> dict[str, Any]:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}] if text else []
    message = {"role": "assistant", "content": content, "stopReason": stop, **fields}
    return {"type": "message_end", "message": message}


def delta(kind: str, text: str) -> dict[str, Any]:
    return {"type": "message_update", "assistantMessageEvent": {"type": f"{kind}_delta", "delta": text}}


START = {"type": "agent_start"}
END: dict[str, Any] = {"type": "agent_end", "messages": []}
SETTLED = {"type": "agent_settled"}


@pytest.mark.parametrize("version", ["0.74.2", "0.87.1"])
def test_a_recorded_run_of_either_generation(version: str) -> None:
    """The same answer and usage come from cumulative and from delta-only updates, and from either end."""
    (turn,) = turns(f"01-basic.{version}.jsonl").values()
    assert turn.message is not None
    assert (turn.message.text, turn.message.stop_reason) == ("Hello from the loopback model.", "stop")
    reasoning = 5 if version == "0.87.1" else 0
    assert turn.usage is not None
    assert turn.usage.cost_usd == pytest.approx(0.000162)
    assert turn.usage == Usage(100, 30, 20, 0, reasoning, turn.usage.cost_usd)
    assert (turn.is_over, turn.may_be_over) == (version == "0.87.1", version == "0.74.2")


def test_a_recorded_retry_goes_on_until_it_is_over() -> None:
    """Without `agent_settled` each recorded run may be over at its last event, whatever it retried before."""
    found = turns("07b-retry-fast.0.74.2.jsonl")
    once, hopeless, refused = (found[f"SCN:{name}"] for name in ("e500once", "retryafter", "e400"))
    assert once.may_be_over
    assert hopeless.may_be_over
    assert refused.may_be_over
    assert [turn.was_retried for turn in (once, hopeless, refused)] == [True, True, False]
    assert [turn.has_erred for turn in (once, hopeless, refused)] == [False, True, True]
    assert hopeless.message is not None
    assert hopeless.message.error_message == "429 slow down"


def test_no_recorded_run_may_be_over_while_it_waits_to_try_again() -> None:
    """From `auto_retry_start` up to the next `agent_end` or the last `auto_retry_end` a run goes on."""
    turn = Turn("look", has_settled=False)
    is_waiting = False
    for direction, record in recorded("07b-retry-fast.0.74.2.jsonl"):
        if direction == "in" and record.get("type") == "prompt":
            turn, is_waiting = Turn("look", has_settled=False), False
        elif direction == "out" and record["type"] != "response":
            replay(turn, record)
            is_waiting = {"auto_retry_start": True, "agent_end": False, "auto_retry_end": False}.get(
                record["type"], is_waiting
            )
            assert not (is_waiting and turn.may_be_over)


def test_the_end_of_a_run_that_was_broken_off_is_not_that_of_the_next() -> None:
    """What still comes of the run before, ahead of the start of this one, ends nothing."""
    turn = replay(Turn("t", has_settled=False), END)
    assert not turn.may_be_over
    assert not turn.is_running
    replay(turn, START)
    assert turn.is_running
    replay(turn, said("better"), END)
    assert turn.may_be_over
    assert not turn.is_running


def test_a_live_run_shows_text_as_it_comes() -> None:
    """In the order of arrival, thoughts apart; a step's text is not told again as a thought."""
    turn = Turn("t", has_settled=True, is_live=True)
    replay(turn, START, delta("thinking", "hm"), delta("text", "I "), delta("text", "look"))
    assert [(event.kind, event.text) for event in turn.take() if isinstance(event, ContentDelta)] == [
        ("thinking", "hm"),
        ("text", "I look"),
    ]
    replay(turn, said("I look", "toolUse"))
    assert turn.take() == []


def test_what_a_tool_gave_is_bounded() -> None:
    """A live run tells its beginning, another run nothing; what is no text is left out."""
    blocks = [{"type": "text", "text": "x" * 3_000}, {"type": "image", "data": "AAAA"}]
    record = {
        "type": "tool_execution_end",
        "toolCallId": "c",
        "toolName": "read",
        "result": {"content": blocks},
    }
    for is_live, chars in ((True, MAX_OUTPUT_CHARS), (False, 0)):
        (event,) = replay(Turn("t", has_settled=True, is_live=is_live), record).take()
        assert isinstance(event, ToolFinished)
        assert event.output == "x" * chars


def test_a_compaction_that_repeats_the_request_is_not_the_end() -> None:
    """An overflow ends the run, compacts and runs again; only then it may be over."""
    turn = replay(Turn("t", has_settled=False), START, said("", "error"), END, {"type": "compaction_start"})
    assert not turn.may_be_over
    replay(turn, {"type": "compaction_end", "willRetry": True})
    assert not turn.may_be_over
    replay(turn, START, said("better"), END)
    assert turn.may_be_over
    assert turn.message is not None
    assert turn.message.text == "better"


def test_a_compaction_that_failed_is_the_end() -> None:
    """A failed recovery says so, and nothing follows it."""
    failed = {
        "type": "compaction_end",
        "willRetry": False,
        "errorMessage": "Context overflow recovery failed",
    }
    turn = replay(
        Turn("t", has_settled=False), START, said("", "error"), END, {"type": "compaction_start"}, failed
    )
    assert turn.may_be_over
    assert turn.overflow == "Context overflow recovery failed"


def test_settled_counts_only_after_a_start() -> None:
    """Pi can settle too early; and `agent_end` is never the end where settling exists."""
    turn = replay(Turn("t", has_settled=True), SETTLED, START, said("a"), END)
    assert not turn.is_over
    assert not turn.may_be_over
    assert replay(turn, SETTLED).is_over


def test_steps_are_shown_as_thinking_and_tools() -> None:
    """What is said between tool calls is no answer; deltas of one read are one event."""
    turn = replay(
        Turn("look", has_settled=True),
        START,
        delta("thinking", "I should "),
        delta("thinking", "read."),
        delta("text", "Reading."),
        said("Reading.", "toolUse"),
        {"type": "tool_execution_start", "toolCallId": "c1", "toolName": "read", "args": {"path": "a.py"}},
        {"type": "tool_execution_update", "toolCallId": "c1", "partialResult": {}},
        {"type": "tool_execution_end", "toolCallId": "c1", "toolName": "read", "isError": True},
        said("", "toolUse"),
    )
    assert turn.take() == [
        ContentDelta(task="look", text="I should read.Reading.", kind="thinking"),
        ToolStarted(task="look", tool="read", call_id="c1", input='{"path": "a.py"}'),
        ToolFinished(task="look", tool="read", call_id="c1", is_error=True),
    ]
    assert turn.take() == []


def test_a_failed_attempt_leaves_no_text_behind() -> None:
    """Text of a message that Pi tries again is dropped with it; text of one that never ended is kept."""
    turn = replay(Turn("t", has_settled=True), START, delta("text", "half"), said("half", "error"))
    assert turn.partial == ""
    replay(turn, {"type": "message_start", "message": {}}, delta("text", "again"))
    assert turn.partial == "again"


def test_usage_is_summed_over_all_answers() -> None:
    """Every answer of the model counts, failed ones too; odd numbers count as nothing."""
    counts = {
        "input": 1,
        "output": 2,
        "cacheRead": 3,
        "cacheWrite": 4,
        "reasoning": 1,
        "cost": {"total": 0.5},
    }
    odd = {"input": -1, "output": "many", "cacheRead": True, "cacheWrite": 1e300, "cost": {"total": 0}}
    turn = replay(
        Turn("t", has_settled=True),
        START,
        said("a", "toolUse", usage=counts),
        said("", "error", usage=odd),
        said("b", usage=counts),
        said("c", usage=[]),
    )
    assert turn.usage == Usage(2, 4, 6, 8, 2, 1.0)


def test_other_roles_are_no_answer() -> None:
    """System, user and unknown messages, as text or blocks, are none of the model's."""
    turn = replay(
        Turn("t", has_settled=True),
        {"type": "message_end", "message": {"role": "system", "content": "you are"}},
        {"type": "message_end", "message": {"role": "compactionSummary", "content": 7}},
        {"type": "message_end", "message": []},
    )
    assert turn.message is None


def test_the_first_end_stands() -> None:
    """A failure after the end changes nothing."""
    turn = replay(Turn("t", has_settled=True), START, SETTLED)
    turn.fail(Failure(code="timeout", message="late"))
    assert turn.failure is None
    assert turn.changed.is_set()


def test_p5_a_reader_that_is_behind_asks_for_a_pause() -> None:
    """What waits to be shown is bounded, and taking it makes room."""
    turn = replay(Turn("t", has_settled=True), START, delta("thinking", "y" * (MAX_WAITING_CHARS + 1)))
    assert turn.is_full
    turn.take()
    assert not turn.is_full


def test_p2_a_run_that_is_cut_at_any_byte_fails() -> None:
    """Only the whole run is an answer; whatever came of a shorter one, its failure stands."""
    records = [START, delta("text", "pé🙂"), said("pé🙂"), END, SETTLED]
    whole = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
    for cut in range(len(whole) + 1):
        rpc, turn = Rpc(lambda _: None), Turn("t", has_settled=True)
        rpc.listener = turn
        rpc.feed(whole[:cut])
        rpc.fail(Failure(code="provider_unavailable", message="gone"))
        assert (turn.failure is None) is (cut == len(whole))
        assert turn.is_over


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        (Model("m", "p"), ["off"]),
        (Model("m", "p", thinking_level_map={"high": "h"}), ["off"]),
        (Model("m", "p", reasoning=True), list(THINKING_LEVELS[:5])),
        (
            Model("m", "p", reasoning=True, thinking_level_map={"off": None, "xhigh": "x"}),
            ["minimal", "low", "medium", "high", "xhigh"],
        ),
        (Model("m", "p", reasoning=True, thinking_level_map=dict.fromkeys(THINKING_LEVELS)), []),
    ],
)
def test_levels_of_a_model_that_cannot_be_asked_for(model: Model, levels: list[str]) -> None:
    """Pi's own rule: all usual levels but those mapped to null; the two highest only where named."""
    assert wire.thinking_levels(model) == levels
