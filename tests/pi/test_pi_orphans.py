"""Nobody is left behind: the search for strays."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kata_cli.pi import orphans

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="this is Linux's")
MARK = b"KATA_TEST_MARK=here"


@contextmanager
def sleeping(**variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, with some variables."""
    command = ["sleep", "600"]
    with subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True) as child:
        try:
            yield child
        finally:
            child.kill()


@LINUX
def test_marked_processes_are_killed_and_no_others() -> None:
    """The whole variable has to be the same, and who does not have it lives on."""
    with sleeping(KATA_TEST_MARK="here") as marked, sleeping(KATA_TEST_MARK="here2") as other:
        orphans.end_all(MARK)
        assert marked.wait() == -signal.SIGKILL
        assert other.poll() is None


@LINUX
def test_p7_descendants_of_descendants_are_found() -> None:
    """A child that left session and parent has the variable still."""
    script = "setsid sh -c 'echo $$; exec sleep 600' & exit 0"
    environment = {**os.environ, "KATA_TEST_MARK": "here"}
    with subprocess.Popen(["sh", "-c", script], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        watch = os.pidfd_open(int(parent.stdout.readline()))
        parent.wait()
        orphans.end_all(MARK)
        assert select.select([watch], [], [], 5)[0] == [watch]
    os.close(watch)


@LINUX
def test_without_a_marked_process_nothing_happens() -> None:
    """Nobody has the mark, so nobody is killed."""
    orphans.end_all(b"KATA_TEST_MARK=nobody")
