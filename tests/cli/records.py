"""What runs left in their journals, and the way to make one fail, for tests of resume and replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli.shell import Ended, Shell
from kata_cli.core.jsonl import split_lines


def whole(shell: Shell, *args: str | Path, **options: Any) -> Ended:
    """A command that has to succeed."""
    ended = shell.kata(*args, **options)
    assert ended.code == 0, ended.stderr
    return ended


def fault(shell: Shell, task: str, kind: str = "task_failed") -> tuple[str, str]:
    """The option that makes one task fail for good."""
    path = shell.home.parent / f"{task}.toml"
    path.write_text(f'[[faults]]\ntask = "{task}"\nkind = "{kind}"\ntimes = 99\n')
    return "--scenario", str(path)


def events(run: Path) -> list[Any]:
    """The journal of a run."""
    return [json.loads(line) for line in split_lines((run / "events.jsonl").read_bytes())]


def asked(run: Path) -> list[str]:
    """The tasks that a run asked a model for, in order."""
    return [event["task"] for event in events(run) if event["type"] == "attempt.started"]
