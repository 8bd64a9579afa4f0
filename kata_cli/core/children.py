"""A child process that does not outlive its parent, whatever ends that."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

# Fixed, for a project must not choose what is run.
SYSTEM_PATH = "/usr/bin:/bin"
PROBE_S = 2.0


def tied(argv: Sequence[str | Path], number: signal.Signals) -> list[str | Path]:
    """The command line of a process that the kernel sends a signal when its parent dies, where it can.

    On Linux by util-linux' `setpriv`, from 2.33 on; a `preexec_fn` would run Python between fork and exec,
    where the lock of another thread may be held for ever. Elsewhere the end of its pipes has to be enough.

    The kernel means the thread that spawned (prctl(2), PR_SET_PDEATHSIG): it has to live as long as the child
    is wanted.
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
