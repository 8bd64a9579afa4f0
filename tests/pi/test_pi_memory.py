"""What a flood costs: a process of its own per kind, its peak of memory against that of a quiet request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fake_pi.flooded

PROGRAM = Path(fake_pi.flooded.__file__)
# Twice what may be kept, so that whoever kept it all would be found out.
MEGA_BYTES, MAX_GROWTH_KIB = 64, 32 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="counts the peak in KiB")
@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("flood-stdout", "ReplyFinished"),
        ("flood-lines", "ReplyFinished"),
        ("flood-events", "ReplyFinished"),
        ("flood-thoughts", "ReplyFinished"),
        ("flood-stderr", "ReplyFinished"),
        ("endless-line", "ReplyFailed"),
    ],
)
def test_f65_f66_floods_are_drained_and_not_kept(tmp_path: Path, fault: str, end: str) -> None:
    """Garbage, unknown events, thoughts and stderr pass, and the answer behind them is heard (P5).

    A line without an end is the one flood that ends the agent.
    """
    path = os.pathsep.join([*sys.path, str(PROGRAM.parents[1])])
    command = [sys.executable, str(PROGRAM), str(tmp_path), fault, str(MEGA_BYTES)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True)
    growth_kib, last = done.stdout.split()
    assert last.decode() == end
    assert int(growth_kib) <= MAX_GROWTH_KIB
