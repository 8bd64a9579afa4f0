"""`kata sessions stop`: end the process that works on a run, and only that one."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.session_tree import Stores, open_stores
from kata_cli.core.errors import KataError
from kata_cli.core.session import RunEntry
from kata_cli.store.owner import Owner, owner_file, owner_of

WAIT_S = 5.0  # a run that is told to stop takes 2.5 s at the most
POLL_S = 0.05


class Stopped(msgspec.Struct, kw_only=True):
    """How a run stands after the call (`kata.stop/v1`); `pid` is None when nobody worked on it."""

    schema: str = "kata.stop/v1"
    run_id: str
    status: str
    pid: int | None
    is_killed: bool = False


def stop_run(options: Common, text: str, *, is_forced: bool, wait_s: float = WAIT_S) -> Stopped:
    """Stop a run, or the newest run of a session; one that is not at work is left as it is.

    `wait_s` is how long the process may take to end by itself.

    Raises `KataError`: usage for an unknown name, io when the process is on another host, may not be
    signalled, or goes on in spite of it.
    """
    stores = open_stores(options)
    run_id = _run_of(stores, text)
    lock = owner_file(stores.runs.directory / run_id)
    owner = owner_of(lock)
    is_killed = False
    if owner is not None:
        is_killed = _end(lock, owner, wait_s, is_forced=is_forced)
    status = stores.runs.load(run_id).status
    return Stopped(run_id=run_id, status=status, pid=owner.pid if owner else None, is_killed=is_killed)


def _run_of(stores: Stores, text: str) -> str:
    """A run by its own name, else the newest run of the session of that name."""
    try:
        return stores.runs.resolve(text, project=stores.project)
    except KataError as unknown:
        with suppress(KataError):
            session = stores.sessions.read(stores.session(text))
            if made := [entry.run_id for entry in session.nodes if isinstance(entry, RunEntry)]:
                return made[-1]
        raise unknown from None


def _end(lock: Path, owner: Owner, wait_s: float, *, is_forced: bool) -> bool:
    """TERM, then KILL if forced. Whether it took the latter."""
    run_id = lock.parent.name
    if owner.host != os.uname().nodename:
        message = f"the run {run_id} is in use by process {owner.pid} on {owner.host}"
        raise KataError("io", message, "stop it there")
    _signal(lock, owner, signal.SIGTERM)
    if _is_free(lock, owner, wait_s):
        return False
    if not is_forced:
        message = (
            f"process {owner.pid} still works on the run {run_id} {wait_s:g} s after it was told to stop"
        )
        raise KataError("io", message, f"kata sessions stop {run_id} --force")
    _signal(lock, owner, signal.SIGKILL)
    if not _is_free(lock, owner, WAIT_S):
        raise KataError("io", f"process {owner.pid} cannot be killed", f"ps -o stat,wchan -p {owner.pid}")
    return True


def _signal(lock: Path, owner: Owner, number: signal.Signals) -> None:
    """Signal the process while it holds the lock: its number may be another's a moment after it ended."""
    try:
        if not hasattr(os, "pidfd_open"):
            if owner_of(lock) == owner:
                os.kill(owner.pid, number)
            return
        handle = os.pidfd_open(owner.pid)
        try:
            # Asked after the handle was made: who holds the lock now is who the handle stands for.
            if owner_of(lock) == owner:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
    except ProcessLookupError:
        return
    except PermissionError:
        raise KataError(
            "io", f"process {owner.pid} belongs to another user", "stop it as that user"
        ) from None


def _is_free(lock: Path, owner: Owner, wait_s: float) -> bool:
    """Wait until the process holds the lock no more; False after `wait_s`."""
    give_up_s = time.monotonic() + wait_s
    while owner_of(lock) == owner:
        if time.monotonic() > give_up_s:
            return False
        time.sleep(POLL_S)
    return True
