"""One file of the index: SQLite FTS5 as tokenizer and posting store, kept current by `lstat`.

No text and no position is stored (contentless FTS5, `detail=none`), only which words a file has, and what is
needed to see that a file changed. A changed file gets a new document number; its old postings stay behind,
are ignored by every query, and go with the next rebuild. A whole shard is built beside the old one and
renamed into its place.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from kata_cli.context.stamps import Files, compare
from kata_cli.context.tree import Refused, Tree
from kata_cli.context.words import TOKENIZER, fts_query

MAX_INDEXED_BYTES = 65_536  # of each file; words further down do not count
BUSY_S = 10.0
_PENDING_BYTES = 8 << 20  # FTS5 writes a segment each time this much is pending


class State(msgspec.Struct, array_like=True):
    """All that a shard knows beside its postings."""

    next_row: int
    files: Files


class Policy(Protocol):
    """Which files are read at all."""

    @property
    def max_file_bytes(self) -> int: ...

    def refusal(self, path: bytes) -> str:
        """Why a path is left out by its name alone, or an empty text."""
        ...


class Source(msgspec.Struct, frozen=True):
    """The files a shard is about; `paths` waits until they are listed."""

    root: Path
    paths: Callable[[], list[bytes]]
    policy: Policy


class Outdated(Exception):
    """The file on disk cannot be brought up to date, or is not worth it."""


class Shard:
    """The live files of a shard and the postings of their words."""

    def __init__(self, connection: sqlite3.Connection, files: Files) -> None:
        self.files = files
        self._connection = connection
        self._paths = dict(zip(files.rows, files.paths, strict=True))

    def documents(self, term: str) -> list[bytes]:
        """Paths of the live files that have a word beginning with the term (short terms: the word itself)."""
        rows = self._connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (fts_query(term),))
        return [self._paths[row] for (row,) in rows if row in self._paths]

    def close(self) -> None:
        self._connection.close()


def update(source: Source, file: Path) -> Shard:
    """Bring the shard in a file up to date. Raises `Outdated` or `sqlite3.Error` when it must be rebuilt."""
    if not file.is_file():
        raise Outdated("there is none yet")
    connection = _connect(str(file))
    try:
        while (files := _refreshed(connection, source)) is None:
            pass
        return Shard(connection, files)
    except BaseException:
        connection.close()
        raise


def build(source: Source, file: Path | None) -> Shard:
    """A new shard, in memory or in place of the file. Raises `OSError` or `sqlite3.Error`."""
    if file is None:
        return Shard(*_fill(source, ":memory:"))
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        shard = Shard(*_fill(source, str(draft)))
        # The journal of a killed update would be rolled back into the new file.
        file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return shard


def _connect(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    # A cache that is lost with the power is built again.
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _fill(source: Source, name: str) -> tuple[sqlite3.Connection, Files]:
    connection = _connect(name)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("BEGIN")
        options = f"content='', detail=none, columnsize=0, tokenize='{TOKENIZER}'"
        connection.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, {options})")
        connection.execute("INSERT INTO words(words, rank) VALUES ('hashsize', ?)", (_PENDING_BYTES,))
        connection.execute("INSERT INTO words(words, rank) VALUES ('automerge', 0)")
        connection.execute("CREATE TABLE state (value BLOB)")
        connection.execute("INSERT INTO state VALUES (NULL)")
        state = State(1, Files())
        _add(connection, source, state, compare(source.root, source.paths, state.files)[1])
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection, state.files


def _refreshed(connection: sqlite3.Connection, source: Source) -> Files | None:
    """The files as they are now, all of them indexed; None if another process wrote the index meanwhile."""
    version, state = _version(connection), _load(connection)
    kept, stale = compare(source.root, source.paths, state.files)
    if not stale and len(kept.paths) == len(state.files.paths):
        return kept
    if state.next_row + len(stale) > 1.25 * (len(kept.paths) + len(stale)) + 100:
        raise Outdated("too many old postings")
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection) != version:
        connection.execute("ROLLBACK")
        return None
    state.files = kept
    _add(connection, source, state, stale)
    connection.execute("COMMIT")
    return kept


def _version(connection: sqlite3.Connection) -> int:
    """Another number after each commit of another process (sqlite.org/pragma.html, data_version)."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _load(connection: sqlite3.Connection) -> State:
    try:
        (blob,) = connection.execute("SELECT value FROM state").fetchone()
        state = msgspec.msgpack.decode(blob, type=State)
    except (msgspec.MsgspecError, TypeError) as error:
        raise Outdated(str(error)) from None
    if not state.files.is_whole():
        raise Outdated("columns of different length")
    return state


def _add(connection: sqlite3.Connection, source: Source, state: State, stale: dict[bytes, int]) -> None:
    with Tree(source.root) as tree:
        rows = _read(tree, source.policy, state, stale)
        connection.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", rows)
    connection.execute("UPDATE state SET value = ?", (msgspec.msgpack.encode(state),))


def _read(tree: Tree, policy: Policy, state: State, stale: dict[bytes, int]) -> Iterator[tuple[int, bytes]]:
    for path, stamp in stale.items():
        row, state.next_row = state.next_row, state.next_row + 1
        reason, size = policy.refusal(path), 0
        try:
            if not reason:
                content = tree.read(path, policy.max_file_bytes, MAX_INDEXED_BYTES)
                size = content.size
                yield row, content.data
        except Refused as refused:
            reason = refused.reason
        state.files.add(path, stamp, row, size)
        if reason:
            state.files.reasons[path] = reason
