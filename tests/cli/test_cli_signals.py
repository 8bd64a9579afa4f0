"""Ctrl-C and friends, as a shell sends them: recorded, ended by their own status, never hanging."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.shell import MOCK, QUICK, Shell, events_of, finish, signal_at

SLOW_MS = 60_000
MOST_S = 3.0


def leftovers(shell: Shell) -> list[str]:
    """Owner locks and temporary files that outlived the process."""
    state = shell.home / ".local/state/kata"
    return [path.name for path in state.rglob("*") if path.name == "owner" or path.name.startswith(".tmp")]


@pytest.mark.parametrize(
    ("number", "exit"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_c1_c2_f75_f76_the_run_is_recorded(tmp_path: Path, number: signal.Signals, exit: int) -> None:
    """C1, C2, F75, F76: the first signal cancels the tasks, records the run and leaves nothing behind."""
    shell = Shell(tmp_path)
    process = shell.start(
        *MOCK, "Make save atomic", *shell.faults(latency_ms=SLOW_MS), "--format", "jsonl", "-o", "out.md"
    )
    ended = signal_at(process, number, "attempt.started")
    assert ended.code == exit
    last = ended.events[-1]
    assert (last["type"], last["status"], last["exit_code"]) == ("run.finished", "interrupted", exit)
    record = shell.last_run
    assert (record["status"], record["exit_code"]) == ("interrupted", exit)
    assert {task["status"] for task in record["tasks"]} == {"failed", "queued"}
    assert ended.error["message"] == f"stopped by {number.name}"
    assert ended.error["remediation"] == f"kata run --resume {shell.runs[0].name}"
    assert leftovers(shell) == []
    assert not (shell.project / "out.md").exists()


def test_f74_two_signals_end_at_once(tmp_path: Path) -> None:
    """F74: after a second Ctrl-C nothing is waited for: the process is gone by the signal or its status."""
    shell = Shell(tmp_path)
    process = shell.start(*QUICK, *shell.faults(latency_ms=SLOW_MS), "--format", "jsonl")
    for _, kind in events_of(process):
        if kind == "attempt.started":
            break
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert finish(process).code in (130, -signal.SIGINT)
    assert shell.kata("sessions", "list").text.count("interrupted") == 1


@pytest.mark.parametrize("form", ["text", "jsonl", "json"])
def test_c1_a_full_pipe_that_nobody_reads(tmp_path: Path, form: str) -> None:
    """C1: Ctrl-C ends a run within 3 s even when stdout is full, and it is recorded interrupted."""
    shell = Shell(tmp_path)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    slow = shell.faults(latency_ms=SLOW_MS) if form == "json" else ()
    process = shell.start(*QUICK, *slow, "--format", form, stdout=write_end)
    os.close(write_end)
    assert process.stderr is not None
    awaited = b"synthesize started" if slow else b"synthesize completed"
    for line in process.stderr:
        if awaited in line:
            break
    sent_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    os.close(read_end)
    assert time.monotonic() - sent_s < MOST_S + 2, "a hang, not a slow machine"
    assert ended.code == 130
    assert "interrupted" in shell.kata("sessions", "list").text


@pytest.mark.parametrize("number", ["INT", "HUP"])
def test_an_ignored_signal_stays_ignored(tmp_path: Path, number: str) -> None:
    """A run under nohup, or in a script's background, goes on through what its parent ignores."""
    shell = Shell(tmp_path)
    words = " ".join([*QUICK[:-1], "goal", *shell.faults(latency_ms=300)])
    kill = f"while kill -{number} $pid 2>/dev/null; do :; done"
    script = f"trap '' {number}; kata {words} -q & pid=$!; {kill}; wait $pid"
    ended = shell.bash(script)
    assert ended.code == 0
    assert shell.last_run["status"] == "completed"


def test_f79_stopped_and_continued(tmp_path: Path) -> None:
    """F79: a run that is stopped for a while goes on as if nothing had been, its durations not negative."""
    shell = Shell(tmp_path)
    process = shell.start(*MOCK, "Make save atomic", *shell.faults(latency_ms=50), "--format", "jsonl")
    seen = b""
    for line, kind in events_of(process):
        seen += line
        if kind == "task.started":
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            process.send_signal(signal.SIGCONT)
    ended = finish(process, seen)
    assert ended.code == 0
    assert all(task["duration_s"] >= 0 for task in shell.last_run["tasks"])


def test_f80_parent_dies(tmp_path: Path) -> None:
    """F80: a run whose parent is killed ends all the same and is recorded."""
    shell = Shell(tmp_path)
    words = " ".join([*QUICK[:-1], "goal", *shell.faults(latency_ms=100)])
    read_end, write_end = os.pipe()
    parent = subprocess.Popen(
        ["bash", "-c", f"kata {words} -q >/dev/null & kill -9 $$"],
        env={**shell.env(), "PATH": shell.path},
        cwd=shell.project,
        stderr=write_end,
    )
    os.close(write_end)
    assert parent.wait() == -signal.SIGKILL
    assert os.read(read_end, 100) == b"", "stderr closes when the run has ended"
    os.close(read_end)
    assert shell.last_run["status"] == "completed"


def test_a_signal_before_the_run(tmp_path: Path) -> None:
    """A Ctrl-C while stdin is awaited is exit 130 with one line and a hint; there is no run yet."""
    shell = Shell(tmp_path)
    process = shell.start("run", "--mode", "mock", "-", stdin=subprocess.PIPE)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    told = (first + stderr).decode()
    assert process.returncode == 130
    assert told.splitlines()[-2].startswith("kata: stopped by SIGINT")
    assert "Traceback" not in told
    assert shell.runs == []
