"""Runs leave the store in one step: a reader sees a whole run or none. Empty sessions follow them."""

from __future__ import annotations

import os
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

from kata_cli.core.errors import KataError
from kata_cli.core.session import MessageEntry, RunEntry, Session
from kata_cli.store.atomic import FileSystem, refused, remove_tree, sync_directory, temporary
from kata_cli.store.locking import locked
from kata_cli.store.owner import Owned, OwnerLock
from kata_cli.store.runs import RunStore
from kata_cli.store.sessions import SessionStore


def remove_run(path: Path, fs: FileSystem = os) -> None:
    """Delete a run that nobody works on. A crash on the way leaves only what `sweep` knows.

    Raises `Owned`, naming the process that works on it, or `KataError` io.
    """
    if path.is_symlink() or not path.is_dir():
        raise KataError("io", f"{path} is no directory of its own; symlinks are not followed")
    grave = temporary(path.parent)
    with locked(path.parent):  # else a mock run made again at this path could lose its owner file to us
        _bury(path, grave, fs)
    remove_tree(grave)


def _bury(path: Path, grave: Path, fs: FileSystem) -> None:
    lock = OwnerLock.acquire(path)
    try:
        fs.replace(path, grave)
        sync_directory(path.parent, fs)
    except OSError as error:
        raise refused("delete", path, error) from error
    finally:
        lock.release()


def drop_empty(sessions: SessionStore, store: RunStore, removed: dict[str, str]) -> list[str]:
    """Delete each session that held a removed run and holds no other one, and no message; their ids.

    `removed` maps runs to the sessions they were made in; forks may hold them too. A session that a process
    has open stays.
    """
    dropped = []
    for session in _holders(sessions, set(removed.values())):
        if _is_emptied(session, store, removed.keys()):
            with suppress(Owned):
                sessions.remove(session.id)
                dropped.append(session.id)
    return dropped


def _holders(sessions: SessionStore, session_ids: set[str]) -> list[Session]:
    """These sessions, the forks that left them, and the forks of those."""
    waiting = sorted(session_ids)
    found: dict[str, Session] = {}
    while waiting:
        session_id = waiting.pop()
        if sessions.has(session_id):
            with suppress(KataError):
                found[session_id] = sessions.read(session_id)
        forks = [fork.id for fork in sessions.forks(session_id) if isinstance(fork, Session)]
        waiting += [fork for fork in forks if fork not in found]
    return list(found.values())


def size_of(directory: Path) -> int:
    """Bytes in the files of a run; what vanishes meanwhile counts nothing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _is_emptied(session: Session, store: RunStore, removed: Set[str]) -> bool:
    runs = {entry.run_id for entry in session.entries if isinstance(entry, RunEntry)}
    has_messages = any(isinstance(entry, MessageEntry) for entry in session.entries)
    return not runs.isdisjoint(removed) and not any(map(store.has, runs)) and not has_messages
