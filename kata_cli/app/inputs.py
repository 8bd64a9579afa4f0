"""Which goal, which material: everything that can be wrong with them is said before a request is made."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from kata_cli.app import stdin
from kata_cli.app.options import RunOptions
from kata_cli.core.errors import KataError

STDIN_FD = 0
MAX_GOAL_BYTES = 1_048_576
MAX_DRAFT_BYTES = 4_194_304


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """The goal, and what came on stdin as context."""

    goal: str
    stdin_text: str = ""
    stdin_bytes: int = 0


def read_inputs(options: RunOptions, *, stdin_wait_s: float, say: Callable[[str], None]) -> Inputs:
    """The goal and the stdin text of a run. Raises `KataError`: usage, or io for a file."""
    if options.goal is not None and options.goal_file is not None:
        raise KataError("usage", "a goal was given twice", "give GOAL or --goal-file, not both")
    wait_s = None if options.reads_stdin else stdin_wait_s
    if options.goal_file is not None:
        goal = text_file(Path(options.goal_file), "goal file", MAX_GOAL_BYTES)
    elif options.goal == "-" or (options.goal is None and _may_read(options) and _source() != "terminal"):
        return Inputs(
            goal=_checked_goal(stdin.read_text(STDIN_FD, wait_s=wait_s, say=say), is_argument=False)
        )
    else:
        goal = options.goal or ""
    goal = _checked_goal(goal, is_argument=options.goal_file is None)
    if not _may_read(options) or not (options.reads_stdin or _source() in ("stream", "file")):
        return Inputs(goal=goal)
    text = stdin.read_text(STDIN_FD, wait_s=wait_s, say=say)
    size = len(text.encode())
    say(f"stdin: {size} bytes as context")
    return Inputs(goal=goal, stdin_text=text, stdin_bytes=size)


def text_file(path: Path, what: str, max_bytes: int) -> str:
    """A UTF-8 text file of bounded size. Raises `KataError` io for what cannot be read as that."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = file.read(max_bytes + 1) if is_regular or _is_pipe(descriptor) else b""
    except OSError as error:
        hint = f"ls -l {shlex.quote(str(path))}"
        raise KataError("io", f"cannot read {what} {path}: {error.strerror}", hint) from None
    if not is_regular and not data:
        raise KataError("io", f"{what} {path} is not a regular file", "name a file or a pipe")
    return stdin.as_text(data, f"{what} {path}", max_bytes)


def argument_text(value: str, what: str) -> str:
    """`@FILE` becomes the file's text, anything else stands for itself."""
    return text_file(Path(value[1:]), what, MAX_GOAL_BYTES) if value.startswith("@") else value


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode):
        os.set_blocking(descriptor, True)
    return stat.S_ISFIFO(mode)


def _may_read(options: RunOptions) -> bool:
    return options.reads_stdin is not False


def _source() -> stdin.Source:
    return stdin.source_of(STDIN_FD)


def _checked_goal(goal: str, *, is_argument: bool) -> str:
    if not goal.strip():
        raise KataError(
            "usage", "there is no goal", "kata run 'what you want'  (or pipe it, or --goal-file FILE)"
        )
    if len(goal.encode()) > MAX_GOAL_BYTES:
        code = "usage" if is_argument else "io"
        told = f"the goal is longer than {MAX_GOAL_BYTES} bytes"
        raise KataError(code, told, "put material into files: -f PATH")
    if is_argument and _names_file(goal):
        raise KataError(
            "usage",
            f"the goal {goal!r} is the name of a file",
            f"--goal-file {shlex.quote(goal)} to read the goal from it, or -f to show it; quote globs",
        )
    return goal.strip()


def _names_file(goal: str) -> bool:
    try:
        return len(goal) < 4096 and "\n" not in goal and os.path.isfile(goal)
    except ValueError:
        return False
