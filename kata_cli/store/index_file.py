"""The file of the index: one SQLite database that may be deleted, replaced or rebuilt at any time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

SCHEMA_VERSION = 4
BUSY_S = 10.0

# Trouble with the machine, not with the file: another file would fare no better.
_TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
_ORDER = "updated_at DESC, created_at DESC, run_id DESC"
_SESSION_ORDER = "written_ns DESC, session_id DESC"
_CONVERSATION_ORDER = "updated_at DESC, created_at DESC, session_id DESC"
# The last columns are there to be filtered by without a look at the table.
_SCHEMA = (
    "CREATE TABLE runs (number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL,"
    " project TEXT NOT NULL, workflow TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL,"
    " updated_at TEXT NOT NULL, is_ended INTEGER NOT NULL, stamp TEXT NOT NULL,"
    " has_text INTEGER NOT NULL DEFAULT 0, row BLOB NOT NULL)",
    f"CREATE INDEX by_time ON runs ({_ORDER}, project, status, workflow, session_id)",
    f"CREATE INDEX by_project ON runs (project, {_ORDER}, status, workflow, session_id)",
    f"CREATE INDEX by_session ON runs (session_id, {_ORDER})",
    "CREATE INDEX unsettled ON runs (run_id) WHERE status <> 'completed'",
    "CREATE INDEX open ON runs (run_id) WHERE is_ended = 0",
    "CREATE INDEX textless ON runs (number) WHERE has_text = 0",
    "CREATE TABLE problems (name TEXT PRIMARY KEY, message TEXT NOT NULL)",
    "CREATE TABLE sessions (session_id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL,"
    " origin TEXT NOT NULL, written_ns INTEGER NOT NULL, stamp TEXT NOT NULL, is_sound INTEGER NOT NULL,"
    " is_conversation INTEGER NOT NULL)",
    f"CREATE INDEX sessions_by_time ON sessions ({_SESSION_ORDER}, project)",
    f"CREATE INDEX sessions_by_project ON sessions (project, {_SESSION_ORDER})",
    "CREATE INDEX sessions_by_name ON sessions (name, project) WHERE name <> ''",
    "CREATE INDEX sessions_by_origin ON sessions (origin) WHERE origin <> ''",
    "CREATE INDEX unsound_sessions ON sessions (session_id) WHERE is_sound = 0",
    "CREATE TABLE open_sessions (session_id TEXT PRIMARY KEY)",
    "CREATE TABLE conversations (number INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE,"
    " project TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, stamp TEXT NOT NULL,"
    " has_text INTEGER NOT NULL DEFAULT 0, row BLOB NOT NULL)",
    f"CREATE INDEX conversations_by_time ON conversations ({_CONVERSATION_ORDER})",
    f"CREATE INDEX conversations_by_project ON conversations (project, {_CONVERSATION_ORDER})",
    "CREATE INDEX textless_conversations ON conversations (number) WHERE has_text = 0",
    "CREATE TABLE listing (name TEXT PRIMARY KEY, stamp TEXT NOT NULL)",
    *(
        f"CREATE VIRTUAL TABLE {texts} USING fts5 (scope, text, tokenize = 'unicode61 remove_diacritics 2')"
        for texts in ("texts", "conversation_texts")
    ),
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Outdated(sqlite3.DatabaseError):
    """The file was made by another version of kata."""


def is_worthless(error: Exception) -> bool:
    """Whether a new file would help: this one is damaged, foreign or of another schema."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return not isinstance(error, OSError) and code & 0xFF not in _TRANSIENT


def in_memory() -> sqlite3.Connection:
    """An empty index that lasts as long as its connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _prepare(connection)
    return connection


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The index in a file, made if there is none. Raises `OSError` or `sqlite3.Error`."""
    with _locked(path, fcntl.LOCK_SH):
        _make_private(path)
        with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
            # After a loss of power the last updates may be missing: the next refresh sees that.
            connection.execute("PRAGMA synchronous = NORMAL")
            # What a person deletes is gone: its words are overwritten, not only forgotten.
            connection.execute("PRAGMA secure_delete = ON")
            _prepare(connection)
            yield connection


def identity(path: Path) -> os.stat_result | None:
    """Which file is there now, if any."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def is_there(path: Path, file: os.stat_result | None) -> bool:
    """Whether that very file is still at its place."""
    now = identity(path)
    return now is not None and file is not None and os.path.samestat(now, file)


def discard(path: Path, worthless: os.stat_result | None) -> None:
    """Delete a worthless file, unless another process has put a new one there. Raises `OSError`.

    The lock keeps everybody out meanwhile: the journal of an update in another process would otherwise be
    rolled back into the new file (sqlite.org/howtocorrupt.html, section 1.4).
    """
    with _locked(path, fcntl.LOCK_EX):
        if is_there(path, worthless):
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
            path.unlink()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; the lock for writing is taken at once, so that no update is lost."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    lock = path.with_suffix(".lock")
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, kind)
        yield
    finally:
        os.close(fd)


def _make_private(path: Path) -> None:
    """SQLite would make the file readable for others, and would wait for ever on a fifo."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(None, "not a regular file")
    finally:
        os.close(fd)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty file. Raises `Outdated` for those of another version."""
    if _version(connection) == SCHEMA_VERSION:
        return
    with transaction(connection):
        found = _version(connection)
        if found not in (0, SCHEMA_VERSION):
            raise Outdated(f"schema {found}")
        for statement in _SCHEMA if found == 0 else ():
            connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
