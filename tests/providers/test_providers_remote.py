"""Pi behind a service: what a run makes of what a service says, and of what it does not say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import msgspec
import pytest

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import ContentDelta, Event, ReplyFinished, ToolFinished, ToolStarted
from kata_cli.core.messages import Message, ModelRef, Request, Usage
from kata_cli.core.ports import Timeouts
from kata_cli.providers import service_client
from kata_cli.providers.remote import RemotePi
from kata_cli.providers.service_client import ServiceClient
from servers.adapters import failure, finish, listen, text_of
from servers.agent_service import TOKEN, AgentService, Turn, refusal
from servers.vendor import Status, VendorServer

T = TypeVar("T")

REQUEST = Request(
    task="look",
    model=ModelRef("anthropic", "asked-1"),
    system="You are brief.",
    messages=(Message("user", "Say hello."),),
    thinking="high",
)
RUNNING = {"type": "tool", "state": "started", "call_id": "c1", "tool": "read", "input": "{}"}
DONE = {"type": "tool", "state": "finished", "call_id": "c1", "tool": "read", "is_error": True}


def delta(text: str, kind: str = "text") -> dict[str, object]:
    return {"type": "delta", "text": text, "kind": kind}


def remote(url: str, token: str = TOKEN, timeouts: Timeouts | None = None) -> RemotePi:
    timeouts = timeouts or Timeouts()
    return RemotePi(ServiceClient(url, token, timeouts, token_file="/x/token"), timeouts)


def ask(
    agents: AgentService, request: Request = REQUEST, token: str = TOKEN, timeouts: Timeouts | None = None
) -> list[Event]:
    """All events of one request to a scripted service."""

    async def asked() -> list[Event]:
        async with aclosing(remote(server.base_url, token, timeouts)) as provider:
            return await listen(provider, request)

    with VendorServer(agents) as server:
        return asyncio.run(asked())


def refused(events: list[Event]) -> Failure:
    """Why the request failed, which is the last event."""
    return failure(events).failure


def with_service(agents: AgentService, use: Callable[[RemotePi], Awaitable[T]]) -> T:
    """What `use` makes of a provider over a scripted service."""

    async def used() -> T:
        async with aclosing(remote(server.base_url)) as provider:
            return await use(provider)

    with VendorServer(agents) as server:
        return asyncio.run(used())


def test_a_request_is_one_session_with_one_message() -> None:
    """Create, stream, stop: with the model, the level of thinking and all that is asked, as Pi takes it."""
    agents = AgentService()
    reply = finish(ask(agents)).reply
    (created,) = agents.sessions
    assert (created["model"], created["thinking"]) == ("anthropic/asked-1", "high")
    assert agents.messages == ["You are brief.\n\nSay hello."]
    assert agents.stopped == ["s-1"]
    assert (reply.text, reply.model, reply.thinking) == ("Hello from the service.", "served-1", "high")
    assert reply.usage == Usage(input=7, output=5)


def test_thinking_and_tools_are_shown_as_they_come_and_text_at_the_end() -> None:
    """What was said before a tool was called is thinking aloud, as it is with Pi here."""
    turn = Turn(events=[delta("Hm. ", "thinking"), delta("I look."), RUNNING, DONE, delta("Hello")])
    events = ask(AgentService([turn]))
    assert [(event.kind, event.text) for event in events if isinstance(event, ContentDelta)] == [
        ("thinking", "Hm. "),
        ("thinking", "I look."),
        ("text", "Hello from the service."),
    ]
    assert [type(event) for event in events[2:4]] == [ToolStarted, ToolFinished]


def test_text_of_an_attempt_that_is_made_again_does_not_count() -> None:
    """After `retry` the text starts anew."""
    retry = {"type": "retry", "error": {}, "delay_s": 0.5}
    error = {"code": "provider_unavailable", "message": "overloaded", "remediation": "wait"}
    events = ask(AgentService([Turn(events=[delta("Hel"), retry, delta("Good ")], error=error)]))
    assert text_of(events) == "Good "
    assert refused(events).should_retry is False


@pytest.mark.parametrize("cut_after", range(1, 6))
def test_f94_a_stream_that_breaks_is_gone_on_with_after_the_last_event(cut_after: int) -> None:
    """Each event is taken in exactly once, wherever the connection was cut."""
    turn = Turn(events=[delta("one ", "thinking"), delta("two ", "thinking"), RUNNING], cut_after=cut_after)
    agents = AgentService([turn])
    events = ask(agents)
    assert [event.text for event in events if isinstance(event, ContentDelta)][:-1] == ["one ", "two "]
    assert sum(isinstance(event, ToolStarted) for event in events) == 1
    assert isinstance(events[-1], ReplyFinished)
    assert events[-1].reply.text == turn.text
    assert len(agents.messages) == 1


def test_f24_a_service_that_is_gone_in_mid_stream_is_unavailable() -> None:
    """One reconnect, then the failure with what had come of the text; the session is stopped all the same."""
    agents = AgentService([Turn(events=[delta("Hel")], cut_after=3, replay=503)])
    events = ask(agents)
    failed = refused(events)
    assert (failed.code, failed.status) == ("provider_unavailable", 503)
    assert text_of(events) == "Hel"
    assert agents.stopped == ["s-1"]


@pytest.mark.parametrize("kind", ["bye", "reset"])
def test_a_stream_that_says_goodbye_is_an_answer_cut_short(kind: str) -> None:
    """`bye` and `reset` are met with one reconnect, and then end the attempt with the service's reason."""
    said = {"type": kind, "reason": "the service stops"}
    failed = refused(ask(AgentService([Turn(events=[said, said])])))
    assert failed.code == "provider_unavailable"
    assert "the service stops" in failed.message


ERRORS: list[tuple[Status, str, int | None]] = [
    (refusal(401, "invalid_auth", "no"), "invalid_auth", 401),
    (refusal(404, "usage", "there is no session"), "provider_unavailable", None),
    (refusal(409, "busy", "at work"), "provider_unavailable", None),
    (refusal(413, "usage", "too big"), "context_too_long", 413),
    (refusal(400, "usage", "unknown field"), "invalid_request", 400),
    (refusal(400, "model_not_found", "no such model"), "model_not_found", 400),
    (refusal(503, "missing_auth", "ANTHROPIC_API_KEY is not set"), "missing_auth", 503),
    (refusal(418, "a_later_code", "short and stout"), "invalid_request", 418),
    (refusal(500, "unexpected_error", "a bug"), "provider_unavailable", 500),
    (Status(status=502, text="<html>"), "provider_unavailable", 502),
]


@pytest.mark.parametrize(("answer", "code", "status"), ERRORS)
def test_a_refusal_is_told_as_the_failure_of_the_request(
    answer: Status, code: str, status: int | None
) -> None:
    """The code fits a run, the model is named, and no refusal is repeated that cannot pass."""
    failed = refused(ask(AgentService(create=[answer])))
    assert (failed.code, failed.status) == (code, status)
    assert (failed.provider, failed.model) == ("anthropic", "anthropic/asked-1")


def test_f25_a_full_service_tells_when_to_come_back() -> None:
    """429 is a rate limit with the wish of the service, though there it is a limit that was reached."""
    full = refusal(429, "limit_reached", "8 sessions are live", {"retry-after": "7"})
    failed = refused(ask(AgentService(create=[full])))
    assert (failed.code, failed.retry_after_s, failed.should_retry) == ("rate_limited", 7.0, None)


def test_an_error_of_the_agent_keeps_its_code_and_its_way_on() -> None:
    """What the provider behind the service said is what the run says."""
    error = {"code": "content_policy", "message": "declined", "remediation": "reword it", "request_id": "r1"}
    failed = refused(ask(AgentService([Turn(error=error)])))
    told = (failed.code, failed.message, failed.hint, failed.request_id)
    assert told == ("content_policy", "declined", "reword it", "r1")


@pytest.mark.parametrize("code", ["interrupted", "deadline", "config", "a_later_code"])
def test_what_befell_the_service_is_no_end_of_the_run(code: str) -> None:
    """An agent that somebody aborted there is gone; nobody stopped this run."""
    assert refused(ask(AgentService([Turn(error={"code": code, "message": "it ended"})]))).code == (
        "provider_unavailable"
    )


def test_an_answer_without_text_is_none() -> None:
    """Success is non-empty text."""
    assert refused(ask(AgentService([Turn(text=" ")]))).code == "invalid_output"


def test_a_temperature_is_refused_before_anything_is_sent() -> None:
    """As with Pi here."""
    agents = AgentService()
    failed = refused(ask(agents, msgspec.structs.replace(REQUEST, temperature=1.0)))
    assert failed.code == "invalid_request"
    assert agents.sessions == []


def test_f43_a_silent_service_is_given_up_after_the_idle_time() -> None:
    """Keep-alive comments are no sign that the answer goes on."""
    agents = AgentService([Turn(cut_after=2, is_stalled=True)])
    assert refused(ask(agents, timeouts=Timeouts(idle_s=0.05))).code == "timeout"
    assert agents.stopped == ["s-1"]


def test_pi_38_a_connection_without_a_heartbeat_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """PI-38: the service sends comments; without them the line is dead, and the stream goes on on another."""
    monkeypatch.setattr(service_client, "SILENCE_S", 0.05)
    agents = AgentService([Turn(cut_after=2, is_stalled=True)])
    assert finish(ask(agents)).reply.text == "Hello from the service."
    assert len(agents.messages) == 1


def test_a_stream_that_is_closed_early_stops_its_session() -> None:
    """The agent does not work on for nobody, and no task is left."""
    agents = AgentService([Turn(events=[delta("Hm.", "thinking")], cut_after=3, is_stalled=True)])

    async def leave(provider: RemotePi) -> int:
        async with aclosing(provider.stream(REQUEST)) as events:
            assert isinstance(await anext(events), ContentDelta)
        return len(asyncio.all_tasks())

    assert with_service(agents, leave) == 1
    assert agents.stopped == ["s-1"]


def test_a_cancelled_request_stops_its_session() -> None:
    """Also when it is cancelled while it waits for more of the answer."""
    agents = AgentService([Turn(events=[delta("Hm.", "thinking")], cut_after=3, is_stalled=True)])

    async def cancel(provider: RemotePi) -> None:
        has_begun = asyncio.Event()

        async def read() -> None:
            async with aclosing(provider.stream(REQUEST)) as events:
                async for _ in events:
                    has_begun.set()

        task = asyncio.create_task(read())
        await has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with_service(agents, cancel)
    assert agents.stopped == ["s-1"]


def test_the_probe_tells_the_room_there_is() -> None:
    """Health first, without the token; then what the service can do."""
    agents = AgentService(max_sessions=3)
    assert with_service(agents, RemotePi.probe) == 3
    assert [(seen.path, "authorization" in seen.headers) for seen in agents.seen] == [
        ("/healthz", False),
        ("/api/capabilities", True),
    ]


@pytest.mark.parametrize("mode", ["native", "mock"])
def test_a_service_without_pi_is_refused(mode: str) -> None:
    """The message says in which mode it runs, and how it would do."""
    with pytest.raises(KataError) as caught:
        with_service(AgentService(mode=mode), RemotePi.probe)
    assert caught.value.failure.code == "agent_unavailable"
    assert mode in str(caught.value)
    assert "kata serve --mode pi" in caught.value.failure.hint


def test_a_service_that_stops_is_not_asked() -> None:
    """Whoever is stopping takes no work."""
    with pytest.raises(KataError, match="is stopping"):
        with_service(AgentService(status="stopping"), RemotePi.probe)


def test_the_models_are_those_of_the_service() -> None:
    """Ids may hold slashes themselves; what is no model of a provider is left out."""
    agents = AgentService(models=["openai/a/b", "nameless", "anthropic/c"])
    found = with_service(agents, RemotePi.models)
    assert [(model.provider, model.id) for model in found] == [("openai", "a/b"), ("anthropic", "c")]
