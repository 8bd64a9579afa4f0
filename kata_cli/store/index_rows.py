"""The rows of the index: one per run, found by filter, by id, or as the newest of a project or session."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.records import RunRecord
from kata_cli.core.text import one_line
from kata_cli.store import names

R = TypeVar("R")

TITLE_CHARS = 48
_NEWEST_FIRST = "ORDER BY updated_at DESC, created_at DESC, run_id DESC"
_NEIGHBOURS = 100


class RunRow(msgspec.Struct, kw_only=True):
    """A run in one line, as listings show it; times are RFC 3339 in UTC."""

    run_id: str
    session_id: str
    status: str
    exit_code: int | None
    title: str
    workflow: str
    runtime_mode: str
    model: str
    project: str
    created_at: str
    updated_at: str
    duration_s: float | None
    tokens: int
    cost_usd: float | None


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are wanted; None and an empty text stand for any. `since` bounds the creation."""

    project: str | None = None
    status: str = ""
    session_id: str = ""
    workflow: str = ""
    since: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A run as it was read; `stamp` is empty until `run.json` tells its end."""

    row: RunRow
    stamp: str
    is_ended: bool


def row_of(record: RunRecord) -> RunRow:
    """The row of a run."""
    return RunRow(
        run_id=record.run_id,
        session_id=record.session_id,
        status=record.status,
        exit_code=record.exit_code,
        title=one_line(record.goal, TITLE_CHARS),
        workflow=record.workflow,
        runtime_mode=record.runtime_mode,
        model=record.model,
        project=record.project,
        created_at=record.created_at,
        updated_at=record.updated_at,
        duration_s=record.duration_s,
        tokens=record.usage.total,
        cost_usd=record.usage.cost_usd,
    )


def put(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Add runs, or bring known ones up to date; the text of one that changed will be read anew."""
    connection.executemany(
        "INSERT INTO runs (run_id, session_id, project, workflow, status, created_at, updated_at, is_ended,"
        " stamp, row) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (run_id) DO UPDATE SET session_id = excluded.session_id, project = excluded.project,"
        " workflow = excluded.workflow, status = excluded.status, created_at = excluded.created_at,"
        " updated_at = excluded.updated_at, is_ended = excluded.is_ended,"
        " has_text = has_text AND stamp = excluded.stamp, stamp = excluded.stamp, row = excluded.row",
        map(_values, entries),
    )


def _values(entry: Entry) -> tuple[object, ...]:
    row = entry.row
    return (
        row.run_id,
        row.session_id,
        row.project,
        row.workflow,
        row.status,
        row.created_at,
        row.updated_at,
        entry.is_ended,
        entry.stamp,
        msgspec.json.encode(row),
    )


def select(
    connection: sqlite3.Connection, wanted: RunFilter, limit: int, offset: int
) -> list[tuple[str, RunRow]]:
    """A page of runs with their stamps: the one that changed last first, then by creation and id (SE-01)."""
    where, values = where_of(wanted)
    found = connection.execute(
        f"SELECT stamp, row FROM runs WHERE {where} {_NEWEST_FIRST} LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    return [(stamp, decode_row(row, RunRow)) for stamp, row in found]


def decode_row(row: bytes, kind: type[R]) -> R:
    """A stored row. Raises `sqlite3.DatabaseError` when it is none: then the index is damaged."""
    try:
        return msgspec.json.decode(row, type=kind)
    except (msgspec.MsgspecError, TypeError) as error:
        raise sqlite3.DatabaseError(f"a damaged row: {error}") from None


def where_of(wanted: RunFilter) -> tuple[str, list[str]]:
    """A filter as a condition of SQL, and its values."""
    conditions = {
        "project = ?": storable(wanted.project or ""),
        "status = ?": wanted.status,
        "session_id = ?": wanted.session_id,
        "workflow = ?": wanted.workflow,
        "created_at >= ?": wanted.since,
    }
    given = {condition: value for condition, value in conditions.items() if value}
    return " AND ".join(given) or "1", list(given.values())


def storable(text: str) -> str:
    """A path may hold bytes that are no UTF-8, which SQLite refuses."""
    return text.encode("utf-8", "backslashreplace").decode()


def find_run(connection: sqlite3.Connection, text: str, project: str | None) -> str:
    """The one run that `text` names: `last`, an id or a part of one, a session. Raises `KataError` usage."""
    if text == "last":
        return _last(connection, project)
    if text.startswith("s-"):
        return _newest(connection, RunFilter(session_id=find_session(connection, text))) or ""
    return names.only("run", text, _candidates(connection, "run_id", text))


def find_session(connection: sqlite3.Connection, text: str) -> str:
    """The one session id that `text` is, begins or ends. Raises `KataError` usage."""
    return names.only("session", text, _candidates(connection, "session_id", text))


def _last(connection: sqlite3.Connection, project: str | None) -> str:
    if found := _newest(connection, RunFilter(project=project)):
        return found
    newest = _newest(connection, RunFilter())
    if newest is None:
        raise KataError("usage", "there is no run yet", 'kata run "what you want"')
    raise KataError("usage", "there is no run of this project yet", f"name one: the newest is {newest}")


def _newest(connection: sqlite3.Connection, wanted: RunFilter) -> str | None:
    return next((row.run_id for _, row in select(connection, wanted, 1, 0)), None)


def _candidates(connection: sqlite3.Connection, column: str, text: str) -> list[str]:
    """The ids that begin or end with `text`, newest first; if there are none, those around its place."""
    found = connection.execute(
        f"SELECT DISTINCT {column} FROM runs WHERE {column} GLOB ? OR {column} GLOB ? ORDER BY {column} DESC",
        (f"{text}*", f"*{text}"),
    ).fetchall()
    for comparison in (f"< ? ORDER BY {column} DESC", f">= ? ORDER BY {column}") if not found else ():
        found += connection.execute(
            f"SELECT DISTINCT {column} FROM runs WHERE {column} {comparison} LIMIT {_NEIGHBOURS}", (text,)
        ).fetchall()
    return [known for (known,) in found]
