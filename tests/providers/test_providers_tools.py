"""Tools of the caller in each vendor's words: what is sent, what the vendors' own SDKs read, what is kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kata_cli.core.errors import KataError
from kata_cli.core.exchange import Exchange, RecordedReply
from kata_cli.core.messages import Message, Request, Tool, ToolCall, Usage
from kata_cli.providers import openai_chat, openai_responses
from kata_cli.providers.anthropic_request import message_body
from kata_cli.providers.replay import ReplayProvider
from kata_cli.providers.tool_calls import MAX_ARGUMENTS_CHARS, ToolCalls
from kata_cli.store.exchanges import read_exchanges
from servers.adapters import ADAPTERS, asking, converse, failure, finish
from servers.vendor import Reply, Status, VendorServer
from servers.wire import Call

ANTHROPIC, RESPONSES, CHAT = ADAPTERS
LOOKUP = Tool(
    name="lookup",
    description="Says what a word means.",
    parameters={"type": "object", "properties": {"word": {"type": "string"}}},
)
NOW = Tool(name="now")
EMPTY = {"type": "object", "properties": {}}
TALK = (
    Message("user", "Two things."),
    Message(
        "assistant",
        "I look.",
        calls=(
            ToolCall(id="functions.lookup:0", name="lookup", arguments='{"word": "kata"}'),
            ToolCall(id="b", name="now", arguments="{"),
        ),
    ),
    Message("tool", "a form", call_id="functions.lookup:0"),
    Message("tool", "no clock", call_id="b", is_error=True),
    Message("user", "And?"),
)
ASKED = asking(messages=TALK, tools=(LOOKUP, NOW))


def test_anthropic_is_told_of_tools_and_results() -> None:
    """Calls and results are blocks, the results of one turn stand in one message, ids fit the API."""
    body = message_body(ASKED)
    assert body["tools"] == [
        {"name": "lookup", "description": LOOKUP.description, "input_schema": LOOKUP.parameters},
        {"name": "now", "input_schema": EMPTY},
    ]
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {
                    "type": "tool_use",
                    "id": "functions_lookup_0",
                    "name": "lookup",
                    "input": {"word": "kata"},
                },
                {"type": "tool_use", "id": "b", "name": "now", "input": {"INVALID_JSON": "{"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_lookup_0", "content": "a form"},
                {"type": "tool_result", "tool_use_id": "b", "content": "no clock", "is_error": True},
            ],
        },
        {"role": "user", "content": "And?"},
    ]


def test_anthropic_gets_no_empty_text() -> None:
    """The API refuses a block of text without any."""
    turn = Message("assistant", " \n", calls=(ToolCall(id="a", name="now", arguments="{}"),))
    body = message_body(asking(messages=(turn,), tools=(NOW,)))
    assert [block["type"] for block in body["messages"][0]["content"]] == ["tool_use"]


def test_anthropic_knows_the_tools_of_the_history() -> None:
    """The API refuses calls in a conversation without their tools, so they are named, and not on offer."""
    body = message_body(asking(messages=TALK))
    assert [tool["name"] for tool in body["tools"]] == ["lookup", "now"]
    assert body["tool_choice"] == {"type": "none"}
    assert not {"tools", "tool_choice"} & set(message_body(asking()))


def test_anthropic_thinks_adaptively_between_calls() -> None:
    """Adaptive thinking needs no thinking back, so it stays on, and the history carries none."""
    body = message_body(msgspec.structs.replace(ASKED, thinking="high"))
    assert body["thinking"] == {"type": "adaptive"}
    assert "thinking" not in json.dumps(body["messages"])


def test_chat_is_told_of_tools_and_results() -> None:
    """Calls go in `tool_calls`, results in messages of role `tool`; a failure says that it is one."""
    body = openai_chat.body(ASKED)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "lookup",
                "description": LOOKUP.description,
                "parameters": LOOKUP.parameters,
            },
        },
        {"type": "function", "function": {"name": "now", "description": "", "parameters": EMPTY}},
    ]
    turn, *results, last = body["messages"][2:]
    assert (turn["role"], turn["content"]) == ("assistant", "I look.")
    assert [call["id"] for call in turn["tool_calls"]] == ["functions.lookup:0", "b"]
    assert turn["tool_calls"][0]["function"] == {"name": "lookup", "arguments": '{"word": "kata"}'}
    assert results == [
        {"role": "tool", "tool_call_id": "functions.lookup:0", "content": "a form"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: no clock"},
    ]
    assert last == {"role": "user", "content": "And?"}


def test_responses_are_told_of_tools_and_results() -> None:
    """Calls and results are items, without the ids of items that the API was told not to keep."""
    body = openai_responses.body(ASKED)
    assert [(tool["name"], tool["strict"]) for tool in body["tools"]] == [("lookup", False), ("now", False)]
    assert body["tools"][1]["parameters"] == EMPTY
    assert body["store"] is False
    assert body["input"][1:] == [
        {"role": "assistant", "content": "I look."},
        {
            "type": "function_call",
            "call_id": "functions.lookup:0",
            "name": "lookup",
            "arguments": '{"word": "kata"}',
        },
        {"type": "function_call", "call_id": "b", "name": "now", "arguments": "{"},
        {"type": "function_call_output", "call_id": "functions.lookup:0", "output": "a form"},
        {"type": "function_call_output", "call_id": "b", "output": "Error: no clock"},
        {"role": "user", "content": "And?"},
    ]


def test_a_turn_of_calls_alone_has_no_text() -> None:
    """Neither of OpenAI's APIs is sent an empty text beside calls."""
    turn = Message("assistant", "", calls=(ToolCall(id="a", name="now", arguments="{}"),))
    asked = asking(messages=(Message("user", ""), turn), tools=(NOW,))
    assert [item.get("type", "text") for item in openai_responses.body(asked)["input"]] == [
        "text",
        "function_call",
    ]
    assert openai_chat.body(asked)["messages"][-1]["content"] is None


def test_the_sdks_read_the_same_calls() -> None:
    """What the loopback vendors stream is what the vendors' own SDKs take for text and a call."""
    reply = Reply(text="I look.", calls=[Call(name="lookup", arguments='{"word": "kata"}')], stop="tool_use")
    with VendorServer([reply]) as server:
        read = [_anthropic_sdk(server.base_url), _chat_sdk(server.openai_url)]
        read.append(_responses_sdk(server.openai_url))
        ours = [
            finish(converse(adapter.connect(server.base_url), ASKED)).reply
            for adapter in (ANTHROPIC, CHAT, RESPONSES)
        ]
    assert read == [("I look.", "toolu_1", "lookup", {"word": "kata"})] * 3
    for answer in ours:
        (call,) = answer.calls
        assert (answer.text, call.id, call.name, json.loads(call.arguments)) == read[0]


def _anthropic_sdk(url: str) -> tuple[Any, ...]:
    import anthropic

    asked = {key: value for key, value in message_body(ASKED).items() if key != "stream"}
    sdk: Any = anthropic.Anthropic(api_key="key", base_url=url, max_retries=0)
    with sdk, sdk.messages.stream(**asked) as stream:
        message = stream.get_final_message()
    text, call = message.content
    assert (text.type, call.type, message.stop_reason) == ("text", "tool_use", "tool_use")
    return text.text, call.id, call.name, call.input


def _chat_sdk(url: str) -> tuple[Any, ...]:
    import openai

    asked = {key: value for key, value in openai_chat.body(ASKED).items() if key != "stream"}
    sdk: Any = openai.OpenAI(api_key="key", base_url=url, max_retries=0)
    with sdk, sdk.chat.completions.stream(**asked) as stream:
        message = stream.get_final_completion().choices[0].message
    (call,) = message.tool_calls
    return message.content, call.id, call.function.name, json.loads(call.function.arguments)


def _responses_sdk(url: str) -> tuple[Any, ...]:
    import openai

    asked = {key: value for key, value in openai_responses.body(ASKED).items() if key != "stream"}
    sdk: Any = openai.OpenAI(api_key="key", base_url=url, max_retries=0)
    with sdk, sdk.responses.stream(**asked) as stream:
        response = stream.get_final_response()
    call = response.output[-1]
    assert call.type == "function_call"
    return response.output_text, call.call_id, call.name, json.loads(call.arguments)


def streamed(adapter: Any, *frames: dict[str, Any], request: Request = ASKED) -> tuple[ToolCall, ...]:
    """The calls that an adapter reads from events as some server writes them."""
    text = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames) + "data: [DONE]\n\n"
    with VendorServer([Status(status=200, text=text, content_type="text/event-stream")]) as server:
        return finish(converse(adapter.connect(server.base_url), request)).reply.calls


def chunk(*calls: dict[str, Any], stop: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"tool_calls": list(calls)}, "finish_reason": stop}]}


def piece(name: str | None, arguments: str, **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **fields}


@pytest.mark.parametrize(
    "frames",
    [
        [chunk(piece("now", "{}", id="p", index=0)), chunk(piece("lookup", "{}", id="q", index=0))],
        [chunk(piece("now", "{}", id="p"), piece("lookup", "{}", id="q"))],
        [chunk(piece("now", "{", id="p", index=0)), chunk(piece(None, "}", id="p", index=0)),
         chunk(piece("lookup", "", id="q", index=1))],
        [chunk(piece("now", "", id="p", index=0), piece("lookup", "", id="q", index=1)),
         chunk(piece(None, "{}", index=1), piece(None, "{}", index=0))],
    ],
    ids=["one index for all", "no index", "the id with each piece", "turn by turn"],
)  # fmt: skip
def test_compatible_servers_number_calls_in_their_own_way(frames: list[dict[str, Any]]) -> None:
    """Ids tell calls apart where indices do not, and `stop` at the end hides no call."""
    calls = streamed(CHAT, *frames, chunk(stop="stop"))
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        ("p", "now", "{}"),
        ("q", "lookup", "{}"),
    ]


def test_arguments_may_come_without_pieces() -> None:
    """A server that sends a call in one event is understood as well."""
    block = {"type": "tool_use", "id": "a", "name": "lookup", "input": {"word": "kata"}}
    frames: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "message_stop"},
    ]
    item = {"type": "function_call", "call_id": "a", "name": "lookup", "arguments": '{"word":"kata"}'}
    done = [
        {"type": "response.output_item.done", "item": item},
        {"type": "response.completed", "response": {}},
    ]
    expected = (ToolCall(id="a", name="lookup", arguments='{"word":"kata"}'),)
    assert streamed(ANTHROPIC, *frames) == expected
    assert streamed(RESPONSES, *done) == expected


def test_other_blocks_are_no_calls() -> None:
    """What a vendor's own tools are given does not get into the caller's calls."""
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": '{"query": 1}'}
    frames: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "Found."}},
        {"type": "message_stop"},
    ]
    assert streamed(ANTHROPIC, *frames) == ()


def test_arguments_are_bounded() -> None:
    """An answer cannot fill the memory with the arguments of its calls, however it sends them."""
    calls = ToolCalls()
    calls.begin(0, "a", "now")
    calls.replace(0, "x" * MAX_ARGUMENTS_CHARS)
    calls.replace(0, "y" * MAX_ARGUMENTS_CHARS)
    with pytest.raises(KataError, match="tool arguments"):
        calls.add(0, "y")


def exchange(request: Request, **fields: Any) -> Exchange:
    """A recorded answer to a request."""
    reply: dict[str, Any] = {"text": "", "stop": "tool_use", "usage": Usage(), "request_id": None, **fields}
    model = str(request.model)
    recorded = RecordedReply(model=model, **reply)
    return Exchange(task=request.task, attempt=1, model=model, request=request, reply=recorded)


def test_calls_are_recorded_and_replayed(tmp_path: Path) -> None:
    """A request with tools and a reply with calls read back from `exchanges.jsonl` are answered the same."""
    calls = (ToolCall(id="c", name="now", arguments="{}"),)
    path = tmp_path / "exchanges.jsonl"
    path.write_bytes(msgspec.json.encode(exchange(ASKED, calls=calls)) + b"\n")
    recorded = read_exchanges(path)
    reply = finish(converse(ReplayProvider(recorded), ASKED)).reply
    assert (reply.calls, reply.stop, reply.text) == (calls, "tool_use", "")


def test_a_record_without_calls_is_written_as_before() -> None:
    """Runs of today have the same bytes: what is not there is not written."""
    line = msgspec.json.decode(msgspec.json.encode(exchange(asking(), text="Hi.", stop="stop")))
    assert list(line["reply"]) == ["text", "stop", "usage", "request_id", "model"]
    assert "tools" not in line["request"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tools": ()}, "tools was"),
        ({"messages": (TALK[0], msgspec.structs.replace(TALK[1], calls=()), *TALK[2:])}, "message 2 calls"),
    ],
)
def test_a_replay_tells_how_tools_differ(change: dict[str, Any], told: str) -> None:
    """Other tools, or other calls, are named as the difference."""
    provider = ReplayProvider([exchange(ASKED)])
    last = failure(converse(provider, msgspec.structs.replace(ASKED, **change)))
    assert told in last.failure.message


def test_tools_and_calls_count_in_the_estimate() -> None:
    """The text that sizes are estimated from has all that is sent."""
    prompt = ASKED.prompt
    assert all(part in prompt for part in ("Says what a word means.", '{"word": "kata"}', "a form"))
    assert asyncio.run(_estimated_output()) > 1_000


async def _estimated_output() -> int:
    """Tokens that an attempt is charged for an answer of nothing but a call, whose vendor reports none."""
    from kata_cli.core.clock import SystemClock
    from kata_cli.providers.attempt import Attempt

    call = ToolCall(id="c", name="now", arguments="x" * 8_000)
    provider = ReplayProvider([exchange(ASKED, calls=(call,))])
    attempt = Attempt(1, ASKED, SystemClock(), None)
    assert [event async for event in attempt.relay(provider)] == []
    usage = attempt.charged()
    return usage.output if usage else 0
