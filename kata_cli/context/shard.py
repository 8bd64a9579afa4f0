"""One file of the index: SQLite FTS5 as tokenizer and posting store, kept current by `lstat`.

No text is stored (contentless FTS5), only which words a file has, and what is needed to see that a file
changed. A changed file gets a new document number; its old postings stay behind, are ignored by every query,
and go with the next rebuild. A whole shard is built beside the old one and renamed into its place.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from kata_cli.context.tree import Refused, Tree

MAX_INDEXED_BYTES = 65_536  # of each file; words further down do not count
RACY_NS = 2_000_000_000  # a file this young may change again within one tick of its clock, as git has it
BUSY_S = 10.0
_PREFIX_LENGTH = 4
_LAST_CHARACTER = "\U0010ffff"
_PENDING_BYTES = 8 << 20  # FTS5 writes a segment each time this much is pending
_TOKENIZER = "unicode61 remove_diacritics 0"
_NEVER = 0  # the stamp of a file that is read anew each time


class Entry(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A file as it was last read: a hash of its stat, its document number, size, and why it is left out."""

    stamp: int
    row: int
    size: int
    reason: str


class State(msgspec.Struct, array_like=True):
    """All that a shard knows beside its postings. `generation` counts the writes to the file."""

    generation: int
    next_row: int
    entries: dict[bytes, Entry]


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

    def __init__(self, connection: sqlite3.Connection, state: State) -> None:
        self.entries = state.entries
        self._connection = connection
        self._paths = {entry.row: path for path, entry in state.entries.items() if not entry.reason}
        connection.execute("CREATE VIRTUAL TABLE temp.instances USING fts5vocab(main, words, instance)")

    def documents(self, term: str) -> list[bytes]:
        """Paths of the live files that have a word beginning with the term (short terms: the word itself)."""
        query = f'"{term}"' + ("*" if _is_prefix(term) else "")
        rows = self._connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (query,))
        return [self._paths[row] for (row,) in rows if row in self._paths]

    def frequencies(self, term: str) -> dict[bytes, int]:
        """How often the term occurs in each live file that has it."""
        last = term + _LAST_CHARACTER if _is_prefix(term) else term
        rows = self._connection.execute("SELECT doc FROM instances WHERE term BETWEEN ? AND ?", (term, last))
        counts = Counter(row for (row,) in rows)
        return {self._paths[row]: count for row, count in counts.items() if row in self._paths}

    def close(self) -> None:
        self._connection.close()


def update(source: Source, file: Path) -> Shard:
    """Bring the shard in a file up to date. Raises `Outdated` or `sqlite3.Error` when it must be rebuilt."""
    if not file.is_file():
        raise Outdated("there is none yet")
    connection = _connect(str(file))
    try:
        while True:
            state = _load(connection)
            kept, stale = _compare(source, state.entries)
            if not stale and len(kept) == len(state.entries):
                break
            if state.next_row + len(stale) > 1.25 * (len(kept) + len(stale)) + 100:
                raise Outdated("too many old postings")
            if _write_changes(connection, source, state, kept, stale):
                break
        return Shard(connection, state)
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


def _is_prefix(term: str) -> bool:
    return len(term) >= _PREFIX_LENGTH


def _connect(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    # A cache that is lost with the power is built again.
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _fill(source: Source, name: str) -> tuple[sqlite3.Connection, State]:
    connection = _connect(name)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("BEGIN")
        connection.execute(
            f"CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='{_TOKENIZER}')"
        )
        connection.execute("INSERT INTO words(words, rank) VALUES ('hashsize', ?)", (_PENDING_BYTES,))
        connection.execute("INSERT INTO words(words, rank) VALUES ('automerge', 0)")
        connection.execute("CREATE TABLE state (value BLOB)")
        connection.execute("INSERT INTO state VALUES (NULL)")
        state = State(0, 1, {})
        _add(connection, source, state, _compare(source, {})[1])
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection, state


def _load(connection: sqlite3.Connection) -> State:
    try:
        (blob,) = connection.execute("SELECT value FROM state").fetchone()
        return msgspec.msgpack.decode(blob, type=State)
    except (msgspec.MsgspecError, TypeError) as error:
        raise Outdated(str(error)) from None


def _compare(source: Source, known: dict[bytes, Entry]) -> tuple[dict[bytes, Entry], dict[bytes, int]]:
    """The files that are as they were, and the stamps of those that must be read."""
    stamps = _stamps(source.root, known)  # while git is still listing
    listed = source.paths()
    stamps |= _stamps(source.root, [path for path in listed if path not in known])
    kept: dict[bytes, Entry] = {}
    stale: dict[bytes, int] = {}
    for path in listed:
        stamp, entry = stamps.get(path, _NEVER), known.get(path)
        if entry is not None and entry.stamp == stamp != _NEVER:
            kept[path] = entry
        else:
            stale[path] = stamp
    return kept, stale


def _stamps(root: Path, paths: Iterable[bytes]) -> dict[bytes, int]:
    """What tells a changed file from an unchanged one, for each path where something does."""
    prefix = os.fsencode(root) + b"/"
    racy_ns = time.time_ns() - RACY_NS
    stamps: dict[bytes, int] = {}
    for path in paths:
        try:
            info = os.lstat(prefix + path)
        except OSError:
            continue
        mtime_ns, ctime_ns = info.st_mtime_ns, info.st_ctime_ns
        if mtime_ns < racy_ns and ctime_ns < racy_ns:
            stamps[path] = hash((info.st_size, mtime_ns, ctime_ns, info.st_ino))
    return stamps


def _write_changes(
    connection: sqlite3.Connection,
    source: Source,
    state: State,
    kept: dict[bytes, Entry],
    stale: dict[bytes, int],
) -> bool:
    """Read the stale files into the index; False if another process wrote it since the state was loaded."""
    connection.execute("BEGIN IMMEDIATE")
    if _load(connection).generation != state.generation:
        connection.execute("ROLLBACK")
        return False
    state.entries, state.generation = kept, state.generation + 1
    _add(connection, source, state, stale)
    connection.execute("COMMIT")
    return True


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
        state.entries[path] = Entry(stamp, row, size, reason)
