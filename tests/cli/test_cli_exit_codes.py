"""Every row of the table of exit codes, in every format, through the installed program."""

from __future__ import annotations

import copy
import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.answers import ANSWER
from cli.shell import EPOCH, MOCK, QUICK, Ended, Shell, signal_at
from servers.vendor import Behaviour, Reply, Status, VendorServer

ERROR_KEYS = {
    "schema",
    "code",
    "message",
    "remediation",
    "retryable",
    "provider",
    "runtime_mode",
    "request_id",
    "exit_code",
}
RESULT_KEYS = {
    "schema",
    "run_id",
    "session_id",
    "status",
    "exit_code",
    "runtime_mode",
    "mode_source",
    "result",
    "findings",
    "usage",
    "cost_usd",
    "tasks",
    "warnings",
    "error",
}
FORMATS = pytest.mark.parametrize("form", ["text", "json", "jsonl"])
NATIVE = ("run", "--no-stdin", "-w", "quick", "--provider", "openai", "Make save atomic")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A way to fail: its status and code, the arguments, and what has to stand around them."""

    exit: int
    code: str
    args: tuple[str, ...] = QUICK
    fault: str = ""
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    says: str = ""


def scripted(exit: int, code: str, fault: str = "", **more: Any) -> Row:
    return Row(exit=exit, code=code, fault=fault or code, env=EPOCH, **more)


def refused(exit: int, code: str, *args: str, **more: Any) -> Row:
    return Row(exit=exit, code=code, args=args, **more)


ROWS = {
    "1-bug": scripted(1, "unexpected_error", "crash", says="RuntimeError: the scenario"),
    "2-no-goal": refused(2, "usage", *MOCK, says="there is no goal"),
    "2-flag": refused(2, "usage", *MOCK, "--modle", "x", "goal", says="--mod"),
    "2-mode-flag": refused(2, "usage", "run", "--mode", "mok", "goal", says="mok"),
    "2-mode-env": refused(2, "usage", "run", "goal", env={"KATA_RUNTIME_MODE": "mok"}, says="mok"),
    "2-provider": refused(2, "usage", "run", "--provider", "opnai", "goal", says="openai"),
    "2-workflow": refused(2, "usage", *MOCK, "-w", "spce", "goal", says="spec"),
    "2-number": refused(2, "usage", *MOCK, "-j", "many", "goal", says="many"),
    "3-mode-file": refused(
        3, "config", "run", "goal", files={"kata.toml": 'runtime_mode = "mok"\n'}, says="kata.toml:1"
    ),
    "3-key": refused(
        3, "config", *MOCK, "goal", files={"kata.toml": "\njobz = 3\n"}, says="kata.toml:2: jobz"
    ),
    "3-trust": refused(
        3, "config", *MOCK, "goal", files={"kata.toml": 'fallback = ["openai/x"]\n'}, says="--trust-project"
    ),
    "3-workflow": refused(
        3,
        "config",
        *MOCK,
        "-w",
        "./w.toml",
        "goal",
        files={"w.toml": 'schema = "kata.workflow/v1"\nname = 3'},
    ),
    "4-missing": refused(4, "missing_auth", "run", "--no-stdin", "goal", says="--mode mock"),
    "4-invalid": scripted(4, "invalid_auth"),
    "4-expired": scripted(4, "session_expired"),
    "5-pi": refused(
        5,
        "agent_unavailable",
        "run",
        "--no-stdin",
        "--mode",
        "pi",
        "-m",
        "x/y",
        "goal",
        env={"KATA_PI_BINARY": "/nowhere/pi"},
        says="npm install",
    ),
    "6-rate": scripted(6, "rate_limited"),
    "6-down": scripted(6, "provider_unavailable"),
    "6-stall": scripted(6, "timeout", "stall", args=(*QUICK, "--idle-timeout", "2s"), says="idle"),
    # No flag names a limit yet; the budget of the context is one all the same.
    "7-context": refused(
        7,
        "limit_reached",
        *QUICK,
        "-f",
        "big.txt",
        env={"KATA_CONTEXT_MAX_NAMED_TOKENS": "50"},
        files={"big.txt": "words of a file " * 200},
    ),
    "8-task": scripted(8, "task_failed"),
    "8-graph": scripted(8, "task_failed", args=(*MOCK, "Make save atomic")),
    "9-empty": scripted(9, "invalid_output", "empty"),
    "9-cut": scripted(9, "invalid_output", "truncated"),
    "9-schema": scripted(9, "invalid_output", "bad_schema"),
    "11-output": refused(11, "io", *QUICK, "-o", "no/where.md", says="mkdir -p no"),
    "11-input": refused(11, "io", *QUICK, "-f", "absent.py", says="absent.py"),
    "11-goal-file": refused(11, "io", *MOCK, "--goal-file", "absent.md", says="absent.md"),
    "124-deadline": Row(
        exit=124, code="deadline", fault="stall", args=(*QUICK, "--timeout", "2s"), env=EPOCH, says="2 s"
    ),
}


def check(ended: Ended, form: str, exit: int, code: str) -> str:
    """The promises of a failure in one format. What was told of it."""
    assert ended.code == exit, (ended.code, ended.stderr)
    assert "Traceback" not in ended.stderr
    if form == "text":
        assert ended.stdout == b""
        return ended.refused(exit)
    assert set(ended.error) == ERROR_KEYS
    assert (ended.error["code"], ended.error["exit_code"]) == (code, exit)
    assert ended.error["remediation"]
    if form == "json":
        assert set(ended.document) == RESULT_KEYS
        assert ended.document["error"] == ended.error
        assert ended.document["exit_code"] == exit
        assert ended.document["result"] is None
    else:
        last = ended.events[-1]
        assert (last["type"], last["exit_code"], last["failure"]["code"]) == ("run.finished", exit, code)
        assert sum(event["type"] == "run.finished" for event in ended.events) == 1
    return f"{ended.error['message']} {ended.error['remediation']}"


def rows_and_formats() -> Iterator[tuple[str, str]]:
    """The first row of each status in every format; the formats take turns over the others."""
    turns = itertools.cycle(["text", "json", "jsonl"])
    seen: set[int] = set()
    for name, row in ROWS.items():
        forms = [next(turns)] if row.exit in seen else ["text", "json", "jsonl"]
        seen.add(row.exit)
        yield from ((name, form) for form in forms)


@pytest.mark.parametrize(("name", "form"), list(rows_and_formats()))
def test_cli_exit_code(tmp_path: Path, name: str, form: str) -> None:
    """A failure has its status, its code, one line and a hint, and one document or last event in JSON."""
    row, shell = ROWS[name], Shell(tmp_path)
    for path, text in row.files.items():
        shell.write(path, text)
    args = (*row.args, *(shell.faults(row.fault) if row.fault else ()))
    told = check(shell.kata(*args, "--format", form, env=row.env), form, row.exit, row.code)
    assert row.says in told
    assert str(shell.home) not in told or row.exit == 1


@FORMATS
def test_cli_exit_code_0(tmp_path: Path, form: str) -> None:
    """A run that succeeds exits 0 with the draft, one document, or events that end in run.finished."""
    ended = Shell(tmp_path).kata(*QUICK, "--format", form)
    assert ended.code == 0
    assert "kata:" not in ended.stderr
    if form == "text":
        assert ended.text.startswith('---\nschema: "kata.spec/v1"\n')
    elif form == "json":
        assert set(ended.document) == RESULT_KEYS
        assert (ended.document["status"], ended.document["exit_code"]) == ("completed", 0)
        assert ended.document["error"] is None
        assert set(ended.document["result"]) == {"kind", "text", "document", "path"}
        assert (ended.document["runtime_mode"], ended.document["mode_source"]) == ("mock", "flag")
    else:
        kinds = [event["type"] for event in ended.events]
        assert (kinds[0], kinds[-1]) == ("run.started", "run.finished")
        stored = [event["seq"] for event in ended.events if event["type"] != "content.delta"]
        assert stored == list(range(len(stored)))


NATIVE_ROWS: dict[str, tuple[int, str, Behaviour]] = {
    "4-401": (4, "invalid_auth", Status(status=401)),
    "5-400": (5, "invalid_request", Status(status=400, error_type="invalid_request_error")),
    "5-404": (5, "model_not_found", Status(status=404)),
    "5-long": (5, "context_too_long", Status(status=400, code="context_length_exceeded")),
    "5-quota": (5, "quota_exhausted", Status(status=429, code="insufficient_quota")),
    "5-policy": (5, "content_policy", Reply(stop="refusal")),
    "6-cut": (6, "provider_unavailable", Reply(text="A long answer. " * 40, cut_at=2500)),
    "9-schema": (9, "invalid_output", Reply(text="No JSON at all.")),
    "9-length": (9, "invalid_output", Reply(text='{"title": "half', stop="length")),
    "11-redirect": (5, "invalid_request", Status(status=307, headers={"location": "http://127.0.0.1:9/"})),
}


@pytest.mark.parametrize(
    ("name", "form"), list(zip(NATIVE_ROWS, itertools.cycle(["text", "json", "jsonl"]), strict=False))
)
def test_cli_exit_code_of_a_vendor(tmp_path: Path, name: str, form: str) -> None:
    """What a real vendor refuses or breaks off has the same statuses; the formats take turns."""
    exit, code, behaviour = NATIVE_ROWS[name]
    with VendorServer([behaviour]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        told = check(Shell(tmp_path).kata(*NATIVE, "--format", form, env=env), form, exit, code)
    assert "openai" in told or "127.0.0.1" in told or "synthesize" in told


def draft_with_a_finding() -> Reply:
    answer = copy.deepcopy(ANSWER)
    answer["criteria"][0]["text"] = "The record is whole."
    return Reply(text=json.dumps(answer))


def test_cli_exit_code_10(tmp_path: Path) -> None:
    """Findings are exit 10 under --strict only, in every format, and the draft is still delivered."""
    shell = Shell(tmp_path)
    with VendorServer([draft_with_a_finding()]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        relaxed = shell.kata(*NATIVE, env=env)
        text, document, lines = (
            shell.kata(*NATIVE, "--strict", "--format", form, env=env) for form in ("text", "json", "jsonl")
        )
    assert (relaxed.code, text.code, document.code, lines.code) == (0, 10, 10, 10)
    assert "finding" in relaxed.stderr.splitlines()[-1]
    assert text.stdout == relaxed.stdout != b""
    assert "KS012" in text.refused(10)
    assert document.document["result"]["text"] == text.text
    assert document.document["error"] == document.error
    assert (document.error["code"], document.document["exit_code"]) == ("findings", 10)
    assert [finding["rule"] for finding in document.document["findings"]].count("KS012") == 1
    assert (lines.events[-1]["exit_code"], lines.events[-1]["status"]) == (10, "completed")


@FORMATS
@pytest.mark.parametrize(
    ("number", "exit"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_cli_exit_code_of_a_signal(tmp_path: Path, number: signal.Signals, exit: int, form: str) -> None:
    """F75, F76: a signal ends the run by its own status, and the run is recorded as interrupted."""
    shell = Shell(tmp_path)
    if form == "jsonl":
        process = shell.start(*QUICK, *shell.faults(latency_ms=60_000), "--format", form)
        ended = signal_at(process, number, "attempt.started")
    else:
        ended = signal_after_start(shell, number, form)
    told = check(ended, form, exit, "interrupted")
    assert f"stopped by {number.name}" in told
    assert shell.last_run["status"] == "interrupted"
    assert shell.last_run["exit_code"] == exit


def signal_after_start(shell: Shell, number: signal.Signals, form: str) -> Ended:
    """Send the signal once the log says that the task has started."""
    process = shell.start(*QUICK, *shell.faults(latency_ms=60_000), "--format", form)
    assert process.stderr is not None
    seen = b""
    for line in process.stderr:
        seen += line
        if b"synthesize started" in line:
            process.send_signal(number)
            break
    stdout, stderr = process.communicate(timeout=30)
    return Ended(process.returncode, stdout, (seen + stderr).decode())


def test_a_bug_is_kept_with_the_run(tmp_path: Path) -> None:
    """The traceback of a bug goes to the run directory, and to the user only with --debug."""
    shell = Shell(tmp_path)
    crash = shell.faults("crash")
    told = shell.kata(*QUICK, *crash).refused(1)
    kept = (shell.runs[0] / "traceback.txt").read_text()
    assert "RuntimeError: the scenario scripts a crash" in kept
    assert str(shell.runs[0] / "traceback.txt") in told
    assert (shell.last_run["status"], shell.last_run["exit_code"]) == ("failed", 1)
    assert "Traceback" in shell.kata(*QUICK, *crash, "--debug").stderr


def test_cli_precedence_of_codes(tmp_path: Path) -> None:
    """Tasks that fail for different reasons are exit 8; those that share a cause keep its status."""
    shell = Shell(tmp_path)
    faults = [("implement", "invalid_auth"), ("verify", "empty")]
    text = "".join(f'[[faults]]\ntask = "{task}"\nkind = "{kind}"\ntimes = 9\n' for task, kind in faults)
    (tmp_path / "mixed.toml").write_text(text)
    mixed = shell.kata(*MOCK, "Make save atomic", "--scenario", tmp_path / "mixed.toml", "--json", env=EPOCH)
    assert (mixed.code, mixed.error["code"]) == (8, "task_failed")
    assert {task["status"] for task in mixed.document["tasks"]} == {"completed", "failed", "skipped"}
    (tmp_path / "mixed.toml").write_text(text.replace("empty", "session_expired"))
    shared = shell.kata(*MOCK, "Make save atomic", "--scenario", tmp_path / "mixed.toml", "--json", env=EPOCH)
    assert shared.code == 4


def test_t5_cli_newer_journal(tmp_path: Path) -> None:
    """T5: a run written by a later kata is exit 11 with a hint, and is left as it is."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    journal = shell.runs[0] / "events.jsonl"
    newer = journal.read_bytes().replace(b'{"v":1,', b'{"v":2,')
    journal.write_bytes(newer)
    (shell.runs[0] / "run.json").unlink()
    told = shell.kata("sessions", "show", shell.runs[0].name).refused(11)
    assert "newer" in told
    assert journal.read_bytes() == newer


def test_x_args_turns_any_failure_into_123(tmp_path: Path) -> None:
    """The README's note on xargs is true: 2 becomes 123."""
    assert Shell(tmp_path).bash("echo x | xargs -I{} kata run --mode mok {}").code == 123
