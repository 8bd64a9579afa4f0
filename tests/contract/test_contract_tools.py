"""Tools of the caller over every adapter that takes them: calls come whole, results go back, faults fail."""

from __future__ import annotations

import asyncio
import itertools
import json

import msgspec
import pytest

from kata_cli.core.events import Event
from kata_cli.core.messages import Message, Request, Tool, ToolCall
from kata_cli.core.messages import Reply as Answer
from kata_cli.providers.tool_calls import MAX_CALLS
from servers import wire
from servers.adapters import ADAPTERS, LOCAL_ADAPTERS, Adapter, asking, converse, failure, finish, listen
from servers.vendor import Reply, Seen, VendorServer
from servers.wire import Call

MOCK = LOCAL_ADAPTERS[0]
EVERY = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
ANY = pytest.mark.parametrize("adapter", [*ADAPTERS, MOCK], ids=lambda adapter: adapter.name)

LOOKUP = Tool(
    name="lookup",
    description="Says what a word means.",
    parameters={"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
)
QUESTION = Message("user", "Please lookup katas.")
ASKED = asking(messages=(QUESTION,), tools=(LOOKUP,))
KATA = Call(name="lookup", arguments='{"word": "kata 型"}')


def calling(*calls: Call, text: str = "", **fields: object) -> Reply:
    """An answer that ends with calls."""
    return Reply(text=text, calls=list(calls), stop="tool_use", **fields)  # type: ignore[arg-type]


def answer(adapter: Adapter, reply: Reply, request: Request = ASKED) -> Answer:
    """What an adapter makes of one answer of a vendor."""
    return finish(ask(adapter, reply, request)).reply


def ask(adapter: Adapter, reply: Reply, request: Request = ASKED) -> list[Event]:
    with VendorServer([reply]) as server:
        return converse(adapter.connect(server.base_url), request)


@ANY
def test_a_call_then_its_result_then_text(adapter: Adapter) -> None:
    """A tool is called with arguments of its schema; given the result, the answer is text again."""
    script = [calling(KATA), Reply(text="A form to practise.")]

    async def main() -> tuple[Answer, Answer]:
        provider = adapter.connect(server.base_url)
        first = finish(await listen(provider, ASKED)).reply
        turn = Message("assistant", first.text, calls=first.calls)
        result = Message("tool", "a form", call_id=first.calls[0].id)
        then = asking(messages=(QUESTION, turn, result), tools=(LOOKUP,))
        second = finish(await listen(provider, then)).reply
        await provider.aclose()
        return first, second

    with VendorServer(script) as server:
        first, second = asyncio.run(main())
    (call,) = first.calls
    assert (first.stop, call.name, second.stop, second.calls) == ("tool_use", "lookup", "stop", ())
    assert list(json.loads(call.arguments)) == ["word"]
    assert call.id
    assert second.text.strip()


@EVERY
def test_calls_come_in_order_behind_the_text(adapter: Adapter) -> None:
    """Several calls keep order, ids and arguments, also when the stream dribbles in."""
    calls = [
        KATA,
        Call(id="toolu_2", name="now"),
        Call(id="toolu_3", name="lookup", arguments='{"word": ""}'),
    ]
    reply = answer(adapter, calling(*calls, text="I look.", thinking="Hm.", piece_bytes=7))
    assert reply.text == "I look."
    assert reply.calls == tuple(
        ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in calls
    )


@EVERY
def test_f42_a_cut_in_a_call_is_a_failure(adapter: Adapter) -> None:
    """No part of a call is ever taken for the whole one (R5)."""
    whole = calling(KATA, usage=None)
    size = len(b"".join(wire.events(adapter.api, whole)))  # type: ignore[arg-type]
    cuts = itertools.count(0, 23)

    def script(_: Seen) -> Reply:
        return msgspec.structs.replace(whole, cut_at=next(cuts))

    async def main() -> list[list[Event]]:
        provider = adapter.connect(server.base_url)
        answers = [await listen(provider, ASKED) for _ in range(0, size, 23)]
        await provider.aclose()
        return answers

    with VendorServer(script) as server:
        ends = [failure(events).failure.code for events in asyncio.run(main())]
    assert set(ends) == {"provider_unavailable"}


@EVERY
def test_without_tools_a_call_is_none(adapter: Adapter) -> None:
    """Who declared no tools gets the text alone, and a failure when there is none."""
    assert answer(adapter, calling(KATA, text="I look."), asking()).calls == ()
    last = failure(ask(adapter, calling(KATA), asking()))
    assert last.failure.code == "invalid_output"


@EVERY
@pytest.mark.parametrize("arguments", ['{"word": ', "[1]", "word=kata", '{"word": "\\ud800"}'])
def test_malformed_arguments_are_passed_on(adapter: Adapter, arguments: str) -> None:
    """The caller judges what a model wrote; sent back in the history, it breaks no request."""
    reply = answer(adapter, calling(Call(name="lookup", arguments=arguments)))
    assert reply.calls[0].arguments == arguments
    turn = Message("assistant", "", calls=reply.calls)
    results = Message("tool", "no JSON", call_id=reply.calls[0].id, is_error=True)
    again = asking(messages=(QUESTION, turn, results), tools=(LOOKUP,))
    assert answer(adapter, Reply(text="Sorry."), again).text == "Sorry."


@EVERY
def test_a_call_cut_at_the_bound_is_not_made(adapter: Adapter) -> None:
    """With `max_tokens` reached the arguments may be half of what was meant."""
    cut = msgspec.structs.replace(calling(KATA, text="I look."), stop="length")
    reply = answer(adapter, cut)
    assert (reply.text, reply.stop, reply.calls) == ("I look.", "length", ())
    assert failure(ask(adapter, msgspec.structs.replace(cut, text=""))).failure.code == "invalid_output"


@EVERY
def test_as_many_calls_as_allowed_and_no_more(adapter: Adapter) -> None:
    """The bound holds while the answer comes."""
    calls = [Call(id=f"c{number}", name="lookup") for number in range(MAX_CALLS + 1)]
    assert len(answer(adapter, calling(*calls[1:])).calls) == MAX_CALLS
    last = failure(ask(adapter, calling(*calls)))
    assert (last.failure.code, "128 tool calls" in last.failure.message) == ("invalid_output", True)


@EVERY
def test_a_call_that_names_no_tool_is_a_failure(adapter: Adapter) -> None:
    """Nobody could make it, and no vendor would take it back."""
    assert failure(ask(adapter, calling(Call(name=" ")))).failure.code == "invalid_output"


@EVERY
def test_ids_are_new_in_the_conversation(adapter: Adapter) -> None:
    """A call without an id, or with one that was there before, gets one of its own."""
    turn = Message("assistant", "", calls=(ToolCall(id="toolu_1", name="lookup", arguments="{}"),))
    earlier = (QUESTION, turn, Message("tool", "a form", call_id="toolu_1"))
    request = asking(messages=(*earlier, QUESTION), tools=(LOOKUP,))
    calls = answer(adapter, calling(KATA, Call(id="", name="now"), Call(id="x", name="now")), request).calls
    assert len({"toolu_1", *(call.id for call in calls)}) == 4
    assert calls[2].id == "x"
