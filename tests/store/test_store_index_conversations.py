"""Sessions without runs in the index: listed, searched, and gone with their last word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_cli.core.messages import Usage
from kata_cli.core.session import MessageEntry, RunEntry, SettingsEntry
from kata_cli.store.index_conversations import SessionRow
from kata_cli.store.index_file import SCHEMA_VERSION
from kata_cli.store.index_rows import RunFilter
from kata_cli.store.session_index import open_sessions
from kata_cli.store.sessions import SessionStore

OLD_NS = 1_000_000_000_000_000_000
EVERY = RunFilter()


def _id(number: int) -> str:
    return f"s-20261121-0544{number:02d}-aaaaa{number % 10}"


def _at(number: int) -> str:
    return f"2026-11-21T05:44:{number:02d}.000Z"


def _make(state: Path, number: int, *said: str, project: str = "/p", has_run: bool = False) -> Path:
    """A session whose user said these things, a second after its beginning."""
    store = SessionStore(state)
    with store.create(_id(number), project=project, ts=_at(number)) as session:
        if has_run:
            session.append_run("20261121-054400-aaaaaa", ts=_at(number))
        for text in said:
            session.append(MessageEntry(role="user", text=text), ts=_at(number + 1))
    return store.directory / f"{_id(number)}.jsonl"


def _ids(state: Path, wanted: RunFilter = EVERY, limit: int = 99, offset: int = 0) -> list[str]:
    return [row.session_id for row in open_sessions(state).page(wanted, limit=limit, offset=offset)]


def _found(state: Path, query: str, project: str | None = None) -> list[str]:
    hits = open_sessions(state).search(query, project=project, limit=99)
    return [hit.session.session_id for hit in hits]


def _age(state: Path) -> None:
    os.utime(state / "sessions", ns=(OLD_NS, OLD_NS))


def test_only_sessions_without_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """By project, session and creation; what asks for a state or a workflow of runs gets none."""
    _make(tmp_path, 1, "one")
    _make(tmp_path, 2, "two", has_run=True)
    _make(tmp_path, 3, project="/q")
    _make(tmp_path, 4, "four")
    assert _ids(tmp_path) == [_id(4), _id(3), _id(1)]
    assert _ids(tmp_path, limit=1, offset=1) == [_id(3)]
    assert _ids(tmp_path, RunFilter(project="/p")) == [_id(4), _id(1)]
    assert _ids(tmp_path, RunFilter(session_id=_id(1))) == [_id(1)]
    assert _ids(tmp_path, RunFilter(since=_at(3))) == [_id(4), _id(3)]
    assert _ids(tmp_path, RunFilter(status="completed")) == _ids(tmp_path, RunFilter(workflow="ask")) == []


def test_a_row_tells_what_the_session_tells(tmp_path: Path) -> None:
    """Title, messages, model and usage; it is open while a process holds it."""
    _make(tmp_path, 1, "What does\nsave do?")
    answer = MessageEntry(role="assistant", text="It saves.", model="mock/m", usage=Usage(3, 4, cost_usd=0.5))
    with open_sessions(tmp_path).open(_id(1)) as session:
        session.append(answer, ts=_at(9))
        (row,) = open_sessions(tmp_path).page(EVERY, limit=1)
        assert row.status == "open"
    (row,) = open_sessions(tmp_path).page(EVERY, limit=1)
    assert row == SessionRow(
        session_id=_id(1),
        title="What does save do?",
        messages=2,
        model="mock/m",
        project="/p",
        created_at=_at(1),
        updated_at=_at(9),
        tokens=7,
        cost_usd=0.5,
        bytes=(tmp_path / "sessions" / f"{_id(1)}.jsonl").stat().st_size,
    )


def test_a_session_that_is_open_is_read_each_time(tmp_path: Path) -> None:
    """While a process has it open its directory does not change, but what is said does."""
    _make(tmp_path, 1, "one")
    with open_sessions(tmp_path).open(_id(1)) as session:
        _age(tmp_path)
        assert _found(tmp_path, "giraffe") == []
        session.append(MessageEntry(role="user", text="a giraffe"), ts=_at(2))
        session.append(SettingsEntry(title="animals"), ts=_at(2))
        _age(tmp_path)
        assert _found(tmp_path, "giraffe") == [_id(1)]
        assert _found(tmp_path, "animals one") == [_id(1)]


def test_a_session_that_gets_a_run_is_listed_through_it(tmp_path: Path) -> None:
    """It leaves the list and the search of sessions without runs."""
    _make(tmp_path, 1, "zebra")
    assert _ids(tmp_path) == _found(tmp_path, "zebra") == [_id(1)]
    with open_sessions(tmp_path).open(_id(1)) as session:
        session.append(RunEntry(run_id="20261121-054400-aaaaaa"), ts=_at(3))
    assert _ids(tmp_path) == _found(tmp_path, "zebra") == []


def test_p9_sessions_that_hold_runs_are_not_looked_at(tmp_path: Path) -> None:
    """However many there are: one that changed is read again only when somebody asks for it."""
    path = _make(tmp_path, 1, has_run=True)
    _make(tmp_path, 2, "two")
    assert _ids(tmp_path) == [_id(2)]
    _make(tmp_path, 3, "three")
    path.write_bytes(path.read_bytes().replace(b'"name":""', b'"name":"uno"'))
    assert _ids(tmp_path) == [_id(3), _id(2)]
    assert open_sessions(tmp_path).named("uno", "/p") == _id(1)


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
def test_an_index_of_another_version_is_rebuilt(tmp_path: Path, version: int) -> None:
    """It is derived, so an older or a newer one is simply made anew."""
    import sqlite3

    _make(tmp_path, 1, "one")
    with sqlite3.connect(tmp_path / "index.sqlite") as index:
        index.execute(f"PRAGMA user_version = {version}")
    index.close()
    assert _ids(tmp_path) == _found(tmp_path, "one") == [_id(1)]


def test_s1_no_word_of_a_deleted_session_stays_in_the_index(tmp_path: Path) -> None:
    """S1: neither in its row nor in the tables of the full-text search."""
    _make(tmp_path, 1, "Okapi")
    _make(tmp_path, 2, "zebra")
    assert _found(tmp_path, "okapi") == [_id(1)]
    open_sessions(tmp_path).remove(_id(1))
    assert _ids(tmp_path) == [_id(2)]
    assert b"okapi" not in (tmp_path / "index.sqlite").read_bytes().lower()


def test_a_damaged_session_hides_no_other(tmp_path: Path) -> None:
    """A file that is none of kata's is left out of the list and the search."""
    _make(tmp_path, 1, "zebra").write_bytes(b"notes about a zebra\n")
    _make(tmp_path, 2, "zebra")
    assert _ids(tmp_path) == _found(tmp_path, "zebra") == [_id(2)]
