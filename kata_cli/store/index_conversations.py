"""The rows of the index for conversations: sessions without runs, listed and searched by what was said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.messages import Usage
from kata_cli.core.session import CompactionEntry, MessageEntry, Session
from kata_cli.store.index_rows import RunFilter, decode_row, storable, where_of
from kata_cli.store.index_text import (
    CONVERSATIONS,
    MAX_PART_BYTES,
    add_texts,
    drop_texts,
    find_text,
    match_expression,
)
from kata_cli.store.session_file import read_session

MAX_TEXT_CHARS = 64 * MAX_PART_BYTES  # of a conversation; words further on are not found
_NEWEST_FIRST = "ORDER BY updated_at DESC, created_at DESC, session_id DESC"


class SessionRow(msgspec.Struct, kw_only=True):
    """A session without runs in one line; `open` while a process holds it.

    `messages` are those up to its head; tokens and cost count on every branch, the cost is None when no price
    is known. `bytes` is what its file takes.
    """

    session_id: str
    status: str = "closed"
    title: str
    messages: int
    model: str
    project: str
    created_at: str
    updated_at: str
    tokens: int
    cost_usd: float | None
    bytes: int


class SessionHit(msgspec.Struct, kw_only=True):
    """A session in whose messages the words occur; `snippet` is text around them, each hit in brackets."""

    session: SessionRow
    snippet: str


Entry = tuple[SessionRow, str]  # a conversation, and what tells that its file is the one that was read


def row_of(session: Session) -> SessionRow:
    """The row of a conversation."""
    answers = [entry.model for entry in session.path() if isinstance(entry, MessageEntry) and entry.model]
    spent = (entry.usage for entry in session.entries if isinstance(entry, MessageEntry | CompactionEntry))
    usage = sum(spent, Usage())
    return SessionRow(
        session_id=session.id,
        title=session.title,
        messages=sum(isinstance(entry, MessageEntry) for entry in session.path()),
        model=session.settings.model or (answers[-1] if answers else ""),
        project=session.header.project,
        created_at=session.header.ts,
        updated_at=session.entries[-1].ts if session.entries else session.header.ts,
        tokens=usage.total,
        cost_usd=usage.cost_usd,
        bytes=session.sound_bytes,
    )


def put(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Add conversations, or bring known ones up to date; what is said in one that changed is read anew."""
    connection.executemany(
        "INSERT INTO conversations (session_id, project, created_at, updated_at, stamp, row)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (session_id) DO UPDATE SET project = excluded.project,"
        " created_at = excluded.created_at, updated_at = excluded.updated_at,"
        " has_text = has_text AND stamp = excluded.stamp, stamp = excluded.stamp, row = excluded.row",
        (
            (
                row.session_id,
                storable(row.project),
                row.created_at,
                row.updated_at,
                stamp,
                msgspec.json.encode(msgspec.structs.replace(row, project=storable(row.project))),
            )
            for row, stamp in entries
        ),
    )


def drop(connection: sqlite3.Connection, ids: set[str]) -> None:
    """Forget conversations, and every word of them."""
    drop_texts(connection, CONVERSATIONS, ids)
    connection.executemany("DELETE FROM conversations WHERE session_id = ?", ((each,) for each in ids))


def select(connection: sqlite3.Connection, wanted: RunFilter, limit: int, offset: int) -> list[SessionRow]:
    """A page of conversations, the one that changed last first; none has a run's status or a workflow."""
    if wanted.status or wanted.workflow:
        return []
    where, values = where_of(wanted)
    found = connection.execute(
        f"SELECT row FROM conversations WHERE {where} {_NEWEST_FIRST} LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    return [decode_row(row, SessionRow) for (row,) in found]


def find(
    connection: sqlite3.Connection, directory: Path, query: str, project: str | None, limit: int, offset: int
) -> list[tuple[SessionRow, str]]:
    """A page of conversations below `directory`, newest first, with text around the words of a query.

    Raises `KataError` usage.
    """
    match_expression(query)
    add_texts(connection, CONVERSATIONS, lambda session_id: _text(directory / f"{session_id}.jsonl"))
    found = find_text(connection, CONVERSATIONS, query, project, limit, offset)
    return [(decode_row(row, SessionRow), snippet) for row, snippet in found]


def _text(path: Path) -> str:
    """Title and messages of the session in a file; empty when it cannot be read."""
    try:
        session = read_session(path)
    except KataError:
        return ""
    said = (entry.text for entry in session.entries if isinstance(entry, MessageEntry))
    return "\n".join([session.title, *said])[:MAX_TEXT_CHARS]
