"""The client of a service: who gets the token, what is told of refusals, and the events of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
import pytest

from kata_cli.core.errors import Failure, KataError
from kata_cli.providers.service_client import Sent, ServiceClient
from servers.agent_service import AgentService, Turn, refusal
from servers.behaviours import Behaviour, Raw, Seen, Status, redirect
from servers.vendor import VendorServer

T = TypeVar("T")

TOKEN = "t" * 43


class Answer(msgspec.Struct):
    """Any document."""

    status: str = ""


class Delta(msgspec.Struct):
    """An event that is wanted."""

    text: str


def using(script: Callable[[Seen], Behaviour], use: Callable[[ServiceClient], Awaitable[T]]) -> T:
    """What `use` makes of a client of a scripted service."""

    async def used() -> T:
        async with aclosing(ServiceClient(server.base_url, TOKEN, token_file="/x/token")) as client:
            return await use(client)

    with VendorServer(script) as server:
        return asyncio.run(used())


def refused(answer: Behaviour) -> Failure:
    """What is told when the service answers so."""
    with pytest.raises(KataError) as caught:
        using(lambda seen: answer, lambda client: client.get("/api/sessions", Answer))
    return caught.value.failure


async def streamed(
    client: ServiceClient, asked: object | None = None, after: str | None = None
) -> list[Sent[Delta]]:
    """The deltas of a stream."""
    path = "/api/sessions/s-1/stream"
    async with aclosing(client.stream(path, {"delta": Delta}, asked=asked, after=after)) as events:
        return [sent async for sent in events]


def test_the_token_goes_to_the_api_alone() -> None:
    """Open paths are asked without it; a document goes out as JSON."""
    seen: list[Seen] = []

    def script(request: Seen) -> Behaviour:
        seen.append(request)
        return Status(status=200, body={"status": "ok", "later": 1})

    async def asked(client: ServiceClient) -> list[Answer]:
        return [
            await client.get("/healthz", Answer),
            await client.post("/api/sessions/create", Answer(status="x"), Answer),
        ]

    assert [answer.status for answer in using(script, asked)] == ["ok", "ok"]
    health, create = seen
    assert "authorization" not in health.headers
    assert create.headers["authorization"] == f"Bearer {TOKEN}"
    assert (create.headers["content-type"], create.body) == ("application/json", {"status": "x"})


def test_the_words_of_a_refusal_are_kept() -> None:
    """Code, message, remediation, status and Retry-After are those of the service."""
    failed = refused(refusal(429, "limit_reached", "8 sessions are live", {"retry-after": "30"}))
    told = (failed.code, failed.message, failed.hint, failed.status, failed.retry_after_s)
    assert told == ("limit_reached", "8 sessions are live", "a way on", 429, 30.0)


def test_f90_a_refused_token_is_told_with_the_file_it_came_from() -> None:
    """The way on names the flag and the file, never the token."""
    failed = refused(refusal(401, "invalid_auth", "this token is not the one"))
    assert failed.code == "invalid_auth"
    assert "--token-file" in failed.hint
    assert "/x/token" in failed.hint
    assert TOKEN not in failed.message + failed.hint


def test_f38_a_redirect_is_not_followed() -> None:
    """Nobody named in it ever sees the token."""
    with VendorServer() as other:
        failed = refused(redirect(f"{other.base_url}/api/sessions"))
        assert other.requests == []
    assert failed.code == "invalid_request"
    assert failed.status == 307


@pytest.mark.parametrize(
    "answer",
    [
        Status(status=502, text="<html>", content_type="text/html"),
        Status(status=200, text="no JSON"),
        Status(status=200, body=["no document"]),
        Status(status=404, text="not found"),
    ],
)
def test_f36_what_is_no_service_is_told_as_such(answer: Behaviour) -> None:
    """The hint asks whether the address is right, and names it."""
    assert "the address of a kata serve?" in refused(answer).hint


def test_f20_a_service_that_does_not_run_is_told_with_how_to_start_it() -> None:
    """The command names the port that was asked."""
    with VendorServer() as server:
        url = server.base_url
    with pytest.raises(KataError) as caught:
        asyncio.run(ServiceClient(url, TOKEN).get("/api/sessions", Answer))
    port = url.rpartition(":")[2]
    assert caught.value.failure.code == "provider_unavailable"
    assert f"kata serve --port {port}" in caught.value.failure.hint


def test_no_proxy_stands_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for everything would see the token."""
    with VendorServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        found = using(
            lambda seen: Status(status=200, body={"status": "ok"}),
            lambda client: client.get("/healthz", Answer),
        )
        assert proxy.requests == []
    assert found.status == "ok"


def test_a_stream_gives_the_events_that_are_wanted_with_their_ids() -> None:
    """Types that are not wanted, or not known yet, are passed over."""
    events: list[dict[str, Any]] = [
        {"type": "delta", "text": "a"},
        {"type": "of_a_later_version", "text": 1},
        {"type": "delta", "text": "b"},
    ]
    agents = AgentService([Turn(events=events)], token=TOKEN)
    found = using(agents, lambda client: streamed(client, {"message": "hi"}))
    assert found == [Sent("e1.3", Delta("a")), Sent("e1.5", Delta("b"))]
    assert agents.messages == ["hi"]


def test_f94_a_stream_goes_on_behind_an_event_that_was_seen() -> None:
    """The id goes out as `Last-Event-ID`; without anything asked it is a GET."""
    agents = AgentService([Turn(events=[{"type": "delta", "text": text} for text in "abc"])], token=TOKEN)
    found = using(agents, lambda client: streamed(client, after="e1.3"))
    assert [sent.event.text for sent in found] == ["b", "c"]
    assert agents.seen[0].method == "GET"


def test_f24_a_stream_that_breaks_is_told_after_its_events() -> None:
    """What came counts, then the failure."""
    agents = AgentService([Turn(events=[{"type": "delta", "text": "a"}], cut_after=3)], token=TOKEN)
    found: list[Sent[Delta]] = []

    async def read(client: ServiceClient) -> None:
        path = "/api/sessions/s-1/stream"
        async with aclosing(client.stream(path, {"delta": Delta}, asked={"message": "hi"})) as events:
            async for sent in events:
                found.append(sent)  # noqa: PERF401 - what came before the failure

    with pytest.raises(KataError) as caught:
        using(agents, read)
    assert [sent.event.text for sent in found] == ["a"]
    assert caught.value.failure.code == "provider_unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        Status(status=200, body={}),
        Raw(data="HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: no JSON\n\n"),
        Raw(data="HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}\n\n"),
        Raw(data="no HTTP at all\r\n\r\n"),
    ],
)
def test_f39_what_is_no_stream_of_events_is_no_answer(answer: Behaviour) -> None:
    """A failure of the service, not a bug of the client."""
    with pytest.raises(KataError) as caught:
        using(lambda seen: answer, streamed)
    assert caught.value.failure.code == "provider_unavailable"
