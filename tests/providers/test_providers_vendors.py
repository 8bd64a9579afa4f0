"""What is particular to one vendor: model facts, paging, strict schemas."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kata_cli.core.messages import ModelInfo
from kata_cli.providers.clients import is_loopback
from kata_cli.providers.listing import MAX_PAGES
from kata_cli.providers.openai_request import is_strict, json_schema
from servers.adapters import ADAPTERS, Adapter, asking, converse, finish
from servers.vendor import Models, Seen, Status, VendorServer

ANTHROPIC, RESPONSES, CHAT = ADAPTERS
YES, NO = {"supported": True}, {"supported": False}


def models(adapter: Adapter, server: VendorServer) -> list[ModelInfo]:
    """The model list of one server."""

    async def main() -> list[ModelInfo]:
        provider = adapter.connect(server.base_url)
        try:
            return await provider.models()
        finally:
            await provider.aclose()

    return asyncio.run(main())


def test_anthropic_tells_what_a_model_can_do() -> None:
    """Name, date, sizes and levels of thinking are taken over; an unknown date stays unknown."""
    rows: list[dict[str, Any]] = [
        {
            "id": "big-1",
            "display_name": "Big One",
            "created_at": "2026-02-19T00:00:00Z",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
            "capabilities": {
                "thinking": {"supported": True, "types": {"adaptive": YES, "disabled": NO}},
                "effort": {
                    "supported": True,
                    "low": YES,
                    "medium": YES,
                    "high": YES,
                    "xhigh": None,
                    "max": NO,
                },
            },
        },
        {"id": "small-1", "created_at": "1970-01-01T00:00:00Z", "capabilities": {}},
        {"id": "plain-1"},
    ]
    with VendorServer([Models(rows=rows)]) as server:
        found = models(ANTHROPIC, server)
    assert found == [
        ModelInfo(
            provider="vendor",
            id="big-1",
            name="Big One",
            created="2026-02-19",
            context_window=200_000,
            max_output_tokens=64_000,
            thinking=["low", "medium", "high"],
        ),
        ModelInfo(provider="vendor", id="small-1", thinking=["off"]),
        ModelInfo(provider="vendor", id="plain-1"),
    ]


@pytest.mark.parametrize(
    ("created", "day"),
    [(1_771_459_200, "2026-02-19"), (1_771_459_200.5, "2026-02-19"), (None, None), (0, None), (1e18, None)],
)
def test_openai_tells_the_date(created: float | None, day: str | None) -> None:
    """All that OpenAI says of a model is its id and when it was made, where that can be a date."""
    with VendorServer([Models(rows=[{"id": "m", "created": created, "owned_by": "x"}])]) as server:
        assert models(CHAT, server) == [ModelInfo(provider="vendor", id="m", created=day)]


def test_pages_are_followed() -> None:
    """All pages of a list are read, in order (MO-10)."""
    rows = [{"id": f"model-{number}"} for number in range(7)]
    with VendorServer([Models(rows=rows, page_size=3)]) as server:
        assert [model.id for model in models(ANTHROPIC, server)] == [row["id"] for row in rows]
        assert [seen.query.get("after_id") for seen in server.requests] == [None, "model-2", "model-5"]


@pytest.mark.parametrize("is_moving", [True, False])
def test_endless_pages_end(is_moving: bool) -> None:
    """A list without end, or one that repeats itself, is read to a limit."""

    def script(seen: Seen) -> Status:
        number = int(seen.query.get("after_id", "0")) + is_moving
        return Status(
            status=200, body={"data": [{"id": str(number)}], "has_more": True, "last_id": str(number)}
        )

    with VendorServer(script) as server:
        models(ANTHROPIC, server)
        assert len(server.requests) == (MAX_PAGES if is_moving else 2)


STRICT = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "is_exact"),
    [
        (STRICT, True),
        ({"type": "string"}, True),
        ({**STRICT, "required": []}, False),
        ({**STRICT, "additionalProperties": True}, False),
        ({"type": "object"}, False),
        ({"type": "array", "items": {**STRICT, "required": []}}, False),
        ({"anyOf": [STRICT, {"type": "object", "properties": {}}]}, False),
    ],
)
def test_strict_mode_is_asked_only_where_the_schema_allows_it(schema: dict[str, Any], is_exact: bool) -> None:
    """A schema with optional or open parts is sent as a wish, for strict mode would refuse it."""
    assert is_strict(schema) is is_exact
    assert json_schema("spec draft/v1", schema)["strict"] is is_exact


def test_a_schema_name_fits_the_api() -> None:
    """Other characters become underscores, at most 64, and an empty name gets one."""
    assert json_schema("spec draft/v1", {})["name"] == "spec_draft_v1"
    assert json_schema("x" * 80, {})["name"] == "x" * 64
    assert json_schema("", {})["name"] == "answer"


@pytest.mark.parametrize(
    ("temperature", "adapter", "is_sent"),
    [(1.0, ANTHROPIC, True), (1.5, ANTHROPIC, False), (2.0, RESPONSES, True), (2.0, CHAT, True)],
)
def test_each_vendor_has_its_own_range(temperature: float, adapter: Adapter, is_sent: bool) -> None:
    """Anthropic takes 0 to 1, OpenAI 0 to 2 (EX-04)."""
    with VendorServer() as server:
        converse(adapter.connect(server.base_url), asking(temperature=temperature))
        assert (len(server.requests) == 1) is is_sent


def test_openai_keeps_nothing() -> None:
    """The Responses API is told not to store what is sent."""
    with VendorServer() as server:
        finish(converse(RESPONSES.connect(server.base_url)))
    assert server.requests[0].body["store"] is False


def test_several_blocks_are_lines() -> None:
    """Text blocks of one answer are joined by a line feed, in the deltas as in the reply (EX-06)."""
    frames = (
        '{"type":"content_block_start","content_block":{"type":"text","text":"a"}}',
        '{"type":"content_block_start","content_block":{"type":"text","text":""}}',
        '{"type":"content_block_delta","delta":{"type":"text_delta","text":"b"}}',
        '{"type":"message_stop"}',
    )
    stream = "".join(f"data: {frame}\n\n" for frame in frames)
    with VendorServer([Status(status=200, text=stream, content_type="text/event-stream")]) as server:
        assert finish(converse(ANTHROPIC.connect(server.base_url))).reply.text == "a\nb"


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("http://model.localhost", True),
        ("https://api.example", False),
        ("http://127.0.0.1.example", False),
        ("http://localhost@evil.example", False),
        ("nonsense", False),
    ],
)
def test_what_counts_as_this_machine(url: str, is_local: bool) -> None:
    """Only addresses that cannot leave the machine are loopback."""
    assert is_loopback(url) is is_local
