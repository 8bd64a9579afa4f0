"""Nobody is left behind: neither an agent when kata is killed, nor what an agent's own tools have started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

# Fixed, for a project must not choose what is run.
SYSTEM_PATH = "/usr/bin:/bin"
PROBE_S = 2.0
# A process that is being killed may still start another.
MAX_ROUNDS = 10


def tied(argv: Sequence[str | Path], number: signal.Signals) -> list[str | Path]:
    """The command line of a process that the kernel sends a signal when its parent dies, where it can.

    On Linux by util-linux' `setpriv`, from 2.33 on; a `preexec_fn` would run Python between fork and exec,
    where the lock of another thread may be held for ever. Elsewhere the end of stdin has to be enough.

    The kernel means the thread that spawned (prctl(2), PR_SET_PDEATHSIG): asyncio spawns in the thread of
    its loop, and whoever ends that thread has to stop the agents before anyway.
    """
    setpriv = _setpriv()
    return [setpriv, "--pdeathsig", number.name, "--", *argv] if setpriv else list(argv)


@cache
def _setpriv() -> str | None:
    """The program, if it is the real one: that of busybox knows no such option."""
    found = shutil.which("setpriv", path=SYSTEM_PATH) if sys.platform == "linux" else None
    if found is None:
        return None
    try:
        probe = [found, "--pdeathsig", "KILL", "--", found, "--version"]
        done = subprocess.run(probe, env={}, capture_output=True, timeout=PROBE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if done.returncode == 0 else None


def end_all(mark: bytes) -> None:
    """Kill all processes of this user that were started with a variable, `NAME=value`. On Linux only.

    Children inherit their environment, so those are found that have left group, session and parent.
    """
    for _ in range(MAX_ROUNDS):
        marked = list(_marked(mark))
        for pid in marked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not marked:
            return


def _marked(mark: bytes) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = entry.read_bytes().split(b"\0")
        except OSError:  # another user's, or gone
            continue
        if mark in variables:
            yield int(entry.parent.name)
