"""Combinations that make no sense are refused, and every hint names something that can be typed."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest

from cli.shell import MOCK, Shell
from kata_cli.core.errors import MEANINGS

PACKAGE = Path(__file__).parents[2] / "kata_cli"
COMMAND = re.compile(r"\bkata ([a-z]+)")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--no-context", "--context", "."), 2, "exclude each other"),
        (("--dry-run", "-o", "x.md"), 2, "--dry-run writes no file"),
        (("-o", ""), 2, "the name of the file is empty"),
        (("--context", "README.md"), 11, "README.md is no directory"),
    ],
    ids=["contexts", "dry-run", "empty output", "context file"],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """Nothing that was typed is silently ignored."""
    shell = Shell(tmp_path)
    assert told in shell.kata(*MOCK, "goal", *arguments).refused(code)
    assert shell.runs == []


def test_a_task_alone_shows_nothing_of_it(tmp_path: Path) -> None:
    """`--task` says of what; without `--request` or `--reply` it would mean nothing."""
    assert "--request or --reply" in Shell(tmp_path).kata("sessions", "show", "last", "--task", "x").refused(
        2
    )


def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    """`-o FIFO` without a reader is an error at once, not a hang at the end of the run."""
    shell = Shell(tmp_path)
    fifo = shell.project / "fifo"
    os.mkfifo(fifo)
    assert "cannot write" in shell.kata(*MOCK, "-w", "ask", "goal", "-o", str(fifo)).refused(11)


def test_every_command_that_a_hint_names_exists(tmp_path: Path) -> None:
    """`kata X` in a hint is a command that answers `--help`."""
    shell = Shell(tmp_path)
    named = {match[1] for hint in _hints() for match in COMMAND.finditer(hint)}
    assert {"run", "models", "auth"} <= named
    assert [name for name in sorted(named) if shell.kata(name, "--help").code != 0] == []


def _hints() -> list[str]:
    """The third argument of every `KataError` and every `remediation=`: what a user is told to type."""
    hints = [meaning.remediation for meaning in MEANINGS.values()]
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "KataError":
                hints += [
                    argument.value
                    for argument in node.args[2:]
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                ]
    return hints


@pytest.mark.parametrize("line", ['{"task":"synth', "[]", '{"v":1,"reply":{}}'])
def test_damaged_exchanges_are_an_io_error(tmp_path: Path, line: str) -> None:
    """A file of the store that somebody damaged is named with its line; it is no bug of kata."""
    shell = Shell(tmp_path)
    assert shell.kata(*MOCK, "-w", "ask", "goal").code == 0
    (shell.runs[0] / "exchanges.jsonl").write_text(line + "\n")
    told = shell.kata("sessions", "show", "last", "--task", "answer", "--reply").refused(11)
    assert "exchanges.jsonl" in told


def test_two_drafts_of_one_goal_are_equal_whatever_their_files(tmp_path: Path) -> None:
    """The draft of the first run is no context of the second, also under another name."""
    shell = Shell(tmp_path)
    for name in ("spec.md", "other.md"):
        assert shell.kata(*MOCK, "Make save atomic", "-o", name).code == 0
    assert (shell.project / "spec.md").read_bytes() == (shell.project / "other.md").read_bytes()


def test_a_json_workflow_runs_in_mock_mode(tmp_path: Path) -> None:
    """`output = "json"` and `kind = "json"` give one JSON document on stdout."""
    shell = Shell(tmp_path)
    shell.write(
        "w.toml",
        'schema = "kata.workflow/v1"\nname = "w"\n[[tasks]]\nid = "a"\nrole = "review"\n'
        'prompt = "{{context}}"\noutput = "json"\n[result]\ntask = "a"\nkind = "json"\n',
    )
    ended = shell.kata(*MOCK, "-w", "./w.toml", "goal")
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout)["mode"] == "mock"
