"""Pi as a provider, over the fake: what becomes of answers and of what was asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fake_pi.fakes import REQUEST, FakePi, asking
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished, ToolFinished, ToolStarted
from kata_cli.core.messages import Message, ModelRef, Request, Usage
from kata_cli.pi.prompt import prompt_text
from servers.adapters import failure, finish, listen, text_of

VERSIONS = pytest.mark.parametrize("version", ["0.74.2", "0.87.1"])


@VERSIONS
def test_an_answer(tmp_path: Path, version: str) -> None:
    """Thinking, then the text of the last message, then one end with model, usage and cost."""
    fake = FakePi(tmp_path, version=version, runs=[[{"text": "née 🙂 \u2028 漢", "thinking": "Hm, well."}]])
    (events,) = fake.answers()
    *thinking, text, end = events
    assert text == ContentDelta(task="look", text="née 🙂 \u2028 漢")
    assert text_of(thinking, "thinking") == "Hm, well."
    assert isinstance(end, ReplyFinished)
    reply = end.reply
    assert (reply.text, reply.model, reply.stop) == ("née 🙂 \u2028 漢", "m", "stop")
    assert reply.usage == Usage(7, 5, 2, 1, 3, 0.25)


@VERSIONS
def test_only_the_last_message_is_the_answer(tmp_path: Path, version: str) -> None:
    """Steps with tools or without any text are never shown as answers, and their usage counts."""
    steps: list[dict[str, Any]] = [
        {"text": "I look.", "stop": "toolUse", "tools": ["read", "broken"]},
        {"thinking": "Hm.", "stop": "toolUse", "tools": ["ls"]},
        {"text": "Found."},
    ]
    (events,) = FakePi(tmp_path, version=version, runs=[steps]).answers()
    tools = [event for event in events if isinstance(event, ToolStarted | ToolFinished)]
    assert [(type(tool).__name__, tool.tool) for tool in tools] == [
        ("ToolStarted", "read"),
        ("ToolFinished", "read"),
        ("ToolStarted", "broken"),
        ("ToolFinished", "broken"),
        ("ToolStarted", "ls"),
        ("ToolFinished", "ls"),
    ]
    assert [tool.is_error for tool in tools if isinstance(tool, ToolFinished)] == [False, True, False]
    assert [e.text for e in events if isinstance(e, ContentDelta) and e.kind == "text"] == ["Found."]
    end = events[-1]
    assert isinstance(end, ReplyFinished)
    assert end.reply.usage == Usage(21, 15, 6, 3, 9, 0.75)


@pytest.mark.parametrize(
    ("run", "code", "seen"),
    [
        ([{"text": ""}], "invalid_output", ""),
        ([{"thinking": "Only this."}], "invalid_output", ""),
        ([{"text": "I look.", "stop": "toolUse", "tools": ["read"]}], "invalid_output", ""),
        ([{"text": "First.", "stop": "toolUse"}, {"text": " \n"}], "invalid_output", " \n"),
        ([{"text": "", "stop": "length"}], "invalid_output", ""),
        ([{"text": "", "stop": "aborted"}], "provider_unavailable", ""),
        ([{"text": "half", "error": "terminated"}], "provider_unavailable", "half"),
        ([{"error": "401 bad key"}], "invalid_auth", ""),
        ([{"error": '404: {"message":"no such model","code":"model_not_found"}'}], "model_not_found", ""),
        ([{"error": "404 no such model"}], "model_not_found", ""),
        ([{"error": "404 status code (no body)"}], "model_not_found", ""),
        ([{"error": "404: <html>nothing here</html>"}], "invalid_request", ""),
        ([{"error": "413 Sorry"}], "context_too_long", ""),
        ([{"error": "418 Sorry"}], "invalid_request", ""),
        ([{"error": "429 You exceeded"}], "rate_limited", ""),
        ([{"error": '429: {"message":"m","code":"insufficient_quota"}'}], "quota_exhausted", ""),
        ([{"error": "503 status code (no body)"}], "provider_unavailable", ""),
        ([{"error": "Connection error."}], "provider_unavailable", ""),
        ([{"error": "Provider finish_reason: content_filter"}], "content_policy", ""),
        ([{"error": "400 too long", "compacted": True}], "context_too_long", ""),
    ],
)
@VERSIONS
def test_runs_that_are_no_answer(
    tmp_path: Path, version: str, run: list[dict[str, Any]], code: str, seen: str
) -> None:
    """Each end without an answer has its code, keeps the text that came, and reports what it cost."""
    (events,) = FakePi(tmp_path, version=version, runs=[run]).answers()
    end = events[-1]
    assert isinstance(end, ReplyFailed)
    assert (end.failure.code, end.seen) == (code, seen)
    assert (end.failure.provider, end.failure.model) == ("fake", "fake/m")
    assert end.usage is not None
    assert end.usage.total


@pytest.mark.parametrize(("asked", "level"), [("xhigh", "xhigh"), (None, "minimal")])
@VERSIONS
def test_ex_26_the_level_in_force_is_reported(
    tmp_path: Path, version: str, asked: str | None, level: str
) -> None:
    """What Pi says after it was set, or what it chose by itself."""
    request = asking(model=ModelRef("fake", "think"), thinking=asked)
    (events,) = FakePi(tmp_path, version=version).answers(request)
    assert finish(events).reply.thinking == level


def test_a_truncated_answer_says_so(tmp_path: Path) -> None:
    """`length` is a stop of its own, with the text that came."""
    (events,) = FakePi(tmp_path, runs=[[{"text": "half an", "stop": "length"}]]).answers()
    assert finish(events).reply.stop == "length"


@VERSIONS
def test_pis_own_retry_is_waited_for(tmp_path: Path, version: str) -> None:
    """A run that Pi tries again by itself is not over, and its failed text is not shown."""
    run = [{"text": "lost", "error": "500 once", "retried": True}, {"text": "Second."}]
    (events,) = FakePi(tmp_path, version=version, runs=[run]).answers()
    assert finish(events).reply.text == "Second."


@VERSIONS
def test_what_pi_has_tried_again_is_not_tried_once_more(tmp_path: Path, version: str) -> None:
    """A failure that stands after Pi's own retries carries the wish not to be repeated."""
    run = [{"error": "500 once", "retried": True}, {"error": "500 twice"}]
    (events,) = FakePi(tmp_path, version=version, runs=[run]).answers()
    last = failure(events).failure
    assert (last.code, last.status, last.should_retry) == ("provider_unavailable", 500, False)
    assert "twice" in last.message


def test_a_process_is_used_again_with_a_fresh_session(tmp_path: Path) -> None:
    """The next request gets a new session, its own model and level, and never the conversation before."""
    fake = FakePi(tmp_path, runs=[[{"text": "One."}], [{"text": "Two."}]])
    think = asking(model=ModelRef("fake", "think"), thinking="xhigh")
    first, second = fake.answers(REQUEST, think)
    assert [finish(events).reply.text for events in (first, second)] == ["One.", "Two."]
    assert len(fake.logged("pid")) == 1
    commands = fake.commands()
    second_half = commands[commands.index("prompt") + 1 :]
    assert second_half[:6] == [
        "new_session",
        "get_state",
        "set_model",
        "set_thinking_level",
        "get_state",
        "prompt",
    ]


@pytest.mark.parametrize(
    ("fault", "request_", "code", "words"),
    [
        ("stuck-model", REQUEST, "agent_unavailable", "was told to use fake/m and uses other/x/y"),
        ("", asking(model=ModelRef("fake", "n")), "model_not_found", "Pi knows no model fake/n"),
        ("no-models", REQUEST, "missing_auth", "Pi has no key for any model"),
        ("", asking(temperature=0.5), "invalid_request", "Pi takes no temperature"),
        ("", asking(thinking="high"), "invalid_request", "fake/m has no thinking level high"),
        ("no-key", REQUEST, "missing_auth", "No API key found for fake."),
    ],
)
def test_a_switch_that_does_not_take_is_an_error(
    tmp_path: Path, fault: str, request_: Request, code: str, words: str
) -> None:
    """Model and level are read back; what is not as asked ends the request before it costs anything."""
    fake = FakePi(tmp_path, fault=fault)
    (events,) = fake.answers(request_)
    last = failure(events).failure
    assert last.code == code
    assert words in last.message
    assert ("prompt" in fake.commands()) is (fault == "no-key")


def test_a_session_that_is_not_new_is_an_error(tmp_path: Path) -> None:
    """A second request is not asked in the conversation of the first."""
    fake = FakePi(tmp_path, fault="stuck-session")
    _, second = fake.answers(REQUEST, REQUEST)
    assert "did not begin a new session" in failure(second).failure.message
    assert fake.commands().count("prompt") == 1


def test_a_model_id_may_hold_slashes(tmp_path: Path) -> None:
    """Provider and id part at the first slash."""
    (events,) = FakePi(tmp_path).answers(asking(model=ModelRef.parse("other/x/y")))
    assert finish(events).reply.model == "x/y"


def test_several_requests_at_once_have_processes_of_their_own(tmp_path: Path) -> None:
    """One prompt is in flight per process, and no more processes run than allowed."""
    fake = FakePi(tmp_path)

    async def main() -> list[list[Event]]:
        provider = fake.provider(max_instances=2)
        requests = [asking(task=f"t{number}") for number in range(5)]
        found = await asyncio.gather(*(listen(provider, request) for request in requests))
        await provider.aclose()
        return list(found)

    for number, events in enumerate(asyncio.run(main())):
        finish(events)
        assert {event.task for event in events if isinstance(event, ContentDelta)} == {f"t{number}"}
    assert len(fake.logged("pid")) == 2
    assert fake.is_gone()


def test_a_prompt_holds_all_that_is_asked() -> None:
    """System text, a conversation with its speakers, and the schema of the answer; no command of Pi's."""
    talk = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    text = prompt_text(asking(system="Be brief.", messages=talk, schema={"type": "object"}))
    assert text.startswith("Be brief.\n\n[user]\na\n\n[assistant]\nb\n\n[user]\nc\n\n")
    assert text.endswith('{"type": "object"}')
    assert prompt_text(REQUEST) == "Say hello."
    assert prompt_text(asking(messages=(Message("user", "/compact"),))) == "\n/compact"
