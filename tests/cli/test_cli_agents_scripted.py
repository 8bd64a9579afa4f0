"""`kata agents` against a scripted service: what the real one in mock mode never says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from cli.shell import Ended, Shell
from kata_cli.core.errors import ErrorDocument
from kata_cli.core.messages import ToolCall, Usage
from kata_cli.service import documents as d
from kata_cli.service import live_events as e
from servers.behaviours import Behaviour, Raw, Seen, Status
from servers.vendor import VendorServer

SESSION = "s-20261121-100000-aaaaaa"
TOKEN = "t" * 43


def live(**changes: object) -> d.LiveSession:
    """A session as the service tells it."""
    told = d.LiveSession(
        id=SESSION,
        title="scripted",
        status="idle",
        runtime_mode="native",
        model="anthropic/served-1",
        thinking="",
        directory="",
        created_at="2026-11-21T10:00:00.000Z",
        updated_at="2026-11-21T10:00:00.000Z",
        head="e2",
        messages=2,
        queue=d.Queue(),
        wanted=[],
        last_event_id="abc.2",
    )
    return msgspec.structs.replace(told, **changes)


def told(entry: str, role: str, text: str) -> d.Told:
    return msgspec.convert({"entry": entry, "ts": "", "role": role, "text": text}, d.Told)


def done(text: str, **changes: object) -> e.Done:
    end = e.Done(entry="e4", text=text, stop="stop", model="served-1", usage=Usage(7, 5), duration_s=0.5)
    return msgspec.structs.replace(end, **changes)


def error(code: str, exit_code: int) -> ErrorDocument:
    return ErrorDocument(
        code=code,
        message="it went \x1b[31mwrong",
        remediation="do otherwise",
        retryable=False,
        provider="anthropic",
        runtime_mode="native",
        request_id=None,
        exit_code=exit_code,
    )


class Scripted:
    """A service with one session. Each stream gets the events of the next list and ends."""

    def __init__(
        self, *streams: Sequence[e.SessionEvent], messages: Sequence[d.Told] = (), status: str = "idle"
    ) -> None:
        self.asked: list[Seen] = []
        self._streams = list(streams)
        self._number = 2
        self._history = d.History(
            session=live(status=status), messages=list(messages), partial="", last_event_id="abc.9"
        )

    def __call__(self, seen: Seen) -> Behaviour:
        self.asked.append(seen)
        match seen.path.removeprefix(f"/api/sessions/{SESSION}"):
            case "":
                return answer(live())
            case "/history":
                return answer(self._history)
            case "/stream" | "/events":
                return self._stream(self._streams.pop(0) if self._streams else ())
        return Status(status=404, text="<html>nobody", content_type="text/html")

    def _stream(self, events: Sequence[e.SessionEvent]) -> Raw:
        frames = ""
        for event in events:
            self._number += 1
            data = msgspec.to_builtins(event)
            frames += f"id: abc.{self._number}\nevent: {data['type']}\ndata: {json.dumps(data)}\n\n"
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(frames)}\r\n\r\n"
        return Raw(data=head + frames)


def answer(document: object) -> Status:
    return Status(status=200, body=msgspec.to_builtins(document))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell with a token for whoever asks."""
    shell = Shell(tmp_path_factory.mktemp("scripted"))
    token = shell.write("token", TOKEN)
    token.chmod(0o600)
    return shell


def agents(shell: Shell, script: Callable[[Seen], Behaviour], word: str, *args: str) -> Ended:
    with VendorServer(script) as server:
        return shell.kata("agents", word, "--service", server.base_url, "--token-file", "token", *args)


def test_tools_retries_and_figures_are_told(shell: Shell) -> None:
    """Stderr has a line for each tool call, each retry and the end; nothing in them can obey a terminal."""
    events = [
        e.SessionChanged(session=live(status="running")),
        e.ToolEvent(state="started", call_id="c1", tool="read", input='{"path": "a\x1b[2J.py"}'),
        e.ToolEvent(state="finished", call_id="c1", tool="read", is_error=True),
        e.ToolEvent(state="wanted", call_id="c2", tool="lookup", input="{}"),
        e.Retrying(error=error("rate_limited", 6), delay_s=0.5),
        e.Delta(text="half an ans"),
        done("The \x1b[31manswer\n\n", usage=Usage(7000, 500, cost_usd=0.25)),
    ]
    ended = agents(shell, Scripted(events), "send", SESSION, "Hello")
    assert (ended.code, ended.text) == (0, "The ^[[31manswer\n")
    _, started, failed, wanted, retried, last = ended.stderr.splitlines()
    assert started == 'read {"path": "a^[[2J.py"}'
    assert failed.startswith("read failed · ")
    assert wanted == f"lookup {{}} wants its result: kata agents answer {SESSION} c2"
    assert retried == "rate_limited: it went ^[[31mwrong; again in 0.5 s"
    assert last == "served-1 · 0.5 s · 7.5k tokens · $0.25"


@pytest.mark.parametrize(("stop", "code"), [("length", 9), ("refusal", 5)])
def test_an_answer_that_is_no_whole_one(shell: Shell, stop: str, code: int) -> None:
    """What was cut off or declined is printed, and is no success."""
    ended = agents(shell, Scripted([done("Half of", stop=stop)]), "send", SESSION, "Hello")
    ended.refused(code)
    assert ended.text == "Half of\n"


@pytest.mark.parametrize(("code", "exit_code"), [("invalid_auth", 4), ("quota_exhausted", 5), ("newer", 7)])
def test_a_failure_keeps_its_code(shell: Shell, code: str, exit_code: int) -> None:
    """What the service failed of decides the exit code, also a code that only a later kata knows."""
    script = Scripted([e.Failed(error=error(code, exit_code))])
    ended = agents(shell, script, "send", SESSION, "--json", "Hello")
    assert (ended.code, ended.document["exit_code"], ended.document["text"]) == (exit_code, exit_code, None)
    assert ended.error["remediation"] == "do otherwise"


def test_an_answer_whose_events_are_gone_is_in_the_history(shell: Shell) -> None:
    """After a reset the answer to this message is taken from the history, and never an earlier one."""
    before = [told("e1", "user", "Earlier"), told("e2", "assistant", "An earlier answer")]
    after = [*before, told("e3", "user", "Hello"), told("e4", "assistant", "The answer")]
    reset = [e.Reset(reason="gone")]
    found = agents(shell, Scripted(reset, messages=after), "send", SESSION, "--format", "jsonl", "Hello")
    assert found.code == 0
    assert [event["type"] for event in found.events] == ["reset", "done"]
    assert (found.events[-1]["text"], found.events[-1]["entry"]) == ("The answer", "e4")
    lost = agents(shell, Scripted(reset, messages=before), "send", SESSION, "Hello")
    assert "lost the turn" in lost.refused(6)
    assert lost.text == ""


def test_a_message_is_sent_once(shell: Shell) -> None:
    """A stream that ends in the middle is gone on with behind its last event, until nothing more comes."""
    script = Scripted([e.Delta(text="a")], [e.Bye(reason="slow")], [e.Delta(text="b"), done("ab")])
    assert agents(shell, script, "send", SESSION, "Hello").text == "ab\n"
    seen = [asked.headers.get("last-event-id") for asked in script.asked if asked.path.endswith("/stream")]
    assert seen == [None, "abc.3", "abc.4"]
    ended = agents(shell, Scripted([e.Delta(text="a")]), "send", SESSION, "--format", "jsonl", "Hello")
    assert ended.code == 6
    assert [event["type"] for event in ended.events] == ["delta", "error"]


def test_what_is_no_service_says_so(shell: Shell) -> None:
    """An address where something else answers is told as that."""
    ended = agents(shell, Scripted(), "list")
    assert ended.code in (5, 6)
    assert "is http://127.0.0.1:" in ended.stderr
    assert "  failing  -  -  -/- live  -  " in ended.text


def test_calls_are_shown(shell: Shell) -> None:
    """`show` tells who spoke, the tool calls and what was broken off."""
    messages = [
        told("e1", "user", "Hello"),
        msgspec.structs.replace(
            told("e2", "assistant", ""), calls=[ToolCall(id="c1", name="lookup", arguments='{"a":\x1b1}')]
        ),
        msgspec.structs.replace(told("e3", "assistant", "Half"), is_error=True),
    ]
    shown = agents(shell, Scripted(messages=messages), "show", SESSION)
    assert shown.text == (
        '[user]\nHello\n\n[assistant]\n(lookup {"a":^[1})\n\n[assistant, broken off]\nHalf\n'
    )


def test_a_token_file_must_be_private(shell: Shell, tmp_path: Path) -> None:
    """A token that others can read is not used, and nothing is asked."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    ended = shell.kata("agents", "--service", "http://127.0.0.1:9", "--token-file", token)
    assert "chmod 600" in ended.refused(4)
