"""The mock provider in a live session: answers from the conversation, calls of tools, the pace of deltas."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kata_cli.core import loop
from kata_cli.core.events import ContentDelta, ReplyFinished
from kata_cli.core.fence import fence
from kata_cli.core.messages import Message, ModelRef, Reply, Request, Tool, ToolCall
from kata_cli.core.ports import Credential, Timeouts
from kata_cli.providers import registry
from kata_cli.providers.mock import MockProvider
from kata_cli.providers.mock.author import LABEL
from kata_cli.providers.mock.provider import DELTAS_PER_S
from kata_cli.providers.mock.scenario import Fault, Scenario

PAGE = fence("file", "# Box\n\nIt packs.\n\n## Limits\n", {"path": "README.md"})
CODE = fence(
    "file", "import os\n\nclass Box:\n    def pack(self): ...\n", {"path": "box.py", "lines": "7-10"}
)
LOOKUP = Tool(
    name="lookup",
    parameters={
        "type": "object",
        "properties": {"word": {"type": "string", "minLength": 40}, "limit": {"type": "integer"}},
        "required": ["word"],
    },
)
NOW = Tool(name="now")


def user(text: str) -> Message:
    return Message("user", text)


def asking(*messages: Message, role: str = "chat", tools: tuple[Tool, ...] = ()) -> Request:
    """The request of a live session."""
    model = ModelRef("mock", "mock-1")
    return Request(task="s-1", role=role, model=model, system="Be brief.", messages=messages, tools=tools)


def paced(request: Request, scenario: Scenario | None = None) -> tuple[list[tuple[float, str]], Reply]:
    """The deltas with the virtual seconds at which they came, and the reply."""

    async def main() -> tuple[list[tuple[float, str]], Reply]:
        provider = MockProvider(registry.MOCK, Credential(), Timeouts(), scenario)
        clock, deltas = asyncio.get_running_loop(), []
        started_s = clock.time()
        async for event in provider.stream(request):
            if isinstance(event, ContentDelta):
                deltas.append((clock.time() - started_s, event.text))
        assert isinstance(event, ReplyFinished)
        assert "".join(text for _, text in deltas) == event.reply.text
        return deltas, event.reply

    return loop.run(main(), is_virtual=True)


def reply(*messages: Message, **fields: Any) -> Reply:
    return paced(asking(*messages, **fields))[1]


def test_an_answer_names_the_question_and_the_turns_before() -> None:
    """The text is labelled, says what was asked and how much came before."""
    text = reply(user("What is a\nbox?"), Message("assistant", "A box."), user("And how big?")).text
    assert text.startswith(LABEL)
    assert "You asked: And how big?" in text
    assert "1 turn came before this one, the last about: What is a box?" in text
    assert "This is the first turn." in reply(user("What?")).text


def test_an_answer_repeats_the_points_of_attached_files() -> None:
    """Headings and definitions are told with their lines; files of earlier turns are named."""
    first = user(f"Read this.\n\n{PAGE}")
    text = reply(first, Message("assistant", "Read."), user(f"What of this?\n\n{CODE}")).text
    assert "## `box.py`\n\n- line 9: class Box:\n- line 10: def pack(self): ..." in text
    assert "Attached before: `README.md`" in text
    assert "- line 1: # Box\n- line 5: ## Limits" in reply(first).text
    assert "You asked: Read this." in reply(first).text


def test_a_file_without_points_is_told_by_its_first_lines() -> None:
    """Nothing that was attached is passed over."""
    plain = fence("file", "\none\ntwo\n", {"path": "a.txt"})
    assert "- line 2: one\n- line 3: two" in reply(user(plain)).text
    assert "- nothing" in reply(user(fence("file", "", {"path": "b.txt"}))).text


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.text(max_size=40)), max_size=5))
def test_any_conversation_has_one_answer(said: list[tuple[Any, str]]) -> None:
    """No conversation breaks the mock, and the same one gets the same bytes."""
    messages = [Message(role, text, call_id="c" if role == "tool" else "") for role, text in said]
    text = reply(*messages, tools=(LOOKUP,)).text
    assert text.startswith(LABEL)
    assert text == reply(*messages, tools=(LOOKUP,)).text


def test_a_tool_that_is_named_is_called_with_valid_arguments() -> None:
    """The id tells the turn, the arguments are the least that the schema takes."""
    before = (user("Hello"), Message("assistant", "Hi."))
    called = reply(*before, user("Please lookup katas now"), tools=(NOW, LOOKUP), role="answer")
    assert (called.stop, [call.name for call in called.calls]) == ("tool_use", ["now"])
    (call,) = reply(*before, user("Please lookup katas"), tools=(NOW, LOOKUP)).calls
    assert (call.id, call.name) == ("call-2-1", "lookup")
    arguments = json.loads(call.arguments)
    Draft202012Validator(LOOKUP.parameters).validate(arguments)
    assert list(arguments) == ["word"]
    assert arguments["word"].startswith("Please lookup katas")


@pytest.mark.parametrize(
    "text", ["Do lookups", "look_lookup", "re-lookup", f"Read\n\n{fence('file', 'lookup', {'path': 'a'})}"]
)
def test_a_tool_is_called_only_by_its_whole_name(text: str) -> None:
    """Neither a part of a word nor a word in attached material calls a tool."""
    assert reply(user(text), tools=(LOOKUP,)).calls == ()
    assert reply(user("lookup")).calls == ()


def test_the_answer_to_a_result_says_what_came() -> None:
    """Each result of the turn is told under the name of its tool, a failure as one."""
    calls = tuple(ToolCall(id=tool.name, name=tool.name, arguments="{}") for tool in (LOOKUP, NOW))
    results = (
        Message("tool", "".join(f"row {number}\n" for number in range(20)), call_id="lookup"),
        Message("tool", "no clock", call_id="now", is_error=True),
    )
    answer = reply(user("lookup"), Message("assistant", "", calls=calls), *results, tools=(LOOKUP, NOW))
    assert (answer.stop, answer.calls) == ("stop", ())
    assert "`lookup` returned:\n\n    row 0\n" in answer.text
    assert "    and 8 more\n" in answer.text
    assert "`now` failed:\n\n    no clock" in answer.text


KEYWORDS = """
    type properties required items enum const default anyOf $ref minItems minLength maxLength minimum a
"""
KEYS = st.sampled_from(KEYWORDS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_no_schema_of_a_tool_breaks_the_mock(parameters: dict[str, Any]) -> None:
    """What a client declares may be no schema at all; the call comes all the same, with JSON."""
    (call,) = reply(user("lookup"), tools=(Tool(name="lookup", parameters=parameters),)).calls
    json.loads(call.arguments)


def test_a_faulty_answer_calls_nothing() -> None:
    """What was cut or spoilt by the scenario ends with no call."""
    asked = asking(user("lookup"), tools=(LOOKUP,))
    cut = paced(asked, Scenario(faults=[Fault(kind="truncated")]))[1]
    assert (cut.stop, cut.calls) == ("length", ())


@pytest.mark.parametrize("tokens_per_s", [0.5, 20, 50, 51, 400, 20_000])
def test_a_pace_is_kept_in_small_steps(tokens_per_s: float) -> None:
    """Deltas are of a few tokens, at most fifty a second, and come when their tokens are due."""
    deltas, answer = paced(asking(user("What? " * 40)), Scenario(tokens_per_s=tokens_per_s))
    times_s = [0.0, *(time_s for time_s, _ in deltas)]
    steps_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert times_s[-1] == pytest.approx(len(answer.text.encode()) / 4 / tokens_per_s)
    assert min(steps_s[:-1], default=1.0) > 0.99 / DELTAS_PER_S
    assert max(steps_s) < max(1.01 / tokens_per_s, 2.01 / DELTAS_PER_S)


def test_without_a_pace_an_answer_comes_in_large_pieces() -> None:
    """Four hundred characters a delta, at once."""
    deltas, answer = paced(asking(user(f"What?\n\n{PAGE}\n\n{CODE}"), user("What? " * 60)))
    assert [len(text) for _, text in deltas[:-1]] == [400] * (len(answer.text) // 400)
    assert {time_s for time_s, _ in deltas} == {0.0}
