"""Signals at every kind of event, and processes killed at any moment."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.shell import MOCK, Shell, events_of, finish, signal_at
from kata_cli.core.events import STORED_TYPES
from kata_cli.core.jsonl import split_lines
from kata_cli.store.journal import read_journal

SEEN_IN_A_RUN = sorted(STORED_TYPES - {"tool.started", "tool.finished", "finding.reported", "run.finished"})
GOAL = "Make save atomic"


def journal_of(run: Path) -> list[str]:
    """The types of the events in a run's journal, whose numbers must be dense."""
    lines = split_lines((run / "events.jsonl").read_bytes())
    recorded = read_journal(run / "events.jsonl").recorded
    assert len(recorded) == len(lines)
    assert [entry.seq for entry in recorded] == list(range(len(recorded)))
    return [str(entry.event.__struct_config__.tag) for entry in recorded]


@pytest.mark.parametrize("kind", SEEN_IN_A_RUN)
def test_f73_sigint_at_each_kind_of_event(tmp_path: Path, kind: str) -> None:
    """F73: Ctrl-C at the first event of any kind ends in exactly one run.finished, on stdout and on disk."""
    shell = Shell(tmp_path)
    scenario = shell.faults("rate_limited", times=1, latency_ms=30)
    process = shell.start(*MOCK, GOAL, *scenario, "--format", "jsonl")
    ended = signal_at(process, signal.SIGINT, kind)
    kinds = [event["type"] for event in ended.events]
    assert kind in kinds
    assert (kinds.count("run.finished"), kinds[-1]) == (1, "run.finished")
    stored = journal_of(shell.runs[0])
    assert stored == [name for name in kinds if name != "content.delta"]
    # The draft is the last thing before the end: a signal sent there may come after it.
    allowed = {130} if kind != "draft.created" else {0, 130, -signal.SIGINT}
    assert ended.code in allowed
    if ended.code == 130:
        assert ended.events[-1]["status"] == "interrupted"
        assert shell.last_run["status"] == "interrupted"


def test_f11_f80_kill_at_random_moments(tmp_path: Path) -> None:
    """F11, F80: after kill -9 at any event the journal opens and the run shows as interrupted."""
    shell = Shell(tmp_path)
    moments = random.Random(20261121)
    for _ in range(12):
        after = moments.randrange(1, 40)
        process = shell.start(*MOCK, GOAL, *shell.faults(latency_ms=5), "--format", "jsonl", "-q")
        shown = 0
        for _line, kind in events_of(process):
            shown += kind != "content.delta"
            if shown >= after:
                break
        process.kill()
        finish(process)
        told = shell.kata("sessions", "show", "last", "--json").document
        stored = journal_of(shell.runs[-1])
        assert len(stored) >= shown, "what was shown was durable before"
        assert told["run_id"] == shell.runs[-1].name, "the newest run is last, in the same second too"
        assert told["status"] in ("interrupted", "completed")
        assert (told["status"] == "interrupted") == (
            stored[-1] == "run.finished" and told["exit_code"] == 130
        )
        if told["status"] == "interrupted":
            assert shell.last_run["status"] == "interrupted", "what was concluded is written down"
    again = shell.kata("sessions", "list", "--json").document
    assert len(again["runs"]) == 12
    assert shell.kata(*MOCK, GOAL, "-q").code == 0
    assert not list((shell.home / ".local/state/kata").rglob(".tmp*"))


def test_d1_the_clock_goes_back(tmp_path: Path) -> None:
    """D1: durations come from a monotonic clock; under a fixed time stamps are in order."""
    shell = Shell(tmp_path)
    scenario = shell.faults("rate_limited", times=2, latency_ms=1500)
    ended = shell.kata(*MOCK, GOAL, *scenario, "--json", env={"SOURCE_DATE_EPOCH": "0"})
    assert ended.code == 0
    assert all(task["duration_s"] >= 1.5 for task in ended.document["tasks"])
    stamps = [entry.ts for entry in read_journal(shell.runs[0] / "events.jsonl").recorded]
    assert stamps == sorted(stamps)
    assert stamps[0].startswith("1970-01-01T00:00:00")


def test_f11_what_a_dead_process_left_of_its_views_is_made_whole(tmp_path: Path) -> None:
    """F11: killed between the end of the run and its views: the next look sweeps and writes them."""
    shell = Shell(tmp_path)
    assert shell.kata(*MOCK, GOAL, "-q").code == 0
    run = shell.runs[-1]
    whole = {name: (run / name).read_bytes() for name in ("run.json", "spec.md", "spec.json")}
    for name in whole:
        (run / name).unlink()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (run / f".tmp-{gone.pid}-abc123").write_bytes(b"half")
    (run / "tasks" / f".tmp-{gone.pid}-abc124").write_bytes(b"half")
    assert shell.kata("sessions", "show", "last", "--json").document["status"] == "completed"
    assert {name: (run / name).read_bytes() for name in whole} == whole
    assert not list(run.rglob(".tmp*"))


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_p4_f80_git_does_not_outlive_kata(tmp_path: Path, number: signal.Signals) -> None:
    """P4, F80: a git that searches for minutes ends with the kata that asked it."""
    shell = Shell(tmp_path)
    told = tmp_path / "told"
    os.mkfifo(told)
    git = shell.write("../bin/git", f"#!/bin/sh\necho $$ > {told}\nexec sleep 600\n")
    git.chmod(0o755)
    process = shell.start(*MOCK, GOAL, env={"PATH": f"{git.parent}:{os.environ['PATH']}"})
    watch = os.pidfd_open(int(told.read_text()))
    process.send_signal(number)
    finish(process)
    assert select.select([watch], [], [], 0.5)[0] == [watch]
    os.close(watch)
