"""Which `pi` is run, and which generation of its protocol it speaks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kata_cli.core.errors import KataError
from kata_cli.core.text import one_line

INSTALL = "install Pi: npm install -g @earendil-works/pi-coding-agent (it needs node)"
UPDATE = "update Pi: npm install -g @earendil-works/pi-coding-agent@latest"
VERSION_S = 4.0
MAX_SAID_BYTES = 64 * 1024

_STDOUT, _STDERR = 1, 2
# Its own line, for node's warnings name versions too.
_VERSION = re.compile(r"^v?(\d+)\.(\d+)\.(\d+)\b", re.M)


class Version(NamedTuple):
    """A version of Pi, and what it can do (Pi's changelog; checked by runs of 0.74.2, 0.87.1 and 1.5.2)."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def has_settled(self) -> bool:
        """Whether the end of a run is an event of its own, `agent_settled`."""
        return self >= (0, 80, 4)

    @property
    def has_thinking_levels(self) -> bool:
        """Whether Pi can be asked for the thinking levels of a model."""
        return self >= (0, 81, 0)


OLDEST_TESTED = Version(0, 74, 2)


def find(configured: str, path_variable: str, cwd: Path) -> Path:
    """The absolute path of Pi: the one that is configured, or the first of that name on PATH.

    Neither `cwd` nor a relative entry of PATH is searched: the project must not choose what is run.
    Raises `KataError` agent_unavailable.
    """
    name = os.path.expanduser(configured.strip()) or "pi"
    if os.path.isabs(name):
        candidates = iter([Path(name)])
    elif "/" in name:
        raise KataError(
            "agent_unavailable", f"the path of Pi is relative: {name}", "set pi.binary to an absolute path"
        )
    else:
        candidates = (directory / name for directory in absolute_entries(path_variable, cwd))
    found = [path for path in candidates if path.is_file()]
    for path in found:
        if os.access(path, os.X_OK):
            return path
    if found:
        raise KataError("agent_unavailable", f"{found[0]} is not executable", f"chmod +x {found[0]}")
    where = "" if os.path.isabs(name) else " on PATH"
    raise KataError("agent_unavailable", f"Pi is not installed: no {name}{where}", INSTALL)


def absolute_entries(path_variable: str, cwd: Path) -> Iterator[Path]:
    """The directories of a PATH that a project cannot fill: no relative ones, and not `cwd` itself."""
    for entry in path_variable.split(os.pathsep):
        if os.path.isabs(entry) and Path(os.path.realpath(entry)) != Path(os.path.realpath(cwd)):
            yield Path(entry)


async def version_of(binary: Path, environment: Mapping[str, str], within_s: float = VERSION_S) -> Version:
    """The version that a binary reports, on whichever stream. Raises `KataError` agent_unavailable.

    0.74 writes it to stderr where stdin is no terminal.
    """
    answer = await _ask(binary, environment, within_s)
    match = _VERSION.search(answer.stdout) or _VERSION.search(answer.stderr)
    if answer.status != 0 or match is None:
        reason = one_line(f"{answer.stderr} {answer.stdout}", 300) or "nothing"
        raise KataError(
            "agent_unavailable", f"{binary} --version ended with {answer.status}: {reason}", INSTALL
        )
    version = Version(*map(int, match.groups()))
    if version < OLDEST_TESTED:
        told = f"Pi {version} at {binary} is older than {OLDEST_TESTED}, the oldest that kata is tested with"
        raise KataError("agent_unavailable", told, UPDATE)
    return version


class _Answer(asyncio.SubprocessProtocol):
    """How `--version` ended, and the first 64 KiB of either stream; what comes behind them is dropped.

    A `StreamReader` would pause at its limit instead, and the end of the process would never be told.
    """

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.status: int | None = None
        self._said = {_STDOUT: b"", _STDERR: b""}

    @property
    def stdout(self) -> str:
        return self._said[_STDOUT].decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        return self._said[_STDERR].decode("utf-8", "replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._said[fd] += data[: MAX_SAID_BYTES - len(self._said[fd])]

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def _ask(binary: Path, environment: Mapping[str, str], within_s: float) -> _Answer:
    try:
        transport, answer = await asyncio.get_running_loop().subprocess_exec(
            _Answer,
            binary,
            "--version",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise KataError("agent_unavailable", f"cannot start {binary}: {error.strerror}", INSTALL) from error
    try:
        async with asyncio.timeout(within_s):
            await answer.ended.wait()
    except TimeoutError:
        told = f"{binary} --version did not answer within {within_s:g} s"
        raise KataError("agent_unavailable", told, "kata doctor") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        transport.close()
        await answer.ended.wait()
    answer.status = transport.get_returncode()
    return answer
