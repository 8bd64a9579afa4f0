"""The client side of Pi's RPC, fed with bytes: no process, no time."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.jsonl import LineTooLong
from kata_cli.pi.rpc import MAX_WARNINGS, Rejected, Rpc
from kata_cli.pi.wire import Frame


class Line:
    """An `Rpc` whose other end is the test."""

    def __init__(self, **settings: Any) -> None:
        self.rpc = Rpc(self._take, **settings)
        self.rpc.listener = self
        self.sent: list[dict[str, Any]] = []
        self.frames: list[Frame] = []
        self.failures: list[Failure] = []
        self.is_full = False

    def _take(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.sent.append(json.loads(line))

    def feed(self, frame: Frame) -> None:
        self.frames.append(frame)

    def fail(self, failure: Failure) -> None:
        self.failures.append(failure)

    def hear(self, **record: Any) -> None:
        self.rpc.feed(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    async def calls(self, *commands: str) -> list[asyncio.Task[msgspec.Raw]]:
        """Calls under way, each with its command sent."""
        tasks = [asyncio.create_task(self.rpc.call(command)) for command in commands]
        await asyncio.sleep(0)
        return tasks


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_f69_answers_find_their_call_in_any_order() -> None:
    """Ids correlate; one that was not asked, one of another command and a second one only leave a warning."""

    async def main() -> None:
        line = Line()
        first, second = await line.calls("get_state", "get_commands")
        ids = [sent["id"] for sent in line.sent]
        line.hear(type="response", id="k99", command="get_state", success=True, data=0)
        line.hear(type="response", id=7, command="get_state", success=True, data=0)
        line.hear(type="response", id=ids[0], command="get_commands", success=True, data=0)
        line.hear(type="response", id=ids[1], command="get_commands", success=True, data=2)
        line.hear(type="response", id=ids[1], command="get_commands", success=True, data=3)
        line.hear(type="response", id=ids[0], command="get_state", success=True, data=1)
        assert [bytes(await first), bytes(await second)] == [b"1", b"2"]
        line.hear(type="response", id=ids[0], command="get_state", success=True, data=4)
        assert line.rpc.oddities == len(line.rpc.warnings) == 5

    run(main())


def test_an_error_without_an_id_ends_the_call_of_its_command() -> None:
    """Up to 0.79.6 an unknown command is refused without its id: nobody may wait for it in vain."""

    async def main() -> None:
        line = Line()
        state, tree = await line.calls("get_state", "get_tree")
        line.hear(type="response", command="get_tree", success=False, error="Unknown command: get_tree")
        with pytest.raises(Rejected, match="Pi refused get_tree: Unknown command: get_tree"):
            await tree
        assert not state.done()
        line.hear(type="response", success=False, error="Unknown command: undefined")
        line.hear(type="response", command="parse", success=False, error="Failed to parse command")
        line.hear(type="response", command="get_state", success=True, data={})
        assert line.rpc.oddities == 3
        state.cancel()

    run(main())


def test_a_call_without_an_answer_ends_in_time() -> None:
    """Each command has its own time limit, and a late answer is only odd."""

    async def main() -> None:
        line = Line(command_s=0.01)
        with pytest.raises(KataError, match=r"Pi did not answer get_state within 0.01 s") as caught:
            await line.rpc.call("get_state")
        assert caught.value.failure.code == "timeout"
        line.hear(type="response", id=line.sent[0]["id"], command="get_state", success=True)
        assert line.rpc.oddities == 1

    run(main())


def test_p2_all_that_wait_are_told_at_once() -> None:
    """An end ends every pending call, the listener, and each later call."""

    async def main() -> None:
        line = Line()
        tasks = await line.calls("get_state", "abort")
        failure = Failure(code="provider_unavailable", message="gone")
        line.rpc.fail(failure)
        line.rpc.fail(Failure(code="timeout", message="later"))
        found = await asyncio.gather(*tasks, line.rpc.call("get_state"), return_exceptions=True)
        assert [error.failure for error in found if isinstance(error, KataError)] == [failure] * 3
        assert line.failures == [failure]

    run(main())


def test_f70_dialogs_are_declined_and_shows_are_not_answered() -> None:
    """Nobody is there to answer: `cancelled`, at once, also for a method that is not known."""
    line = Line()
    for method in ("confirm", "select", "input", "editor", "brand-new", "notify", "setStatus", "setWidget"):
        line.hear(type="extension_ui_request", id=f"d-{method}", method=method)
    declined = {"type": "extension_ui_response", "cancelled": True}
    expected = ("confirm", "select", "input", "editor", "brand-new")
    assert line.sent == [{**declined, "id": f"d-{method}"} for method in expected]
    assert not line.frames


def test_an_answer_of_another_shape_is_no_state() -> None:
    """What cannot be read as the answer asked for is an error of its own."""

    async def main() -> None:
        line = Line()
        task = asyncio.create_task(line.rpc.ask("get_state", dict[str, int]))
        await asyncio.sleep(0)
        line.hear(type="response", id=line.sent[0]["id"], command="get_state", success=True, data={"a": "b"})
        with pytest.raises(KataError, match="Pi's answer to get_state cannot be read"):
            await task

    run(main())


@pytest.mark.parametrize(
    "line", [b"", b"not json", b"null", b"5", b'"x"', b"[1]", b"{}", b'{"type":7}', b'{"type":"a"', b"\xff{}"]
)
def test_f68_garbage_is_counted_and_kept(line: bytes) -> None:
    """What is no record is a warning, shown safely, and what follows it is still heard (P6)."""
    heard = Line()
    heard.rpc.feed(line + b'\x1b[2J\r\n{"type":"agent_start"}\r\n')
    assert [frame.type for frame in heard.frames] == ["agent_start"]
    assert heard.rpc.oddities == 1
    assert "\x1b" not in heard.rpc.warnings[0]


def test_f68_warnings_are_bounded() -> None:
    """A flood of garbage is counted, and its first lines are kept."""
    line = Line()
    line.rpc.feed(b"odd\n" * 1000)
    assert (line.rpc.oddities, len(line.rpc.warnings)) == (1000, MAX_WARNINGS)


@given(text=st.text(), cuts=st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=100, deadline=None)
def test_f68_framing_does_not_depend_on_the_reads(text: str, cuts: list[int]) -> None:
    """Lines end at LF alone, wherever reads end, whatever the text holds (U+2028 too)."""
    update = {"type": "text_delta", "delta": text}
    record = {"type": "message_update", "assistantMessageEvent": update}
    data = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    line = Line()
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    for start, end in itertools.pairwise(places):
        line.rpc.feed(data[start:end])
    (frame,) = line.frames
    assert frame.assistant_message_event is not None
    assert frame.assistant_message_event.delta == text


def test_f49_half_a_character_does_not_cost_the_line() -> None:
    """JavaScript cuts deltas inside surrogate pairs; a half becomes U+FFFD, a whole pair stays."""
    line = Line()
    for delta in (rb"\ud83d", rb"a\ude00", rb"\ud83d\ude00", rb"\\ud83d"):
        line.rpc.feed(b'{"type":"u","assistantMessageEvent":{"delta":"' + delta + b'"}}\n')
    deltas = [frame.assistant_message_event.delta for frame in line.frames if frame.assistant_message_event]
    assert deltas == ["\ufffd", "a\ufffd", "😀", r"\ud83d"]
    assert line.rpc.oddities == 0


def test_f67_a_line_may_be_long_but_not_endless() -> None:
    """A line is heard up to the limit; one that exceeds it raises, ended or not."""
    line = Line(max_line_bytes=64)
    line.rpc.feed(b'{"type":"a","x":"' + b"y" * 40 + b'"}\n')
    assert len(line.frames) == 1
    with pytest.raises(LineTooLong):
        line.rpc.feed(b"y" * 65)


def test_p6_ten_thousand_mutated_lines_do_no_harm() -> None:
    """No mutation of a real record raises, hangs or is taken for an answer that was not given."""
    chance = random.Random(20261121)
    seeds = [
        b'{"id":"k1","type":"response","command":"get_state","success":true,"data":{"model":null}}',
        b'{"type":"message_end","message":{"role":"assistant","content":[{"type":"text","text":"a"}]}}',
        b'{"type":"extension_ui_request","id":"d","method":"confirm","title":"sure?"}',
        b'{"type":"tool_execution_start","toolCallId":"c","toolName":"read","args":{"path":"\\ud83d"}}',
    ]
    line = Line()
    for _ in range(10_000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        line.rpc.feed(bytes(data) + b"\n")
    assert line.rpc.oddities + len(line.frames) + len(line.sent) > 9_000
    assert line.rpc.failure is None
