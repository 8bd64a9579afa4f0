"""`kata batch`: one line in, one line out, each a run of its own; nothing is lost and nothing hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli.records import asked, events
from cli.shell import EPOCH, Ended, Shell, finish
from kata_cli.app.schemas import json_schema

BATCH = ("batch", "--mode", "mock", "-w", "ask", "--no-context")
SLOW_MS = 60_000


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def lines(count: int, **fields: Any) -> bytes:
    """So many lines for `kata batch`, with ids l1, l2, …"""
    asked = [{"id": f"l{number}", "goal": f"Why {number}?", **fields} for number in range(1, count + 1)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in asked)


def results(ended: Ended) -> dict[str | None, Any]:
    """The result lines by id; the last line is checked to be what it should be."""
    *found, last = ended.events
    assert (last["type"], last["exit_code"], last["lines"]) == ("batch.finished", ended.code, len(found))
    return {line["id"]: line for line in found}


def test_each_line_is_a_run_of_its_own(shell: Shell) -> None:
    """A result document with the id per line; the run and its session are in the store with all evidence."""
    shell.write("in.jsonl", lines(3))
    ended = shell.kata(*BATCH, "in.jsonl")
    assert ended.code == 0, ended.stderr
    found = results(ended)
    assert {id: line["line"] for id, line in found.items()} == {"l1": 1, "l2": 2, "l3": 3}
    assert sorted(line["run_id"] for line in found.values()) == [run.name for run in shell.runs]
    for id, line in found.items():
        assert (line["schema"], line["status"], line["exit_code"]) == ("kata.result/v1", "completed", 0)
        assert id is not None
        shown = shell.kata("sessions", "show", line["run_id"], "--json").document
        assert shown["goal"] == f"Why {id[1:]}?"
        assert line["run_id"] in shell.kata("sessions", "tree", line["session_id"]).text
        names = {path.name for path in shell.runs[0].iterdir()}
        assert names == {"events.jsonl", "exchanges.jsonl", "run.json", "tasks"}
    last = ended.events[-1]
    assert (last["completed"], last["failed"], last["not_begun"]) == (3, 0, 0)
    assert last["usage"]["input"] == sum(line["usage"]["input"] for line in found.values())
    assert ended.stderr.splitlines()[0].startswith("3 lines · mock mock/mock-1")
    assert ended.stderr.splitlines()[-1].startswith("3 of 3 lines")


def test_the_last_line_is_told_by_its_schema(shell: Shell) -> None:
    """An empty batch has its last line too; all is zero and so is the exit status."""
    ended = shell.kata(*BATCH, "-", stdin=b"\n\n")
    last = ended.events[0]
    assert (ended.code, last["lines"], last["not_begun"]) == (0, 0, 0)
    Draft202012Validator(json_schema("batch")).validate(last)


def test_a_line_stands_above_the_command_line(shell: Shell) -> None:
    """Workflow, variables, files and output of a line; `@file` in its variables is plain text."""
    shell.write(
        "mine.toml",
        'schema = "kata.workflow/v1"\nname = "mine"\n[vars.a]\nrequired = true\n[vars.b]\nrequired = true\n'
        '[[tasks]]\nid = "t"\nrole = "answer"\nprompt = "{{goal}} {{vars.a}} {{vars.b}} {{context}}"\n'
        '[result]\ntask = "t"\nkind = "text"\n',
    )
    line = {"id": "x", "goal": "Why?", "workflow": "./mine.toml", "vars": {"a": "@README.md"}}
    line |= {"files": ["shelf/store.py"], "output": "x.txt"}
    shell.write("in.jsonl", json.dumps(line))
    ended = shell.kata(*BATCH, "in.jsonl", "--var", "b=typed")
    assert ended.code == 0, ended.stderr
    request = shell.kata("sessions", "show", "last", "--task", "t", "--request").text
    assert "@README.md typed" in request
    assert "def save" in request
    assert (shell.project / "x.txt").read_text() == results(ended)["x"]["result"]["text"]


BAD = (
    b'{"id":"ok","goal":"Why?"}\nnonsense\n{"id":"ok","goal":"again"}\n'
    b'{"id":"a b","goal":"x"}\n{"id":"w","goal":"Why?","workflow":"nope"}\n{"id":"g","goal":" "}\n'
)


def test_a_file_is_checked_before_anything_is_asked(shell: Shell) -> None:
    """Every bad line is told with its number, the whole file is refused, and no run begins."""
    shell.write("bad.jsonl", BAD)
    ended = shell.kata(*BATCH, "bad.jsonl")
    assert "5 lines of bad.jsonl cannot be run" in ended.refused(2)
    told = [line for line in ended.stderr.splitlines() if ": hint:" not in line]
    assert [line.split(":")[0] for line in told[:5]] == [f"line {number}" for number in range(2, 7)]
    assert (ended.stdout, shell.runs) == (b"", [])


def test_a_bad_line_of_a_stream_fails_alone(shell: Shell) -> None:
    """From a pipe each bad line is a failed line, exit 2, and the others go on."""
    ended = shell.kata(*BATCH, "-", stdin=BAD)
    assert ended.code == 2
    *found, last = ended.events
    assert {line["line"]: line["exit_code"] for line in found} == {1: 0, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2}
    assert last["exit_codes"] == {"0": 1, "2": 5}
    assert [line["id"] for line in found if line["line"] in (2, 3, 4)] == [None, None, None]
    assert len(shell.runs) == 1


def test_results_in_the_order_of_the_lines(shell: Shell) -> None:
    """With --ordered results come in input order although later lines end earlier."""
    workflow = 'schema = "kata.workflow/v1"\nname = "{0}"\n[result]\ntask = "t{1}"\nkind = "text"\n'
    task = '[[tasks]]\nid = "t{0}"\nrole = "answer"\nprompt = "{{{{goal}}}}"\nneeds = [{1}]\n'
    for count in (1, 6):
        needs = ["", *(f'"t{number}"' for number in range(count))]
        tasks = "".join(task.format(number, needs[number]) for number in range(count))
        shell.write(f"w{count}.toml", workflow.format(f"w{count}", count - 1) + tasks)
    asked = [
        {"id": f"l{n}", "goal": "Why?", "workflow": f"./w{6 if n == 1 else 1}.toml"} for n in range(1, 6)
    ]
    given = "".join(json.dumps(line) + "\n" for line in asked).encode()
    slow = shell.faults(latency_ms=50)
    ordered = shell.kata(*BATCH, "-", *slow, "--ordered", stdin=given, env=EPOCH)
    assert [line["id"] for line in ordered.events[:-1]] == ["l1", "l2", "l3", "l4", "l5"]
    loose = shell.kata(*BATCH, "-", *slow, stdin=given, env=EPOCH)
    assert [line["id"] for line in loose.events[:-1]][-1] == "l1"


def test_fixed_time_gives_the_same_bytes(shell: Shell) -> None:
    """Under SOURCE_DATE_EPOCH two batches print the same bytes, equal goals included."""
    given = lines(2).replace(b"Why 2?", b"Why 1?")
    first, second = (shell.kata(*BATCH, "-", "--ordered", stdin=given, env=EPOCH) for _ in range(2))
    assert first.stdout == second.stdout
    assert (first.code, len(shell.runs)) == (0, 2)


@pytest.mark.parametrize(
    ("kinds", "exit"), [(("rate_limited",), 6), (("invalid_auth",), 4), (("task_failed",), 8)]
)
def test_a_cause_that_all_failures_share(shell: Shell, kinds: tuple[str, ...], exit: int) -> None:
    """Where all lines that failed did so for one cause, its exit status is that of the batch."""
    ended = shell.kata(*BATCH, "-", *shell.faults(*kinds), stdin=lines(2), env=EPOCH)
    assert {line["exit_code"] for line in results(ended).values()} == {exit}
    ended.refused(exit)


def test_a_failed_line_does_not_stop_the_others(shell: Shell) -> None:
    """One failure of many: it is told under its id, the rest completes, the status is its own."""
    scenario = shell.faults("invalid_auth", times=1)
    ended = shell.kata(*BATCH, "-", *scenario, "-j", "1", stdin=lines(3), env=EPOCH)
    statuses = {id: line["status"] for id, line in results(ended).items()}
    assert statuses == {"l1": "failed", "l2": "completed", "l3": "completed"}
    assert "l1: invalid_auth: " in ended.stderr
    assert ended.refused(4).startswith("kata: 1 of 3 lines failed: invalid_auth 1")


def test_attempts_are_numbered_by_line(shell: Shell) -> None:
    """Runs that share a service do not share the numbers of their attempts."""
    found = results(shell.kata(*BATCH, "-", stdin=lines(3)))
    assert {task["attempts"] for line in found.values() for task in line["tasks"]} == {1}


def test_r9_a_budget_is_shared_by_all_lines(shell: Shell) -> None:
    """The token budget holds for the batch: exit 7, nothing more is begun, the limit is never passed."""
    ended = shell.kata(*BATCH, "-", "--token-budget", "20000", "-j", "2", stdin=lines(300), env=EPOCH)
    last = ended.events[-1]
    assert "--token-budget" in str(ended.events[-2]["error"]) + ended.stdout.decode()
    ended.refused(7)
    assert last["usage"]["input"] + last["usage"]["output"] <= 20_000
    assert 0 < last["completed"] < 300
    assert last["failed"] <= 2
    assert last["not_begun"] is None


def test_a_deadline_holds_for_the_batch(shell: Shell) -> None:
    """--timeout ends the lines that are at work with 124 and begins no more."""
    shell.write("in.jsonl", lines(9))
    ended = shell.kata(
        *BATCH, "in.jsonl", *shell.faults(latency_ms=400), "--timeout", "1", "-j", "2", env=EPOCH
    )
    ended.refused(124)
    last = ended.events[-1]
    assert (last["completed"], last["failed"], last["not_begun"]) == (4, 2, 3)


def started(process: subprocess.Popen[bytes], shell: Shell, count: int) -> None:
    """Wait until so many runs have asked their provider."""
    while True:
        journals = [path / "events.jsonl" for path in shell.runs]
        if sum(b"attempt.started" in path.read_bytes() for path in journals if path.exists()) >= count:
            return
        assert process.poll() is None


@pytest.mark.parametrize(("number", "exit"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_c1_f75_a_signal_stops_the_batch(shell: Shell, number: signal.Signals, exit: int) -> None:
    """C1, F75: lines at work are recorded interrupted and told so, the others are not begun."""
    shell.write("in.jsonl", lines(5))
    process = shell.start(*BATCH, "in.jsonl", *shell.faults(latency_ms=SLOW_MS), "-j", "2")
    started(process, shell, 2)
    process.send_signal(number)
    ended = finish(process)
    assert ended.code == exit
    assert {line["status"] for line in results(ended).values()} == {"interrupted"}
    assert (ended.events[-1]["interrupted"], ended.events[-1]["not_begun"]) == (2, 3)
    assert {json.loads((run / "run.json").read_bytes())["status"] for run in shell.runs} == {"interrupted"}
    assert len(shell.runs) == 2
    assert not list((shell.home / ".local/state/kata").rglob("*owner"))
    assert f"stopped by {number.name}" in ended.refused(exit)


def test_f74_a_second_signal_ends_at_once(shell: Shell) -> None:
    """F74: after a second Ctrl-C nothing is waited for."""
    process = shell.start(*BATCH, "-", *shell.faults(latency_ms=SLOW_MS), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(lines(1))
    started(process, shell, 1)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert finish(process).code in (130, -signal.SIGINT)


def test_a_stop_while_the_input_is_awaited(shell: Shell) -> None:
    """A pipe that stays open hangs neither the results nor a Ctrl-C."""
    process = shell.start(*BATCH, "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines(1))
    first = process.stdout.readline()
    assert json.loads(first)["id"] == "l1"
    process.send_signal(signal.SIGINT)
    ended = finish(process, first)
    assert (ended.code, ended.events[-1]["completed"]) == (130, 1)


def test_stdin_never_hangs(shell: Shell) -> None:
    """A pipe on which nothing comes is exit 2 after `stdin_wait`, with a way to wait longer."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as silent:
        ended = shell.kata(*BATCH, "-", stdin=silent, env={"KATA_STDIN_WAIT": "0.1"})
    os.close(write_end)
    assert "KATA_STDIN_WAIT" in ended.refused(2)
    assert shell.runs == []


def test_what_completed_is_not_run_again(shell: Shell) -> None:
    """--resume-batch passes on what completed, runs the rest, and its own output can be resumed again."""
    shell.write("in.jsonl", lines(4))
    first = shell.kata(*BATCH, "in.jsonl", *shell.faults("invalid_auth", times=2), "-j", "1", env=EPOCH)
    torn = first.stdout.splitlines(keepends=True)
    shell.write("out1", b"".join(torn[:-2]) + torn[-2][:40])
    second = shell.kata(*BATCH, "in.jsonl", "--resume-batch", "out1", "--ordered")
    assert second.code == 0, second.stderr
    assert [line["id"] for line in second.events[:-1]] == ["l1", "l2", "l3", "l4"]
    assert results(second)["l3"] == results(first)["l3"]
    assert second.events[-1]["passed_on"] == 1
    shell.write("out2", second.stdout)
    third = shell.kata(*BATCH, "in.jsonl", "--resume-batch", "out2")
    assert (third.code, third.events[-1]["passed_on"], third.events[-1]["usage"]) == (0, 4, {})


def broken_off(shell: Shell, env: Mapping[str, str] | None = None) -> dict[str | None, Any]:
    """The results of a batch of two lines, one of whose specialists failed once."""
    shell.write("note.txt", "The parser drops the last line.")
    shell.write("in.jsonl", lines(2, workflow="spec", files=["note.txt"]))
    scenario = '[[faults]]\ntask = "verify"\nkind = "invalid_auth"\n'
    ended = shell.kata(*BATCH, "in.jsonl", "--scenario", shell.write("scenario.toml", scenario), env=env)
    shell.write("out1", ended.stdout)
    return results(ended)


def run_of(shell: Shell, line: dict[str, Any]) -> Path:
    """The directory of the run that a result is of."""
    [run] = [run for run in shell.runs if run.name == line["run_id"]]
    return run


@pytest.mark.parametrize("env", [None, EPOCH])
def test_a_line_that_broke_off_goes_on_with_its_run(shell: Shell, env: Mapping[str, str] | None) -> None:
    """--resume-batch asks again only for what the run of a line had not finished, in the same session."""
    first = broken_off(shell, env)
    [failed] = [line for line in first.values() if line["exit_code"]]
    [whole] = [line for line in first.values() if not line["exit_code"]]
    ended = shell.kata(*BATCH, "in.jsonl", "--resume-batch", "out1", env=env)
    assert ended.code == 0, ended.stderr
    resumed = results(ended)[failed["id"]]
    before, now = set(asked(run_of(shell, failed))), set(asked(run_of(shell, resumed)))
    done = {task["id"] for task in failed["tasks"] if task["status"] == "completed"}
    assert done
    assert now == set(asked(run_of(shell, whole))) - done
    assert before & now == {"verify"}
    assert events(run_of(shell, resumed))[0]["resumes"] == failed["run_id"]
    assert resumed["session_id"] == failed["session_id"]
    assert [task["status"] for task in resumed["tasks"]] == ["completed"] * len(whole["tasks"])


@pytest.mark.parametrize("change", ["goal", "files", "thinking", "workflow", "content"])
def test_a_line_that_asks_for_something_else_is_run_anew(shell: Shell, change: str) -> None:
    """Nothing is taken over from a run that was asked something else, or shown something else."""
    first = broken_off(shell)
    [failed] = [line for line in first.values() if line["exit_code"]]
    asked_then = shell.project.joinpath("in.jsonl").read_text()
    shell.write("other.txt", "Another note.")
    edits = {
        "goal": ("Why", "Since when"),
        "files": ("note.txt", "other.txt"),
        "workflow": ('"spec"', '"quick"'),
    }
    shell.write("in.jsonl", asked_then.replace(*edits.get(change, ("", ""))))
    if change == "content":
        shell.write("note.txt", "The parser drops the first line.")
    words = ["--thinking", "high"] if change == "thinking" else []
    ended = shell.kata(*BATCH, "in.jsonl", "--resume-batch", "out1", *words)
    assert ended.code == 0, ended.stderr
    anew = results(ended)[failed["id"]]
    assert "resumes" not in events(run_of(shell, anew))[0]
    assert len(asked(run_of(shell, anew))) == len(anew["tasks"])


def test_an_output_that_cannot_be_resumed(shell: Shell) -> None:
    """A file that no batch printed, none at all, or the one that stdout writes to: refused at once."""
    shell.write("in.jsonl", lines(1))
    assert "line 1 of in.jsonl" in shell.kata(*BATCH, "in.jsonl", "--resume-batch", "in.jsonl").refused(2)
    assert "none.jsonl" in shell.kata(*BATCH, "in.jsonl", "--resume-batch", "none.jsonl").refused(11)
    words = " ".join(BATCH)
    ended = shell.bash(f"kata {words} in.jsonl > out; kata {words} in.jsonl --resume-batch out >> out")
    assert "write to another file" in ended.refused(2)
    assert len(shell.runs) == 1


def test_outputs_are_not_shared(shell: Shell) -> None:
    """Two lines that write one file would lose a result: the second is refused."""
    ended = shell.kata(*BATCH, "-", stdin=lines(2, output="out.txt"))
    assert {line["line"]: line["exit_code"] for line in ended.events[:-1]} == {1: 0, 2: 2}


def test_a_reader_who_leaves(shell: Shell) -> None:
    """After `head -1` nothing more is begun: nobody would read it, and it would be paid for."""
    slow = " ".join(shell.faults(latency_ms=20))
    shell.write("in.jsonl", lines(200))
    ended = shell.bash(f"kata {' '.join(BATCH)} in.jsonl -j 1 {slow} | head -1")
    assert ended.code == 0, ended.stderr
    assert len(shell.runs) < 100
    assert shell.bash(f"kata {' '.join(BATCH)} in.jsonl -j 1 {slow} > /dev/full").code == 11
    assert len(shell.runs) < 150


def test_secrets_do_not_come_out(shell: Shell) -> None:
    """S1: a key of the environment is in no result, no message and no file."""
    key = "sk-ant-" + "canary" * 8
    given = json.dumps({"id": key, "goal": f"Why {key}?", key: 1}).encode() + b"\n"
    given += json.dumps({"id": key, "goal": f"Why {key}?"}).encode()
    ended = shell.kata(*BATCH, "-", stdin=given, env={"ANTHROPIC_API_KEY": key})
    assert key not in ended.stdout.decode() + ended.stderr
    state = shell.home / ".local/state/kata"
    assert not [path for path in state.rglob("*") if path.is_file() and key in path.read_text()]


def test_no_key_is_told_before_anything_is_read(shell: Shell) -> None:
    """Without a key the whole batch is refused, exit 4, not every line of it."""
    shell.write("in.jsonl", lines(3))
    shell.kata("batch", "in.jsonl").refused(4)
    assert shell.runs == []


@pytest.mark.parametrize(("name", "exit"), [("none.jsonl", 11), ("shelf", 11)])
def test_a_file_that_is_none(shell: Shell, name: str, exit: int) -> None:
    """A missing file and a directory are told as such."""
    assert name in shell.kata(*BATCH, name).refused(exit)
