"""The rows of the index for sessions: brought up to date, and asked for the ids of those that are meant."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Set
from pathlib import Path
from typing import NamedTuple

from kata_cli.core.errors import KataError
from kata_cli.core.session import Session
from kata_cli.store import index_conversations as conversations
from kata_cli.store.index_file import transaction
from kata_cli.store.index_refresh import directory_stamp, is_listed, names_in, note_listed
from kata_cli.store.index_rows import storable
from kata_cli.store.session_file import read_session
from kata_cli.store.session_names import SESSION_ID

_NEIGHBOURS = 100
_LAST_FIRST = "ORDER BY written_ns DESC, session_id DESC"

_SESSIONS, _CONVERSATIONS = "sessions", "conversations"  # a whole listing, and one for conversations alone

_Stamp = tuple[int, str]  # when a file was written last, and what tells that it is the one that was read


class _Read(NamedTuple):
    """A session as it was read, if it could be; without a stamp when it has gone meanwhile."""

    session_id: str
    written_ns: int
    stamp: str
    session: Session | None


def refresh(connection: sqlite3.Connection, directory: Path) -> None:
    """Read again the sessions that changed. Raises `sqlite3.Error`, or `KataError` io for the directory.

    Whoever adds to a session makes its owner file in the same directory: while the time stamp of that stays,
    only sessions that were open at the last listing, and those that could not be read, may have changed.
    """
    stamp = directory_stamp(directory)
    if is_listed(connection, _SESSIONS, stamp):
        _reread(connection, directory, _unsettled(connection))
    else:
        _list(connection, directory, stamp, _SESSIONS, settled=set())


def refresh_conversations(connection: sqlite3.Connection, directory: Path) -> None:
    """As `refresh`, without a look at sessions that hold runs: they never become conversations again."""
    stamp = directory_stamp(directory)
    if is_listed(connection, _SESSIONS, stamp) or is_listed(connection, _CONVERSATIONS, stamp):
        _reread(connection, directory, _unsettled(connection))
    else:
        found = connection.execute(
            "SELECT session_id FROM sessions WHERE is_sound = 1 AND is_conversation = 0"
        )
        settled = {session_id for (session_id,) in found}
        _list(connection, directory, stamp, _CONVERSATIONS, settled=settled)


def _list(
    connection: sqlite3.Connection, directory: Path, stamp: str, listing: str, *, settled: set[str]
) -> None:
    """Bring all rows up to date; of the settled sessions it is seen only whether they are gone."""
    names = names_in(directory)
    known = dict(connection.execute("SELECT session_id, stamp FROM sessions"))
    ids = _ids(names, ".jsonl", known.keys())
    _reread(connection, directory, _changed(directory, ids - settled, known))
    with transaction(connection):
        _drop(connection, known.keys() - ids)
        connection.execute("DELETE FROM open_sessions")
        owned = ((session_id,) for session_id in _ids(names, ".owner", set()))
        connection.executemany("INSERT INTO open_sessions VALUES (?)", owned)
        note_listed(connection, listing, stamp)


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
    read = [_read(directory / f"{session_id}.jsonl", session_id) for session_id in ids]
    if not read:
        return
    spoken = [
        (conversations.row_of(one.session), one.stamp)
        for one in read
        if one.session is not None and one.session.is_conversation
    ]
    others = {one.session_id for one in read} - {row.session_id for row, _ in spoken}
    with transaction(connection):
        values = (_values(one) for one in read if one.stamp)
        connection.executemany("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        conversations.put(connection, spoken)
        conversations.drop(connection, others)
        _drop(connection, {one.session_id for one in read if not one.stamp})


def _read(path: Path, session_id: str) -> _Read:
    written_ns, stamp = _stamp(path)  # before the content: a change in between is seen the next time
    try:
        return _Read(session_id, written_ns, stamp, read_session(path))
    except KataError:
        return _Read(session_id, written_ns, stamp, None)


def _values(read: _Read) -> tuple[object, ...]:
    session_id, written_ns, stamp, session = read
    if session is None:
        return session_id, "", "", "", written_ns, stamp, False, False
    origin = session.header.forked_from
    return (
        session_id,
        storable(session.header.project),
        session.name,
        origin.session if origin else "",
        written_ns,
        stamp,
        True,
        session.is_conversation,
    )


def _drop(connection: sqlite3.Connection, ids: Set[str]) -> None:
    conversations.drop(connection, set(ids))
    connection.executemany("DELETE FROM sessions WHERE session_id = ?", ((each,) for each in ids))
