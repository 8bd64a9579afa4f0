"""The rows of the index for sessions: brought up to date, and asked for the ids of those that are meant."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Set
from pathlib import Path

from kata_cli.core.errors import KataError
from kata_cli.store.index_file import transaction
from kata_cli.store.index_refresh import directory_stamp, is_listed, names_in, note_listed
from kata_cli.store.index_rows import storable
from kata_cli.store.session_file import read_session
from kata_cli.store.session_names import SESSION_ID

_NEIGHBOURS = 100
_LAST_FIRST = "ORDER BY written_ns DESC, session_id DESC"

_Stamp = tuple[int, str]  # when a file was written last, and what tells that it is the one that was read


def refresh(connection: sqlite3.Connection, directory: Path) -> None:
    """Read again the sessions that changed. Raises `sqlite3.Error`, or `KataError` io for the directory.

    Whoever adds to a session makes its owner file in the same directory: while the time stamp of that stays,
    only sessions that were open at the last listing, and those that could not be read, may have changed.
    """
    stamp = directory_stamp(directory)
    if is_listed(connection, directory, stamp):
        _reread(connection, directory, _unsettled(connection))
        return
    names = names_in(directory)
    known = dict(connection.execute("SELECT session_id, stamp FROM sessions"))
    ids = _ids(names, ".jsonl", known.keys())
    _reread(connection, directory, _changed(directory, ids, known))
    with transaction(connection):
        _drop(connection, known.keys() - ids)
        connection.execute("DELETE FROM open_sessions")
        owned = ((session_id,) for session_id in _ids(names, ".owner", set()))
        connection.executemany("INSERT INTO open_sessions VALUES (?)", owned)
        note_listed(connection, directory, stamp)


def called(connection: sqlite3.Connection, name: str, project: str | None) -> list[str]:
    """The sessions of this name, in a project if given."""
    return _found(
        connection, "name = ? AND name <> '' AND (? IS NULL OR project = ?)", name, *_twice(project)
    )


def like(connection: sqlite3.Connection, part: str) -> list[str]:
    """The sessions whose ids begin or end so."""
    return _found(
        connection,
        "substr(session_id, 1, ?) = ? OR substr(session_id, ?) = ?",
        len(part),
        part,
        -len(part),
        part,
    )


def near(connection: sqlite3.Connection, text: str, project: str | None) -> list[str]:
    """Ids and names around the place that a text would have among them."""
    found = []
    for column, where in (("session_id", "1"), ("name", "name <> '' AND (? IS NULL OR project = ?)")):
        values = _twice(project) if column == "name" else ()
        for comparison in (f"< ? ORDER BY {column} DESC", f">= ? ORDER BY {column}"):
            query = (
                f"SELECT {column} FROM sessions WHERE {where} AND {column} {comparison} LIMIT {_NEIGHBOURS}"
            )
            found += connection.execute(query, (*values, storable(text))).fetchall()
    return [known for (known,) in found]


def last(connection: sqlite3.Connection, project: str | None) -> str | None:
    """The session that was written last, of a project if given."""
    where, values = ("1", ()) if project is None else ("project = ?", (storable(project),))
    query = f"SELECT session_id FROM sessions WHERE is_sound AND {where} {_LAST_FIRST} LIMIT 1"
    found = connection.execute(query, values).fetchone()
    return found[0] if found else None


def left(connection: sqlite3.Connection, session_id: str) -> list[str]:
    """The sessions that left another one, and those that cannot be read and so might have."""
    found = _found(connection, "origin = ? AND origin <> ''", session_id)
    return [*found, *_found(connection, "is_sound = 0")]


def _found(connection: sqlite3.Connection, where: str, *values: object) -> list[str]:
    query = f"SELECT session_id FROM sessions WHERE {where} {_LAST_FIRST}"
    return [session_id for (session_id,) in connection.execute(query, values)]


def _twice(project: str | None) -> tuple[str | None, str | None]:
    stored = None if project is None else storable(project)
    return stored, stored


def _ids(names: list[str], suffix: str, known: Set[str]) -> set[str]:
    """The ids of files with this suffix; the known ones are not judged again."""
    found = {name[: -len(suffix)] for name in names if name.endswith(suffix)}
    return found.difference(name for name in found - known if not SESSION_ID.fullmatch(name))


def _unsettled(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(
        "SELECT session_id FROM open_sessions UNION SELECT session_id FROM sessions WHERE is_sound = 0"
    )
    return [session_id for (session_id,) in found]


def _changed(directory: Path, ids: set[str], known: dict[str, str]) -> list[str]:
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return [i for i in ids if known.get(i, "") != _stamp(f"{i}.jsonl", folder)[1]]
    finally:
        os.close(folder)


def _stamp(path: Path | str, folder: int | None = None) -> _Stamp:
    try:
        info = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return 0, ""
    return info.st_mtime_ns, f"{info.st_mtime_ns}:{info.st_size}:{info.st_ino}"


def _reread(connection: sqlite3.Connection, directory: Path, ids: Iterable[str]) -> None:
    rows = [_row(directory / f"{session_id}.jsonl", session_id) for session_id in ids]
    if rows:
        with transaction(connection):
            _drop(connection, (row[0] for row in rows))
            there = (row for row in rows if row[5])
            connection.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", there)


def _row(path: Path, session_id: str) -> tuple[str, str, str, str, int, str, bool]:
    """A session as the index knows it; without a stamp when it has gone meanwhile."""
    written_ns, stamp = _stamp(path)  # before the content: a change in between is seen the next time
    try:
        session = read_session(path)
    except KataError:
        return session_id, "", "", "", written_ns, stamp, False
    origin = session.header.forked_from
    return (
        session_id,
        storable(session.header.project),
        session.name,
        origin.session if origin else "",
        written_ns,
        stamp,
        True,
    )


def _drop(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    connection.executemany("DELETE FROM sessions WHERE session_id = ?", ((each,) for each in ids))
