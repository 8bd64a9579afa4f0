"""Stopping a run ends the process that holds it, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from made_events import RUN_ID, finished, lines, recorded, unfinished

from kata_cli.app.options import Common
from kata_cli.app.session_stop import stop_run
from kata_cli.app.session_tree import open_stores
from kata_cli.core.errors import KataError
from kata_cli.store.owner import OwnerLock
from kata_cli.store.runs import RunStore
from kata_cli.store.sessions import SessionStore

DEAF = """
import signal, sys
from pathlib import Path
from kata_cli.store.owner import OwnerLock
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = OwnerLock.acquire(Path(sys.argv[1], "runs", sys.argv[2]))
print("owned", flush=True)
sys.stdin.read()
"""


def make_run(state: Path, *, is_finished: bool = False) -> Path:
    run = RunStore(state).create(RUN_ID)
    run.journal.append(lines(recorded(finished() if is_finished else unfinished())))
    run.close()
    return run.path


def common(state: Path) -> Common:
    return Common(flags={"home": str(state)}, is_isolated=True)


@contextmanager
def program(text: str, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said its first line."""
    command = [sys.executable, "-c", text, *args]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


def test_se11_a_process_that_will_not_stop_is_killed_only_by_force(tmp_path: Path) -> None:
    """Without --force it is named and goes on; with it the run ends interrupted."""
    make_run(tmp_path)
    with program(DEAF, str(tmp_path), RUN_ID) as deaf:
        with pytest.raises(KataError, match=f"process {deaf.pid} still works on the run {RUN_ID}") as caught:
            stop_run(common(tmp_path), RUN_ID, is_forced=False, wait_s=0)
        assert caught.value.failure.exit == 11
        assert caught.value.failure.hint == f"kata sessions stop {RUN_ID} --force"
        assert deaf.poll() is None
        stopped = stop_run(common(tmp_path), RUN_ID, is_forced=True, wait_s=0)
        assert deaf.wait(10) == -9
    assert (stopped.status, stopped.pid, stopped.is_killed) == ("interrupted", deaf.pid, True)


def test_se11_a_number_that_another_process_has_now_is_left_alone(tmp_path: Path) -> None:
    """An owner file without its lock says nothing: the process it names is somebody else's."""
    path = make_run(tmp_path, is_finished=True)
    with program("print(1, flush=True); input()") as innocent:
        owner = {"pid": innocent.pid, "host": "whatever"}
        (path / "owner").write_text(json.dumps(owner))
        stopped = stop_run(common(tmp_path), RUN_ID, is_forced=True)
        assert (stopped.pid, stopped.status) == (None, "completed")
        assert innocent.poll() is None


def test_se11_a_run_on_another_host_is_not_signalled(tmp_path: Path) -> None:
    """On a shared disk the number means a process of another machine."""
    path = make_run(tmp_path)
    lock = OwnerLock.acquire(path)
    try:
        (path / "owner").write_text('{"pid": 1, "host": "elsewhere"}')
        with pytest.raises(KataError, match="in use by process 1 on elsewhere") as caught:
            stop_run(common(tmp_path), RUN_ID, is_forced=True)
    finally:
        lock.release()
    assert (caught.value.failure.exit, caught.value.failure.hint) == (11, "stop it there")


def test_se11_stopping_is_idempotent_and_finds_a_run_by_its_session(tmp_path: Path) -> None:
    """A run, its session and the session's name lead to the same end, any number of times."""
    make_run(tmp_path)
    store = SessionStore(tmp_path)
    project = open_stores(common(tmp_path)).project
    with store.create("s-20261121-000000-aaaaaa", project=project, name="mine", ts="") as session:
        session.append_run(RUN_ID, ts="")
    for text in (RUN_ID, "k3f9q2", "s-one", "mine", "s-20261121-000000-aaaaaa"):
        assert stop_run(common(tmp_path), text, is_forced=False).status == "interrupted"
    with pytest.raises(KataError, match="there is no run nosuch"):
        stop_run(common(tmp_path), "nosuch", is_forced=False)
