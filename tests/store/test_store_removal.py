"""Runs leave the store whole or not at all, and sessions that hold nothing any more follow them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from faulty_fs import ERRNOS, FaultyFs
from made_events import RUN_ID, finished, lines, recorded

from kata_cli.core.errors import KataError
from kata_cli.core.session import Entry, MessageEntry, Origin, RunEntry
from kata_cli.store.atomic import strays
from kata_cli.store.owner import Owned
from kata_cli.store.removal import drop_empty, remove_run, size_of
from kata_cli.store.runs import RunStore
from kata_cli.store.sessions import SessionStore
from kata_cli.store.views import write_views

OTHER = "20261121-054413-aaaaaa"
TS = "2026-11-21T05:44:12.000Z"
OWNER = """
import sys
from pathlib import Path
from kata_cli.store.owner import OwnerLock
lock = OwnerLock.acquire(Path(sys.argv[1], "runs", sys.argv[2]))
print("owned", flush=True)
sys.stdin.read()
"""


def made(state: Path, run_id: str = RUN_ID) -> Path:
    """A finished run with its views."""
    run = RunStore(state).create(run_id)
    run.journal.append(lines(recorded(finished(), run_id)))
    run.close()
    write_views(run.path, recorded(finished(), run_id), lambda _: {})
    return run.path


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_se_09_a_removed_run_leaves_nothing(tmp_path: Path) -> None:
    """SE-09: its directory is gone, the other run is untouched."""
    path, other = made(tmp_path), made(tmp_path, OTHER)
    before = contents(other)
    remove_run(path)
    assert [entry.name for entry in path.parent.iterdir()] == [OTHER]
    assert contents(other) == before


def test_t4_a_run_at_work_is_not_removed(tmp_path: Path) -> None:
    """T4: the process that works on it is named, and nothing of the run is touched."""
    path = made(tmp_path)
    command = [sys.executable, "-c", OWNER, str(tmp_path), RUN_ID]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"owned\n"
        before = contents(path)
        with pytest.raises(Owned, match=f"{RUN_ID} is in use by process {child.pid} on "):
            remove_run(path)
        assert contents(path) == before
        child.kill()
    remove_run(path)
    assert not path.exists()


@pytest.mark.parametrize("fault", ERRNOS)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_t3_a_refused_removal_leaves_a_whole_run_or_none(tmp_path: Path, fault: str, call: int) -> None:
    """T3, F01-F10: when the rename or its sync fails the run is as it was, or gone; io names it."""
    path = made(tmp_path)
    before = contents(path)
    with pytest.raises(KataError, match="cannot delete") as caught:
        remove_run(path, FaultyFs(call, ERRNOS[fault]))
    assert caught.value.failure.exit == 11
    assert (contents(path) if path.exists() else {}) in (before, {})
    assert path.exists() == (call == 1)
    assert strays(path.parent) == []  # what is left carries the number of a process that lives: ours


def test_f17_a_symlink_is_not_followed(tmp_path: Path) -> None:
    """F17, F2: a run directory that is a symlink is refused, its target stays."""
    target = made(tmp_path / "other")
    link = tmp_path / "runs" / RUN_ID
    link.parent.mkdir()
    link.symlink_to(target)
    with pytest.raises(KataError, match="symlinks are not followed"):
        remove_run(link)
    assert (target / "run.json").exists()


def test_size_is_that_of_all_files(tmp_path: Path) -> None:
    """Files in folders count, a missing directory is empty."""
    path = made(tmp_path)
    assert size_of(path) == sum(map(len, contents(path).values()))
    assert size_of(tmp_path / "ghost") == 0


def session(store: SessionStore, name: str, *entries: Entry, left: str = "") -> str:
    """A session with these entries, which left another one if that is given; its id."""
    session_id = f"s-20261121-054412-{name}"
    origin = Origin(left, None) if left else None
    with store.create(session_id, project="/p", ts=TS, forked_from=origin) as opened:
        for entry in entries:
            opened.append(entry, ts=TS)
    return session_id


def test_se_17_empty_sessions_follow_their_runs(tmp_path: Path) -> None:
    """SE-17: a session goes with its last run, and so does a fork that took it along.

    One with a run left, with a message, or that never held a lost run stays.
    """
    store, sessions = RunStore(tmp_path), SessionStore(tmp_path)
    made(tmp_path, OTHER)
    run = RunEntry(run_id=RUN_ID)
    gone = session(sessions, "gone00", run)
    both = session(sessions, "both00", run, RunEntry(run_id=OTHER), left=gone)
    kept = [
        both,
        session(sessions, "talk00", run, MessageEntry(role="user", text="hi"), left=gone),
        session(sessions, "empty0", left=gone),
        session(sessions, "older0", RunEntry(run_id="20251121-054412-old000")),
    ]
    fork = session(sessions, "fork00", run, left=both)
    assert sorted(drop_empty(sessions, store, {RUN_ID: gone})) == sorted([gone, fork])
    assert sorted(sessions.ids()) == sorted(kept)


def test_a_session_in_use_stays(tmp_path: Path) -> None:
    """A process that has the session open is about to add to it."""
    sessions = SessionStore(tmp_path)
    session_id = session(sessions, "inuse0", RunEntry(run_id=RUN_ID))
    with sessions.open(session_id):
        assert drop_empty(sessions, RunStore(tmp_path), {RUN_ID: session_id}) == []
    assert drop_empty(sessions, RunStore(tmp_path), {RUN_ID: session_id}) == [session_id]
