"""Running a program for a moment, to hear what it says: bounded in time and output, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

MAX_OUTPUT_BYTES = 65_536


def hear(
    argv: list[str], env: Mapping[str, str], limit_s: float, cwd: Path | None = None
) -> tuple[int | None, str]:
    """Exit status and output of both streams; None when time ran out, then its whole group is killed.

    The output goes to a file: a pipe could be held open by a grandchild. Raises `OSError`.
    """
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        output.seek(0)
        return status, output.read(MAX_OUTPUT_BYTES).decode("utf-8", "replace")
