"""Bringing the index up to date: what is new, gone or changed among the run directories, and no more.

The directory of all runs is listed only when its time stamp moved. A run that has not ended is read each
time, since nothing tells that its process died; of the others, those that a mock run of the same id may have
replaced are looked at after such a move.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from kata_cli.core.errors import KataError
from kata_cli.store.atomic import refused
from kata_cli.store.index_file import transaction
from kata_cli.store.index_rows import Entry, put, row_of, storable
from kata_cli.store.index_text import RUNS, drop_texts
from kata_cli.store.names import RUN_ID
from kata_cli.store.runs import RunStore
from kata_cli.store.views import TERMINAL

RACY_NS = 2_000_000_000  # a directory this young may change again within one tick of its clock
LISTING = "runs"
_CHUNK = 5_000

Problem = tuple[str, str]  # a name below runs/, and what is wrong with it


def refresh(connection: sqlite3.Connection, runs: RunStore) -> None:
    """Bring all rows up to date. Raises `sqlite3.Error`, or `KataError` io when the runs cannot be listed."""
    stamp = directory_stamp(runs.directory)
    if is_listed(connection, LISTING, stamp):
        reread(connection, runs, _open_runs(connection))
        return
    names = names_in(runs.directory)
    listed = set(filter(RUN_ID.fullmatch, names))
    known = {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs")}
    reread(connection, runs, [*_made_again(connection, runs), *_open_runs(connection), *(listed - known)])
    with transaction(connection):
        _drop(connection, known - listed)
        _note_strangers(connection, runs.directory, names)
        note_listed(connection, LISTING, stamp)


def reread(connection: sqlite3.Connection, runs: RunStore, run_ids: list[str]) -> None:
    """Read these runs from their directories again, oldest first, a chunk at a time."""
    waiting = iter(sorted(set(run_ids)))
    while chunk := list(islice(waiting, _CHUNK)):
        read = [_read(runs, run_id) for run_id in chunk]
        with transaction(connection):
            connection.executemany("DELETE FROM problems WHERE name = ?", [(run_id,) for run_id in chunk])
            put(connection, (entry for entry in read if isinstance(entry, Entry)))
            broken = [problem for problem in read if isinstance(problem, tuple)]
            _drop(connection, {name for name, _ in broken})
            _note(connection, (problem for problem in broken if problem[1]))


def run_stamp(directory: Path) -> str:
    """What tells that `run.json` is the one that was read; empty while there is none."""
    try:
        info = os.lstat(directory / "run.json")
    except OSError:
        return ""
    return f"{info.st_mtime_ns}:{info.st_size}:{info.st_ino}"


def problems(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with entries of `runs/` that are left out, by name."""
    return [message for (message,) in connection.execute("SELECT message FROM problems ORDER BY name DESC")]


def directory_stamp(directory: Path) -> str:
    """Which state of a directory a listing sees; empty when a later change could look the same."""
    try:
        info = os.stat(directory)
    except OSError as error:
        raise refused("list", directory, error) from error
    is_racy = time.time_ns() - info.st_mtime_ns < RACY_NS
    return "" if is_racy else f"{info.st_mtime_ns}:{info.st_ino}"


def is_listed(connection: sqlite3.Connection, name: str, stamp: str) -> bool:
    """Whether the listing of that name saw this very state of its directory."""
    query = "SELECT 1 FROM listing WHERE name = ? AND stamp = ?"
    return bool(stamp) and connection.execute(query, (name, stamp)).fetchone() is not None


def note_listed(connection: sqlite3.Connection, name: str, stamp: str) -> None:
    """Remember which state of its directory a listing saw."""
    connection.execute("INSERT OR REPLACE INTO listing VALUES (?, ?)", (name, stamp))


def names_in(directory: Path) -> list[str]:
    """What lies in a directory. Raises `KataError` io."""
    try:
        return os.listdir(directory)
    except OSError as error:
        raise refused("list", directory, error) from error


def _open_runs(connection: sqlite3.Connection) -> list[str]:
    """Runs without an end, and those that could not be read."""
    found = connection.execute("SELECT run_id FROM runs WHERE is_ended = 0").fetchall()
    found += connection.execute("SELECT name FROM problems").fetchall()
    return [name for (name,) in found if RUN_ID.fullmatch(name)]


def _made_again(connection: sqlite3.Connection, runs: RunStore) -> Iterator[str]:
    """Mock runs that failed or were interrupted, and whose place has been taken since."""
    found = connection.execute("SELECT run_id, stamp FROM runs WHERE status <> 'completed'")
    return (run_id for run_id, stamp in found if stamp != run_stamp(runs.directory / run_id))


def _read(runs: RunStore, run_id: str) -> Entry | Problem:
    """The run in a directory, or its problem; no message when it has gone meanwhile."""
    path = runs.directory / run_id
    stamp = run_stamp(path)  # before the record: a change in between is seen the next time
    try:
        record = runs.load(run_id)
    except KataError as error:
        return run_id, str(error) if os.path.lexists(path) else ""
    return Entry(row_of(record), stamp, is_ended=bool(stamp) and record.status in TERMINAL)


def _drop(connection: sqlite3.Connection, run_ids: set[str]) -> None:
    doomed = [(run_id,) for run_id in run_ids]
    drop_texts(connection, RUNS, run_ids)
    connection.executemany("DELETE FROM runs WHERE run_id = ?", doomed)
    connection.executemany("DELETE FROM problems WHERE name = ?", doomed)


def _note(connection: sqlite3.Connection, found: Iterator[Problem]) -> None:
    stored = ((storable(name), storable(message)) for name, message in found)
    connection.executemany("INSERT OR REPLACE INTO problems VALUES (?, ?)", stored)


def _note_strangers(connection: sqlite3.Connection, directory: Path, names: list[str]) -> None:
    """Remember what lies among the runs and is none: it is told, and never touched; hidden files are not."""
    strangers = {name for name in names if not RUN_ID.fullmatch(name) and not name.startswith(".")}
    known = {name for (name,) in connection.execute("SELECT name FROM problems")}
    _drop(connection, known - set(names))
    _note(connection, ((name, f"{directory / name} is no run and is left alone") for name in strangers))
