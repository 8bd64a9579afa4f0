"""Runs that end at any moment and go on from there: nothing lost, nothing paid twice, nothing left."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

import pytest

from cli.records import asked, fault
from cli.shell import MOCK, Shell, events_of, finish, signal_at
from faults.torture import JOBS, Job, arena, result_of, tortured
from kata_cli.core.jsonl import split_lines

SPEC = (*MOCK, "Make save atomic")
WAITING = ("--token-budget", "12000", "-j", "4")


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_f11_f80_t1_t6_ended_at_random_moments_and_resumed(tmp_path: Path, job: Job) -> None:
    """F11, F80, T1, T6: whole journals, no answer asked for twice, the same bytes, no child or file left."""
    shell = arena(tmp_path)
    whole = result_of(shell, job)
    moments = random.Random(f"20261121 {job.name}")
    chains = [tortured(shell, job, whole, moments) for _ in range(6)]
    assert [line for chain in chains for line in chain.broken] == []
    assert sum(len(chain.ended) for chain in chains) >= 4


def cut_after(run: Path, kind: str) -> None:
    """What a kill leaves that came right after the first event of a kind."""
    lines = split_lines((run / "events.jsonl").read_bytes())
    number = next(number for number, line in enumerate(lines, 1) if json.loads(line)["type"] == kind)
    (run / "events.jsonl").write_bytes(b"".join(line.strip() + b"\n" for line in lines[:number]))
    for view in ("run.json", "spec.md", "spec.json", "exchanges.jsonl"):
        (run / view).unlink(missing_ok=True)


@pytest.mark.parametrize("kind", ["run.started", "context.gathered", "plan.created"])
def test_t6_a_resumed_run_killed_before_it_told_what_it_took_over(tmp_path: Path, kind: str) -> None:
    """T6: what the first run finished is known to the third, though the second died before it said so."""
    shell = Shell(tmp_path)
    shell.kata(*SPEC, *fault(shell, "verify"), "-j", "1")
    done = set(asked(shell.runs[-1])) - {"verify"}
    shell.kata("run", "--resume", "last", *fault(shell, "critique"), "-j", "1")
    cut_after(shell.runs[-1], kind)
    ended = shell.kata("run", "--resume", shell.runs[-1].name)
    assert ended.code == 0, ended.stderr
    assert done
    assert not done & set(asked(shell.runs[-1]))
    whole = (shell.runs[-1] / "spec.md").read_bytes()
    assert shell.kata(*SPEC).code == 0
    assert (shell.runs[-1] / "spec.md").read_bytes() == whole


def test_f12_work_that_a_damaged_journal_lost_is_told(tmp_path: Path) -> None:
    """F12: what stands before the damage counts, what stood behind it is asked again, and that is said."""
    shell = Shell(tmp_path)
    shell.kata(*SPEC, *fault(shell, "verify"), "-j", "1")
    path = shell.runs[-1] / "events.jsonl"
    lines = split_lines(path.read_bytes())
    ended = [n for n, line in enumerate(lines) if b'"task.finished"' in line]
    lines[ended[1]] = b"no event"
    path.write_bytes(b"".join(line.strip() + b"\n" for line in lines))
    resumed = shell.kata("run", "--resume", "last")
    assert resumed.code == 0
    assert "is no event; what follows it is left out" in resumed.stderr
    assert "investigate" not in asked(shell.runs[-1])
    assert "implement" in asked(shell.runs[-1])


@pytest.mark.parametrize("text", [b"", b"no event\n", b"\0" * 512])
def test_f12_a_journal_without_a_beginning_is_refused(tmp_path: Path, text: bytes) -> None:
    """F12, F13: a run of which nothing can be read is an io error with a way on, for both flags."""
    shell = Shell(tmp_path)
    shell.kata(*SPEC, *fault(shell, "verify"), "-j", "1")
    (shell.runs[-1] / "events.jsonl").write_bytes(text)
    for flag in ("--resume", "--replay"):
        assert "journal" in shell.kata("run", flag, shell.runs[-1].name).refused(11)


def test_t2_a_torn_last_record_costs_that_record_only(tmp_path: Path) -> None:
    """T2: a journal cut in the middle of its last line is resumed from the line before."""
    shell = Shell(tmp_path)
    shell.kata(*SPEC, *fault(shell, "verify"), "-j", "1")
    path = shell.runs[-1] / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    (shell.runs[-1] / "run.json").unlink()
    assert shell.kata("run", "--resume", "last").code == 0
    assert "investigate" not in asked(shell.runs[-1])


def test_f73_a_stop_while_tasks_wait_for_the_budget(tmp_path: Path) -> None:
    """F73, C1: tasks that wait for room end with the others; what waited was never asked."""
    shell = Shell(tmp_path)
    process = shell.start(*SPEC, *WAITING, *shell.faults(latency_ms=15_000), "--format", "jsonl")
    ended = signal_at(process, signal.SIGINT, "attempt.started")
    assert ended.code == 130
    states = {task["id"]: task["status"] for task in shell.last_run["tasks"]}
    assert set(states.values()) <= {"failed", "skipped", "queued"}
    assert asked(shell.runs[-1]) == ["investigate"]


def test_a_run_at_work_names_its_owner(tmp_path: Path) -> None:
    """Exit 11 with the process that has it, and how it is stopped; both stay as they are."""
    shell = Shell(tmp_path)
    process = shell.start(*SPEC, *shell.faults(latency_ms=15_000), "--format", "jsonl")
    for _line, kind in events_of(process):
        if kind == "plan.created":
            break
    try:
        told = shell.kata("run", "--resume", "last").refused(11)
        assert str(process.pid) in told
        assert "sessions stop" in told
    finally:
        process.terminate()
        assert finish(process).code == 143
    assert len(shell.runs) == 1
