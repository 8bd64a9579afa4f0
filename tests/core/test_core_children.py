"""Children that are tied to their parent: the command stays what it is, and nothing of PATH ties it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kata_cli.core.children import tied

PARENT = """
import signal, subprocess, time
from kata_cli.core.children import tied
child = subprocess.Popen(tied(["sh", "-c", "echo $$; exec sleep 600"], signal.SIGKILL))
time.sleep(600)
"""


def test_the_command_that_is_tied_is_the_command() -> None:
    """Whatever stands before it passes arguments, status and output on as they are."""
    command = [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "--", "a b", ""]
    done = subprocess.run(tied(command, signal.SIGKILL), stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (3, b"['--', 'a b', '']\n")


def test_nothing_of_path_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that ties is looked for in the system's own directories alone (P8)."""
    hostile = tmp_path / "setpriv"
    hostile.write_text("#!/bin/sh\nexit 0\n")
    hostile.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    first = Path(tied(["true"], signal.SIGTERM)[0])
    assert first.parent != tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="this is Linux's")
def test_p4_a_tied_child_dies_with_a_killed_parent() -> None:
    """P4: within half a second, though it reads nothing and writes nothing."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        watch = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        assert select.select([watch], [], [], 0.5)[0] == [watch]
    os.close(watch)
