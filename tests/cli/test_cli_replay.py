"""`--replay` over edited, cut and foreign records, secrets, repairs, fallbacks, agents; never a network."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.answers import ANSWER
from cli.records import whole
from cli.shell import MOCK, Ended, Shell, signal_at
from fake_pi.fakes import FakePi
from kata_cli.core.jsonl import split_lines
from servers.vendor import Reply, Seen, Status, VendorServer

SPEC = (*MOCK, "Make save atomic")
SECRET = "sk-ant-api03-" + "a1B2" * 12
KEY = "hunter2-hunter2-hunter2"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


@pytest.fixture
def silent() -> Iterator[dict[str, str]]:
    """The environment of a vendor that nobody may connect to."""
    with VendorServer() as server:
        yield {"OPENAI_BASE_URL": server.openai_url, "ANTHROPIC_BASE_URL": server.base_url}
        assert server.accepted == 0


def draft(shell: Shell) -> bytes:
    """The draft of the newest run."""
    return (shell.runs[-1] / "spec.md").read_bytes()


def kept(shell: Shell, change: Callable[[list[Any]], list[Any]] = lambda lines: lines) -> Path:
    """A copy of the newest record with its lines changed."""
    lines = [json.loads(line) for line in split_lines((shell.runs[-1] / "exchanges.jsonl").read_bytes())]
    path = shell.home.parent / "kept.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in change(lines)))
    return path


def native(shell: Shell, script: Any, *args: str) -> Ended:
    """A run against a loopback vendor that is gone afterwards."""
    with VendorServer(script) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "ANTHROPIC_BASE_URL": server.base_url}
        ended = shell.kata("run", "--no-stdin", "-w", "quick", "Make save atomic", *args, env=env)
    assert ended.code == 0, ended.stderr
    return ended


def edited(line: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An exchange with other fields in its request."""
    return {**line, "request": {**line["request"], **changes}}


def said(line: dict[str, Any], text: str) -> dict[str, Any]:
    """An exchange with another prompt."""
    return edited(line, messages=[{"role": "user", "text": text}])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [edited(line, goal="Other") for line in lines], "goal was `Other`"),
        (lambda lines: [edited(line, system="Be rude.") for line in lines], "system was `Be rude.`"),
        (lambda lines: [edited(line, thinking="high") for line in lines], "thinking was `high`"),
        (lambda lines: [edited(line, max_tokens=7) for line in lines], "max_tokens was `7`"),
        (lambda lines: [edited(line, role="boss") for line in lines], "role was boss"),
        (lambda lines: [said(line, "nothing") for line in lines], "message 1 differs in line 1"),
        (lambda lines: [said(line, _prompt(line) + "\n") for line in lines], "message 1 differs in line"),
        (lambda lines: [said(line, "x\u2028y\x1b[2J") for line in lines], "message 1 differs in line 1"),
        (lambda lines: [edited(line, messages=[]) for line in lines], "it had 0 messages, now it has 1"),
        (lambda lines: [line for line in lines if line["task"] != "investigate"], "no request of that task"),
    ],
    ids=["goal", "system", "thinking", "bound", "role", "text", "newline", "escapes", "none", "missing"],
)
def test_what_differs_is_named(shell: Shell, silent: dict[str, str], change: Any, told: str) -> None:
    """An edited or missing exchange ends the run with exit 2 and the difference, and asks nobody."""
    whole(shell, *SPEC)
    ended = shell.kata(*SPEC, "-j", "1", "--replay", kept(shell, change), env=silent)
    assert told in ended.refused(2)
    assert "\x1b" not in ended.stderr


def _prompt(line: dict[str, Any]) -> str:
    return str(line["request"]["messages"][0]["text"])


def test_an_edited_answer_is_the_answer(shell: Shell, silent: dict[str, str]) -> None:
    """Whoever writes into the record is believed: the record is the model."""
    whole(shell, *MOCK, "-w", "ask", "Why?")
    path = kept(
        shell, lambda lines: [{**line, "reply": {**line["reply"], "text": "Because."}} for line in lines]
    )
    assert whole(shell, *MOCK, "-w", "ask", "Why?", "--replay", path, env=silent).text == "Because.\n"


@pytest.mark.parametrize("text", ["", "\n", "{}\n", "no json\n", '{"v":1}\n', "[" * 9999 + "\n", "\0\n"])
def test_what_is_no_record_is_refused(shell: Shell, silent: dict[str, str], text: str) -> None:
    """An empty or foreign file is refused before there is a run, in any mode."""
    path = shell.home.parent / "bad.jsonl"
    path.write_text(text)
    for mode in ("native", "mock"):
        ended = shell.kata("run", "--no-stdin", "--mode", mode, "Why?", "--replay", path, env=silent)
        ended.refused(11 if text else 2)
    assert shell.runs == []


def test_a_run_that_asked_nobody_cannot_be_replayed(shell: Shell) -> None:
    """A run that a spent budget ended before its first request has nothing that answers."""
    shell.kata(*SPEC, "--token-budget", "10").refused(7)
    assert "holds no exchange" in shell.kata("run", "--replay", "last").refused(2)


def test_a_record_of_ten_megabytes_answers(shell: Shell, silent: dict[str, str]) -> None:
    """The exchanges of many runs in one file are one record."""
    whole(shell, *SPEC)
    first = draft(shell)

    def many(lines: list[Any]) -> list[Any]:
        filler = [said(lines[0], f"{number} " + "x" * 100_000) for number in range(100)]
        return [*filler, *lines]

    path = kept(shell, many)
    assert path.stat().st_size > 10_000_000
    whole(shell, *SPEC, "--replay", path, env=silent)
    assert draft(shell) == first


@pytest.mark.parametrize("args", [("goal",), ("system",), ("var",)], ids=lambda args: args[0])
def test_s1_a_secret_that_was_redacted_still_matches(
    shell: Shell, silent: dict[str, str], args: tuple[str]
) -> None:
    """S1: a key typed into goal, system prompt or variable is never kept, and typed again it matches."""
    shell.write(
        "one.toml",
        'schema = "kata.workflow/v1"\nname = "one"\n[vars.area]\ndefault = "all"\n[[tasks]]\nid = "tell"\n'
        'role = "investigate"\nprompt = "{{goal}} in {{vars.area}}"\n[result]\ntask = "tell"\n',
    )
    typed = {
        "goal": (f"Use {SECRET} and {KEY}",),
        "system": ("Why?", "-s", f"Use {SECRET} and {KEY}"),
        "var": ("Why?", "--var", f"area={SECRET} and {KEY}"),
    }[args[0]]
    argv = (*MOCK, "-w", "./one.toml", *typed)
    env = {**silent, "OPENAI_API_KEY": KEY}
    first = whole(shell, *argv, env=env).text
    assert whole(shell, *argv, "--replay", kept(shell), env=env).text == first
    assert whole(shell, "run", "--replay", "last", env=env).text == first
    held = b"".join(path.read_bytes() for path in shell.home.rglob("*") if path.is_file())
    assert SECRET.encode() not in held
    assert KEY.encode() not in held


def test_a_repair_round_is_repeated(shell: Shell) -> None:
    """An answer that did not hold comes again, and so does the one that mended it."""
    bad, good = Reply(text="no draft"), Reply(text=json.dumps(ANSWER))
    native(shell, [bad, good], "-m", "openai/some")
    first = draft(shell)
    whole(shell, "run", "--replay", "last")
    assert draft(shell) == first
    assert shell.last_run["tasks"][0]["attempts"] == 2


def test_attempts_on_a_fallback_are_repeated(shell: Shell) -> None:
    """A refusal and the second model's answer come in the same order; no key is needed for either."""

    def answer(seen: Seen) -> Reply | Status:
        is_first = (seen.body or {}).get("model") == "some"
        return Status(status=529) if is_first else Reply(text=json.dumps(ANSWER))

    native(shell, answer, "-m", "openai/some", "--fallback", "anthropic/other")
    first, run = draft(shell), shell.runs[-1].name
    whole(shell, "run", "--replay", run)
    assert draft(shell) == first
    argv = ("run", "--no-stdin", "-w", "quick", "Make save atomic", "--fallback", "anthropic/other")
    whole(shell, *argv, "--replay", kept(shell))
    assert draft(shell) == first


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("-m", "openai/other"), "model was `openai/some`, now it is `openai/other`"),
        (("-m", "anthropic/other"), "model was `openai/some`, now it is `anthropic/other`"),
        (("--thinking", "high"), "thinking was `None`, now it is `high`"),
        (("--temperature", "0"), "temperature was `None`, now it is `0.0`"),
        (("--max-tokens", "5"), "max_tokens"),
        (("--mode", "mock"), "now it is `mock/openai/some`"),
        (("--token-budget", "90000"), None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_flags_that_differ_are_named(
    shell: Shell, silent: dict[str, str], more: tuple[str, ...], told: str | None
) -> None:
    """Another model, level or bound is not in the record; a bound of the same size makes no difference."""
    native(shell, [Reply(text=json.dumps(ANSWER))], "-m", "openai/some")
    ended = shell.kata("run", "--replay", "last", *more, env=silent)
    if told is None:
        assert ended.code == 0, ended.stderr
    else:
        assert told in ended.refused(2)


def test_settings_of_today_do_not_change_a_replay(shell: Shell, silent: dict[str, str]) -> None:
    """Neither a key, nor another provider or level of thinking in the environment, is of any effect."""
    native(shell, [Reply(text=json.dumps(ANSWER))], "-m", "openai/some")
    first = draft(shell)
    today = {"KATA_THINKING": "high", "KATA_PROVIDER": "anthropic", "ANTHROPIC_API_KEY": "x" * 40}
    whole(shell, "run", "--replay", "last", env={**silent, **today})
    assert draft(shell) == first


def test_a_limit_is_repeated_with_the_run(shell: Shell) -> None:
    """A run under a budget is replayed with the bounds that the budget gave its requests."""
    whole(shell, *SPEC, "--token-budget", "90000")
    first = draft(shell)
    whole(shell, "run", "--replay", "last")
    assert draft(shell) == first
    whole(shell, *SPEC, "--token-budget", "90000", "--replay", kept(shell))
    assert draft(shell) == first


def test_a_resumed_run_is_replayed_from_where_it_began(shell: Shell) -> None:
    """What it took over is taken over again, whatever limits and failures the run before it had."""
    shell.kata(*SPEC, "-j", "1", "--token-budget", "12000").refused(7)
    whole(shell, "run", "--resume", "last", "--token-budget", "90000")
    first = draft(shell)
    whole(shell, "run", "--replay", "last")
    assert draft(shell) == first
    whole(shell, "run", "--replay", "last")
    assert draft(shell) == first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_answers_as_far_as_it_came(shell: Shell, number: signal.Signals) -> None:
    """What nobody answered then is missing, exit 2; a record joined to it may have the answer."""
    process = shell.start(*SPEC, "-j", "1", *shell.faults(latency_ms=15_000), "--format", "jsonl")
    signal_at(process, number, "attempt.started")
    shell.kata("sessions", "show", "last")
    stopped = (shell.runs[-1] / "exchanges.jsonl").read_bytes() if number == signal.SIGINT else b""
    assert "stopped before an answer came" in shell.kata("run", "--replay", "last").refused(2)
    whole(shell, *SPEC)
    joined = shell.home.parent / "joined.jsonl"
    joined.write_bytes(stopped + (shell.runs[-1] / "exchanges.jsonl").read_bytes())
    whole(shell, *SPEC, "--replay", joined)


def test_a_replay_is_not_resumed(shell: Shell) -> None:
    """A replay that failed is done again; resuming it would ask a provider."""
    shell.kata(*SPEC, "-j", "1", *shell.faults("task_failed"))
    shell.kata("run", "--replay", "last")
    assert "--replay" in shell.kata("run", "--resume", "last").refused(2)


@pytest.mark.parametrize(
    "env", [{}, {"CI": "true"}, {"KATA_PI_BINARY": "/nowhere/pi"}], ids=["", "CI", "gone"]
)
def test_the_record_of_an_agent_needs_no_agent(shell: Shell, tmp_path: Path, env: dict[str, str]) -> None:
    """Mode pi: a run of agents is replayed where there is no Pi, also in a CI job."""
    place = tmp_path / "pi"
    place.mkdir()
    fake = FakePi(place)
    ask = ("run", "--no-stdin", "--mode", "pi", "-w", "ask", "Say hello.", "-m", "fake/m")
    first = whole(shell, *ask, env={"KATA_PI_BINARY": str(fake.binary)}).text
    started = fake.logged("pid")
    assert whole(shell, "run", "--replay", "last", env=env).text == first
    assert whole(shell, *ask[:2], *ask[4:7], "--replay", kept(shell), env=env).text == first
    assert fake.logged("pid") == started
