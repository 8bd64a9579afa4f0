"""What every adapter promises: deltas, then exactly one end, and nothing left behind."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing

import msgspec
import pytest

from kata_cli.core.errors import KataError
from kata_cli.core.events import ContentDelta, ReplyFinished
from kata_cli.core.messages import Message, ModelInfo, Usage
from kata_cli.core.ports import Credential, Timeouts
from servers import wire
from servers.adapters import (
    ADAPTERS,
    LOCAL_ADAPTERS,
    Adapter,
    asking,
    converse,
    end,
    failure,
    finish,
    listen,
    text_of,
)
from servers.vendor import Models, Reply, Seen, Status, VendorServer, asked_schema

EVERY = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
ANY = pytest.mark.parametrize("adapter", [*ADAPTERS, *LOCAL_ADAPTERS], ids=lambda adapter: adapter.name)
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "tasks": {"type": "array", "items": {"type": "integer"}}},
    "required": ["title", "tasks"],
    "additionalProperties": False,
}


@ANY
def test_a_stream_ends_once_with_what_it_showed(adapter: Adapter) -> None:
    """The last event is the reply, no other is, and its text is that of the deltas."""
    with VendorServer() as server:
        reply = finish(converse(adapter.connect(server.base_url))).reply
    assert reply.text.strip()
    assert reply.model


@ANY
def test_streams_at_once_are_apart(adapter: Adapter) -> None:
    """Each of several streams of one provider carries its own task, and ends on its own."""

    async def main() -> None:
        provider = adapter.connect(server.base_url)
        names = ["a", "b", "c"]
        streams = await asyncio.gather(*(listen(provider, asking(task=name)) for name in names))
        await provider.aclose()
        for name, events in zip(names, streams, strict=True):
            finish(events)
            assert {event.task for event in events if isinstance(event, ContentDelta)} == {name}

    with VendorServer() as server:
        asyncio.run(main())


@ANY
def test_an_iterator_closed_early_leaves_no_task(adapter: Adapter) -> None:
    """A consumer may stop after the first delta."""

    async def main() -> None:
        provider = adapter.connect(server.base_url)
        async with aclosing(provider.stream(asking())) as events:  # type: ignore[type-var]
            assert isinstance(await anext(events), ContentDelta)
        await provider.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with VendorServer() as server:
        asyncio.run(main())


@ANY
def test_models_name_their_provider(adapter: Adapter) -> None:
    """Every model of the list can be addressed."""

    async def main() -> list[ModelInfo]:
        provider = adapter.connect(server.base_url)
        try:
            return await provider.models()
        finally:
            await provider.aclose()

    with VendorServer() as server:
        models = asyncio.run(main())
    assert models
    assert all(model.id.strip() and model.provider for model in models)


@EVERY
def test_a_whole_answer(adapter: Adapter) -> None:
    """Deltas come in order, thinking apart; the reply says who answered, its cost and its id."""
    with VendorServer([Reply(text="Hello, world: ünï🙂.", thinking="Hm. ")]) as server:
        events = converse(adapter.connect(server.base_url))
    reply = finish(events).reply
    assert reply.text == "Hello, world: ünï🙂."
    assert text_of(events, "thinking") == "Hm. "
    assert (reply.model, reply.stop, reply.request_id) == ("served-1", "stop", "req_1")
    assert reply.usage == Usage(input=7, output=5, cache_read=2, cache_write=1, reasoning=3)


@EVERY
def test_f42_a_cut_at_any_byte_is_never_a_success(adapter: Adapter) -> None:
    """Only the whole stream is an answer; each shorter one fails and keeps the text that came (R5)."""
    recorded = Reply(text="pé🙂", usage=None)
    whole = b"".join(wire.events(api_of(adapter), recorded))
    cuts = itertools.count()

    def script(_: Seen) -> Reply:
        return Reply(text=recorded.text, usage=None, cut_at=next(cuts))

    async def main() -> list[list[object]]:
        provider = adapter.connect(server.base_url)
        try:
            return [list(await listen(provider)) for _ in range(len(whole) + 1)]
        finally:
            await provider.aclose()

    with VendorServer(script) as server:
        answers = asyncio.run(main())
    ends = [end(events) for events in answers]  # type: ignore[arg-type]
    assert [isinstance(last, ReplyFinished) for last in ends] == [False] * len(whole) + [True]
    codes = {last.failure.code for last in ends[:-1]}  # type: ignore[attr-defined]
    assert codes == {"provider_unavailable"}


def stalling(adapter: Adapter) -> Reply:
    """An answer that says a word and then nothing more."""
    begun = Reply(text="begun")
    return msgspec.structs.replace(begun, cut_at=wire.bytes_until(api_of(adapter), begun), is_stalled=True)


def api_of(adapter: Adapter) -> wire.Api:
    return adapter.api  # type: ignore[return-value]


@EVERY
def test_a_character_split_over_reads_stays_whole(adapter: Adapter) -> None:
    """An answer that dribbles in byte by byte is the same text."""
    with VendorServer([Reply(text="née 🙂 \u2028 漢", usage=None, piece_bytes=1)]) as server:
        events = converse(adapter.connect(server.base_url))
    assert finish(events).reply.text == "née 🙂 \u2028 漢"


@EVERY
def test_f41_text_comes_before_the_failure_of_the_same_read(adapter: Adapter) -> None:
    """An error behind text in one packet does not swallow the text."""
    error = {"type": "overloaded_error", "message": "Overloaded", "code": "server_error"}
    with VendorServer([Reply(text="half an", error=error)]) as server:
        events = converse(adapter.connect(server.base_url))
    last = failure(events)
    assert (last.seen, last.failure.code) == ("half an", "provider_unavailable")
    assert "Overloaded" in last.failure.message


@EVERY
def test_cancellation_leaves_nothing(adapter: Adapter) -> None:
    """A task that is cancelled while it waits for more ends without a last event, task or connection."""

    async def main() -> None:
        provider = adapter.connect(server.base_url)
        got_text = asyncio.Event()

        async def consume() -> None:
            async with aclosing(provider.stream(asking())) as events:  # type: ignore[type-var]
                async for event in events:
                    assert isinstance(event, ContentDelta)
                    got_text.set()

        task = asyncio.create_task(consume())
        await got_text.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await asyncio.to_thread(server.is_left_alone)
        await provider.aclose()

    with VendorServer([stalling(adapter)]) as server:
        asyncio.run(main())


@EVERY
def test_closing_early_leaves_nothing(adapter: Adapter) -> None:
    """A consumer that has seen enough closes the iterator, and the connection with it."""

    async def main() -> None:
        provider = adapter.connect(server.base_url)
        async with aclosing(provider.stream(asking())) as events:  # type: ignore[type-var]
            assert isinstance(await anext(events), ContentDelta)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await asyncio.to_thread(server.is_left_alone)
        await provider.aclose()

    with VendorServer([stalling(adapter)]) as server:
        asyncio.run(main())


@EVERY
@pytest.mark.parametrize("end_after_s", [0.0, 0.01])
def test_a_connection_is_used_again(adapter: Adapter, end_after_s: float) -> None:
    """Three answers in a row come over one connection, also where the end of the body comes by itself."""

    async def main() -> None:
        provider = adapter.connect(server.base_url)
        for _ in range(3):
            finish(await listen(provider))
        await provider.aclose()

    with VendorServer([Reply(end_after_s=end_after_s)]) as server:
        asyncio.run(main())
        assert (len(server.requests), server.accepted) == (3, 1)


@EVERY
def test_an_answer_that_is_not_read_holds_no_connection(adapter: Adapter) -> None:
    """A response of the wrong type is closed at once, not when the provider is."""

    async def main() -> None:
        provider = adapter.connect(server.base_url)
        failure(await listen(provider))
        assert await asyncio.to_thread(server.is_left_alone)
        await provider.aclose()

    with VendorServer([Reply(content_type="text/html", cut_at=50, is_stalled=True)]) as server:
        asyncio.run(main())


@EVERY
def test_many_at_once(adapter: Adapter) -> None:
    """More requests at once than one client takes all get their own answer."""

    def script(seen: Seen) -> Reply:
        asked = seen.body.get("messages") or seen.body.get("input")
        return Reply(text=asked[-1]["content"], usage=None)

    async def main() -> list[str]:
        provider = adapter.connect(server.base_url)
        requests = [asking(messages=(Message("user", f"number {number}"),)) for number in range(120)]
        answers = await asyncio.gather(*(listen(provider, request) for request in requests))
        await provider.aclose()
        return [finish(events).reply.text for events in answers]

    with VendorServer(script) as server:
        assert asyncio.run(main()) == [f"number {number}" for number in range(120)]


@EVERY
def test_what_is_sent(adapter: Adapter) -> None:
    """Model, conversation, bound, temperature and schema reach the vendor; a blank system prompt does not."""
    talk = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    request = asking(
        system="  ", messages=talk, max_tokens=500, temperature=0.5, schema=SCHEMA, schema_name="a draft"
    )
    with VendorServer([Reply(is_example=True)]) as server:
        events = converse(adapter.connect(server.base_url), request)
    seen = server.requests[0]
    assert finish(events).reply.text == '{"title": "text", "tasks": [1]}'
    assert asked_schema(seen) == SCHEMA
    assert (seen.body["model"], seen.body["temperature"], seen.body["stream"]) == ("asked-1", 0.5, True)
    sent = seen.body.get("messages") or seen.body["input"]
    assert [(turn["role"], turn["content"]) for turn in sent] == [(turn.role, turn.text) for turn in talk]
    assert not {"system", "instructions"} & set(seen.body)
    assert 500 in seen.body.values()


@EVERY
@pytest.mark.parametrize("level", [None, "off", "minimal", "high"])
def test_ex_26_the_reply_says_which_level_was_asked_for(adapter: Adapter, level: str | None) -> None:
    """The level that the vendor was told, which for Anthropic's least is `low`; nothing by default."""
    with VendorServer() as server:
        reply = finish(converse(adapter.connect(server.base_url), asking(thinking=level))).reply
    told = {("anthropic", "minimal"): "low"}.get((adapter.kind, level or ""), level)
    assert reply.thinking == (told or "")


@EVERY
@pytest.mark.parametrize("level", ["off", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_thinking_has_its_own_tokens(adapter: Adapter, level: str) -> None:
    """`max_tokens` bounds the answer alone: what a level may think comes on top of it."""
    with VendorServer() as server:
        finish(converse(adapter.connect(server.base_url), asking(thinking=level, max_tokens=1_000)))
    body = server.requests[0].body
    bound = next(body[name] for name in body if name.startswith("max_"))
    assert (bound > 1_000) is (level != "off")
    words = str([body.get(name) for name in ("thinking", "output_config", "reasoning", "reasoning_effort")])
    expected = {"off": "disabled" if adapter.kind == "anthropic" else "none"}.get(level, level)
    assert (expected in words) or (adapter.kind, level) == ("anthropic", "minimal")


@EVERY
@pytest.mark.parametrize("character", [chr(number) for number in range(32)] + ["\x7f", "\x85", "é"])
def test_f86_a_key_no_header_can_carry_is_refused_before_any_io(adapter: Adapter, character: str) -> None:
    """Control characters in a key (S6) end the request before a connection is opened."""
    bad = Credential(secret=f"key{character}x")
    with VendorServer() as server:
        last = failure(converse(adapter.connect(server.base_url, credential=bad)))
        assert server.accepted == 0
    assert last.failure.code == "invalid_auth"
    assert "key" in last.failure.message
    assert bad.secret not in last.failure.message


@EVERY
@pytest.mark.parametrize("temperature", [-0.1, 2.1, float("nan"), float("inf")])
def test_a_temperature_out_of_range_is_refused_before_any_io(adapter: Adapter, temperature: float) -> None:
    """Each vendor's range is known, so no request is spent on finding out."""
    with VendorServer() as server:
        last = failure(converse(adapter.connect(server.base_url), asking(temperature=temperature)))
        assert server.accepted == 0
    assert last.failure.code == "invalid_request"


@EVERY
def test_no_variable_of_an_sdk_reaches_the_wire(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, headers, account ids and addresses that an SDK would take from the environment are not used."""
    for vendor in ("ANTHROPIC", "OPENAI"):
        for name in ("API_KEY", "AUTH_TOKEN", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "PROFILE"):
            monkeypatch.setenv(f"{vendor}_{name}", "canary-from-env")
        monkeypatch.setenv(
            f"{vendor}_CUSTOM_HEADERS", "x-canary: canary-from-env\nAuthorization: canary-from-env"
        )
        monkeypatch.setenv(f"{vendor}_BASE_URL", "http://127.0.0.1:9")
    with VendorServer() as server:
        finish(converse(adapter.connect(server.base_url)))
        finish(converse(adapter.connect(server.base_url, credential=Credential(kind="none"))))
    with_key, without = server.requests
    assert "canary" not in str(with_key.headers) + str(without.headers)
    assert "key-for-tests" in str(with_key.headers)
    assert not {"authorization", "x-api-key"} & set(without.headers)


@EVERY
def test_a_proxy_is_not_asked_for_loopback(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment never sees what is meant for this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with VendorServer() as server:
        finish(converse(adapter.connect(server.base_url)))


@EVERY
def test_models_are_the_vendors_own(adapter: Adapter) -> None:
    """The list keeps the vendor's order, without blank ids and doubles."""
    rows = [{"id": "b"}, {"id": " "}, {"id": "a"}, {"id": "b"}]

    async def main() -> list[str]:
        provider = adapter.connect(server.base_url)
        models = await provider.models()
        await provider.aclose()
        return [model.id for model in models]

    with VendorServer([Models(rows=rows)]) as server:
        assert asyncio.run(main()) == ["b", "a"]


@EVERY
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Status(status=401, error_type="authentication_error"), "invalid_auth"),
        (Status(status=503, text="<html>"), "provider_unavailable"),
        (Status(status=200, body={"models": []}), "provider_unavailable"),
        (Status(status=200, text="<html>"), "provider_unavailable"),
        (Status(status=200, body={"data": [{"id": 5}]}), "provider_unavailable"),
    ],
)
def test_a_model_list_that_cannot_be_had(adapter: Adapter, answer: Status, code: str) -> None:
    """A refusal and a malformed list are errors with a code, never an empty list."""

    async def main() -> None:
        provider = adapter.connect(server.base_url)
        try:
            await provider.models()
        finally:
            await provider.aclose()

    with VendorServer([answer]) as server, pytest.raises(KataError) as caught:
        asyncio.run(main())
    assert caught.value.failure.code == code


@EVERY
def test_the_shorter_limit_of_task_and_settings_holds(adapter: Adapter) -> None:
    """A request's own time limit ends a stream that is neither idle nor whole."""
    with VendorServer([Reply(cut_at=200, is_stalled=True)]) as server:
        provider = adapter.connect(server.base_url, Timeouts(idle_s=60, request_s=60))
        last = failure(converse(provider, asking(timeout_s=0.15)))
    assert (last.failure.code, "0.15 s (request)" in last.failure.message) == ("timeout", True)
