"""Runs that are ended at random moments and resumed until they are complete, and what must hold of them."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from cli.shell import MOCK, Shell
from kata_cli.core.events import (
    AttemptStarted,
    Recorded,
    RunStarted,
    TaskFinished,
    UsageReported,
)
from kata_cli.core.jsonl import split_lines
from kata_cli.store.journal import read_journal

GOAL = "Make save atomic, retry the load, and check the records"
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
BUDGET = 40_000
END_S = 20.0
CHILD_S = 0.5  # reliability.md P4
SCENARIO = """
latency_ms = 15
[[faults]]
task = "*"
kind = "rate_limited"
times = 2
retry_after_s = 0.01
"""
PLANNED = """
schema = "kata.workflow/v1"
name = "planned"
[[tasks]]
id = "split"
role = "investigate"
kind = "plan"
prompt = "Split {{goal}} into parts, given {{context}}"
[[tasks]]
id = "check"
role = "verify"
prompt = "How is {{goal}} checked?"
[[tasks]]
id = "join"
role = "synthesize"
needs = ["split", "check"]
prompt = "Sum up {{goal}} given {{tasks.split.output}} {{tasks.check.output}}"
[result]
task = "join"
kind = "KIND"
"""


class Job(msgspec.Struct, frozen=True):
    """A run that is going to be ended; `files` are its result, `events` is how many it tells, about."""

    name: str
    args: tuple[str, ...]
    files: tuple[str, ...]
    events: int


DRAFT = ("spec.md", "spec.json")
JOBS = (
    Job("parallel", (*MOCK, GOAL), DRAFT, 45),
    Job("plan", (*MOCK, GOAL, "-w", "../spec.toml", "--token-budget", str(BUDGET)), DRAFT, 45),
    Job("text", (*MOCK, GOAL, "-w", "../text.toml", "-j", "2"), ("tasks/join.md",), 36),
)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a chain: what it had shown, and what its run holds now, if there is one."""

    shown: list[bytes]
    run_id: str = ""
    status: str = ""
    journal: list[bytes] = []
    recorded: list[Recorded] = []

    @property
    def asked(self) -> set[str]:
        """Tasks that a model was asked for."""
        return {entry.event.task for entry in self.recorded if isinstance(entry.event, AttemptStarted)}

    @property
    def finished(self) -> set[str]:
        """Tasks with an answer."""
        ends = [entry.event for entry in self.recorded if isinstance(entry.event, TaskFinished)]
        return {end.task for end in ends if end.status == "completed"}

    @property
    def tokens(self) -> int:
        """What this process used, as recorded."""
        reports = [entry.event for entry in self.recorded if isinstance(entry.event, UsageReported)]
        return sum(report.usage.total for report in reports)


class Chain(msgspec.Struct, frozen=True):
    """A run and those that resumed it, and what was broken on the way: nothing, if all is well."""

    stages: list[Stage]
    broken: list[str]

    @property
    def ended(self) -> list[Stage]:
        """The processes that a signal met at work."""
        return [stage for stage in self.stages if stage.status in ("", "interrupted")]


def arena(root: Path) -> Shell:
    """A home and a project with the workflows and the scenario of the jobs beside it."""
    shell = Shell(root)
    for kind in ("spec", "text"):
        (root / f"{kind}.toml").write_text(PLANNED.replace("KIND", kind))
    (root / "scenario.toml").write_text(SCENARIO)
    return shell


def result_of(shell: Shell, job: Job) -> list[bytes]:
    """The result of the job when nothing goes wrong."""
    ended = shell.kata(*job.args, "-q")
    assert ended.code == 0, ended.stderr
    return _files(shell.runs[-1], job)


def tortured(shell: Shell, job: Job, whole: list[bytes], moments: random.Random) -> Chain:
    """End the run once or twice, resume it until it is complete, and compare."""
    stages: list[Stage] = []
    args = job.args
    for left in (*range(moments.choice((1, 2))), None):
        is_ended = left is not None
        stages.append(_stage(shell, args, moments if is_ended else None, job))
        if stages[-1].status == "completed":
            break
        args = _next(shell, job, stages[-1])
    return Chain(stages, [*_broken(shell, job, stages, whole)])


def _stage(shell: Shell, args: tuple[str, ...], moments: random.Random | None, job: Job) -> Stage:
    scenario = ("--scenario", str(shell.home.parent / "scenario.toml"))
    process = shell.start(
        *args, *scenario, "--format", "jsonl", "-q", start_new_session=True, stderr=subprocess.DEVNULL
    )
    shown = _ended(process, moments, job) if moments else process.communicate(timeout=END_S)[0]
    assert not (left := _left(process.pid)), f"left behind: {left}"
    lines = [line for line in _whole(shown) if b'"after":' not in line[:20]]
    if not lines or not json.loads(lines[0])["run_id"]:  # it ended before there was a run
        return Stage(shown=[])
    run_id = json.loads(lines[0])["run_id"]
    looked = shell.kata("sessions", "show", run_id, "--json")
    assert looked.code == 0, looked.stderr
    path = shell.runs[0].parent / run_id / "events.jsonl"
    journal, recorded = split_lines(path.read_bytes()), read_journal(path).recorded
    return Stage(
        shown=lines, run_id=run_id, status=looked.document["status"], journal=journal, recorded=recorded
    )


def _ended(process: subprocess.Popen[bytes], moments: random.Random, job: Job) -> bytes:
    """What a process had shown when a signal ended it: after some events, or after some milliseconds."""
    number, seen = moments.choice(SIGNALS), b""
    assert process.stdout is not None
    if moments.random() < 0.2:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(0.0, 0.3))
    else:
        for _ in range(moments.randrange(1, job.events)):
            seen += process.stdout.readline()
    process.send_signal(number)
    return seen + process.communicate(timeout=END_S)[0]


def _left(group: int) -> list[str]:
    """The processes of a group that do not end in time, each with its command line."""
    until_s = time.monotonic() + CHILD_S
    while (left := list(_running(group))) and time.monotonic() < until_s:
        pass
    return left


def _running(group: int) -> Iterator[str]:
    """Who runs in a group, as Linux tells it: a zombie has ended, and some init collects it after seconds."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name in parentheses may hold spaces; state, parent and group follow it.
            state, _parent, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                yield f"{folder.name} {(folder / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"


def _whole(shown: bytes) -> list[bytes]:
    return shown.split(b"\n")[:-1]


def _next(shell: Shell, job: Job, stage: Stage) -> tuple[str, ...]:
    """How to go on: resume, or begin anew where the run had not read its context yet."""
    ended = shell.kata("run", "--resume", stage.run_id, "--dry-run") if stage.run_id else None
    return ("run", "--resume", stage.run_id) if ended is not None and ended.code == 0 else job.args


def _broken(shell: Shell, job: Job, stages: list[Stage], whole: list[bytes]) -> list[str]:
    told = [f"{job.name}: the chain ended {stages[-1].status}"] if stages[-1].status != "completed" else []
    finished: set[str] = set()
    for stage in stages:
        if stage.recorded and not _started(stage).resumes:
            finished = set()
        if repeated := stage.asked & finished:
            told.append(f"{job.name}: asked again in {stage.run_id}: {sorted(repeated)}")
        if stage.shown != stage.journal[: len(stage.shown)]:
            told.append(f"{job.name}: {stage.run_id} lost what it had shown")
        if [entry.seq for entry in stage.recorded] != list(range(len(stage.journal))):
            told.append(f"{job.name}: the journal of {stage.run_id} is torn")
        finished |= stage.finished
    if not told and _files(shell.runs[0].parent / stages[-1].run_id, job) != whole:
        told.append(f"{job.name}: the result of {stages[-1].run_id} differs")
    if "--token-budget" in job.args and sum(stage.tokens for stage in stages) > BUDGET:
        told.append(f"{job.name}: the budget was passed")
    return told + [f"{job.name}: {path.name} was left" for path in shell.home.rglob(".tmp*")]


def _started(stage: Stage) -> RunStarted:
    event: Any = stage.recorded[0].event
    assert isinstance(event, RunStarted)
    return event


def _files(run: Path, job: Job) -> list[bytes]:
    return [(run / name).read_bytes() for name in job.files]
