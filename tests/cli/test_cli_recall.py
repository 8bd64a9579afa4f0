"""Runs that go on from a record: `--resume` and `--replay`."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from cli.shell import MOCK, Ended, Shell, signal_at

SPEC = (*MOCK, "Make save atomic and retry the load")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def fault(shell: Shell, kind: str, task: str, times: int = 99) -> tuple[str, str]:
    """The option that makes one task fail."""
    path = shell.home.parent / f"{task}.toml"
    path.write_text(f'[[faults]]\ntask = "{task}"\nkind = "{kind}"\ntimes = {times}\n')
    return "--scenario", str(path)


def asked(run: Path) -> list[str]:
    """The tasks that a run asked a model for, in order."""
    events = [json.loads(line) for line in (run / "events.jsonl").read_bytes().splitlines()]
    return [event["task"] for event in events if event["type"] == "attempt.started"]


def whole(shell: Shell, *args: str | Path) -> Ended:
    """A command that has to succeed."""
    ended = shell.kata(*args)
    assert ended.code == 0, ended.stderr
    return ended


def stopped_at(shell: Shell, number: signal.Signals, after: str) -> Path:
    """A run that a signal ended after a task had finished."""
    slow = shell.home.parent / "slow.toml"
    slow.write_text("latency_ms = 300\n")
    running = shell.start(*SPEC, "--format", "jsonl", "--scenario", str(slow), "-j", "1")
    assert running.stdout is not None
    seen = b""
    for line in running.stdout:
        seen += line
        event = json.loads(line)
        if event["type"] == "task.finished" and event["task"] == after:
            break
    signal_at(running, number, "attempt.started")
    stopped: Path = shell.runs[-1]
    return stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("after", ["investigate", "implement", "debug"])
def test_t6_a_stopped_run_is_resumed_without_asking_again(
    shell: Shell, number: signal.Signals, after: str
) -> None:
    """After SIGINT, SIGTERM or SIGKILL only what did not finish is asked; the draft is the same bytes."""
    stopped = stopped_at(shell, number, after)
    before = json.loads(shell.kata("sessions", "show", stopped.name, "--json").stdout)
    finished = {task["id"] for task in before["tasks"] if task["status"] == "completed"}
    assert after in finished
    whole(shell, "run", "--resume", stopped.name)
    resumed = shell.runs[-1]
    assert not finished & set(asked(resumed))
    assert {task["status"] for task in shell.last_run["tasks"]} == {"completed"}
    whole(shell, *SPEC)
    for name in ("spec.md", "spec.json"):
        assert (resumed / name).read_bytes() == (shell.runs[-1] / name).read_bytes()


def test_a_failed_run_is_resumed_past_the_task_that_failed(shell: Shell) -> None:
    """A task that failed is asked again; what completed beside it is not."""
    ended = shell.kata(*SPEC, *fault(shell, "provider_unavailable", "verify"), "-j", "1")
    assert ended.code == 6
    failed = shell.runs[-1]
    whole(shell, "run", "--resume", "last")
    assert "investigate" not in asked(shell.runs[-1])
    assert "verify" in asked(shell.runs[-1])
    assert asked(failed)[0] == "investigate"


def test_a_resumed_run_can_be_resumed(shell: Shell) -> None:
    """What two runs finished one after the other is asked by neither again."""
    shell.kata(*SPEC, *fault(shell, "task_failed", "verify"), "-j", "1")
    first = set(asked(shell.runs[-1]))
    shell.kata("run", "--resume", "last", *fault(shell, "task_failed", "critique"), "-j", "1")
    second = set(asked(shell.runs[-1]))
    whole(shell, "run", "--resume", "last")
    third = set(asked(shell.runs[-1]))
    assert "verify" in first & second
    assert third == {"critique", "synthesize"}


def test_changed_files_are_named_and_refused(shell: Shell) -> None:
    """A run is not resumed over other inputs unless that is accepted."""
    shell.kata(*SPEC, *fault(shell, "task_failed", "verify"))
    shell.write("shelf/store.py", "def save(): ...\n")
    told = shell.kata("run", "--resume", "last").refused(2)
    assert "shelf/store.py" in told
    assert "--accept-changes" in told
    whole(shell, "run", "--resume", "last", "--accept-changes")


@pytest.mark.parametrize(
    "more", [("a goal",), ("-f", "README.md"), ("-w", "quick"), ("-c",), ("--replay", "last")]
)
def test_a_resumed_run_takes_no_other_inputs(shell: Shell, more: tuple[str, ...]) -> None:
    """Goal, files, workflow and session are those of the record."""
    shell.kata(*SPEC, *fault(shell, "task_failed", "verify"))
    shell.kata("run", "--resume", "last", *more).refused(2)
    assert len(shell.runs) == 1


def test_a_complete_run_has_nothing_to_resume(shell: Shell) -> None:
    """Resuming it is refused with the way to look at it."""
    whole(shell, *SPEC)
    assert "sessions show" in shell.kata("run", "--resume", "last").refused(2)


def test_a_replayed_run_writes_the_same_draft(shell: Shell) -> None:
    """`--replay RUN` needs neither the files nor a provider; the draft is the same bytes."""
    whole(shell, *SPEC)
    first = shell.runs[-1]
    shell.write("shelf/store.py", "gone = 1\n")
    whole(shell, "run", "--replay", "last")
    assert (shell.runs[-1] / "spec.md").read_bytes() == (first / "spec.md").read_bytes()


def test_a_file_of_exchanges_answers_the_same_goal(shell: Shell) -> None:
    """`exchanges.jsonl`, kept anywhere, is a fixture: the same inputs give the same draft."""
    whole(shell, *SPEC)
    kept = shell.home.parent / "kept.jsonl"
    kept.write_bytes((shell.runs[-1] / "exchanges.jsonl").read_bytes())
    first = (shell.runs[-1] / "spec.md").read_bytes()
    whole(shell, "run", "--no-stdin", SPEC[-1], "--replay", str(kept))
    assert (shell.runs[-1] / "spec.md").read_bytes() == first


def test_a_record_in_the_repository_is_no_context_of_its_own_replay(shell: Shell) -> None:
    """A fixture lies where the tests are; it does not change what the replayed run asks."""
    whole(shell, *SPEC)
    kept = shell.project / "tests/exchanges.jsonl"
    kept.write_bytes((shell.runs[-1] / "exchanges.jsonl").read_bytes())
    whole(shell, "run", "--no-stdin", SPEC[-1], "--replay", "tests/exchanges.jsonl")


def test_a_replay_misses_with_the_difference(shell: Shell) -> None:
    """Another goal is not in the record: exit 2, and what differs is named."""
    whole(shell, *SPEC)
    told = shell.kata("run", "--no-stdin", "Something else", "--replay", "last").refused(2)
    assert "goal was" in told
    assert "Make save atomic" in told


def test_a_replay_repeats_failures_and_retries_without_waiting(shell: Shell) -> None:
    """What failed then and was asked again does so in the replay, offline and at once."""
    scenario = fault(shell, "rate_limited", "investigate", times=1)
    whole(shell, *SPEC, *scenario)
    first = shell.runs[-1]
    whole(shell, "run", "--replay", "last")
    assert asked(shell.runs[-1]).count("investigate") == 2
    assert (shell.runs[-1] / "spec.md").read_bytes() == (first / "spec.md").read_bytes()


@pytest.mark.parametrize("text", ["{}\n", "no json\n", '{"v":1}\n'])
def test_a_file_that_is_no_record_is_refused(shell: Shell, text: str) -> None:
    """A foreign file is an io error that names its line."""
    path = shell.write("bad.jsonl", text)
    assert "line 1" in shell.kata(*SPEC, "--replay", str(path)).refused(11)
