"""Sessions are found through the index as a walk through their files finds them, whatever happens to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kata_cli.core.errors import KataError
from kata_cli.core.session import NameEntry, Origin, RunEntry, Session
from kata_cli.store.session_index import open_sessions
from kata_cli.store.sessions import SessionStore

TS = "2026-11-21T05:44:12.000Z"
OLD_NS = 1_000_000_000_000_000_000


def _id(number: int) -> str:
    return f"s-20261121-0544{number:02d}-aaaaa{number % 10}"


def _make(state: Path, number: int, name: str = "", *, project: str = "/p", left: str = "") -> Path:
    store = SessionStore(state)
    origin = Origin(left, "e1") if left else None
    with store.create(_id(number), project=project, name=name, ts=TS, forked_from=origin):
        return store.directory / f"{_id(number)}.jsonl"


def _age(state: Path) -> None:
    """Let the last change of the directory of sessions be long past."""
    os.utime(state / "sessions", ns=(OLD_NS, OLD_NS))


def _outcome(store: SessionStore, text: str, project: str | None) -> str:
    try:
        return store.resolve(text, project=project)
    except KataError as error:
        return f"{error}; {error.failure.hint}"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions of two projects with names, one without, and one that cannot be read."""
    state = tmp_path_factory.mktemp("library")
    for number, (name, project) in enumerate(
        [("login", "/p"), ("login", "/q"), ("élan vital", "/p"), ("", "/p"), ("logout", "/p")]
    ):
        _make(state, number, name, project=project)
    _make(state, 5).write_bytes(b"notes\n")
    return state


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text("s-20164aeklogin", max_size=10)
    | st.sampled_from(["last", "login", "e\u0301lan vital", "logn", _id(5), _id(9), "a" * 300, "s-*", "%"]),
    project=st.sampled_from(["/p", "/q", "/r", None]),
)
def test_the_index_finds_what_a_walk_finds(library: Path, text: str, project: str | None) -> None:
    """Any name, id or part of one means the same session, or the same error with the same hint."""
    assert _outcome(open_sessions(library), text, project) == _outcome(SessionStore(library), text, project)


def test_what_changed_on_disk_is_seen(tmp_path: Path) -> None:
    """New sessions, new names and deleted files; `last` is the one that was written last."""
    first, _ = _make(tmp_path, 1, "one"), _make(tmp_path, 2, "two")
    store = open_sessions(tmp_path)
    assert store.resolve("last", project="/p") == _id(2)
    with store.open(_id(1)) as session:
        session.append(RunEntry(run_id="a"), ts=TS)
    assert store.resolve("last", project="/p") == _id(1)
    store.rename(_id(1), "uno", ts=TS)
    assert store.resolve("uno", project="/p") == _id(1)
    assert store.named("one", "/p") is None
    first.unlink()
    assert store.named("uno", "/p") is None
    assert store.resolve("last", project="/p") == _id(2)


def test_a_session_that_is_open_is_looked_at_each_time(tmp_path: Path) -> None:
    """While a process has it open the directory does not change, but the session does."""
    _make(tmp_path, 1, "one")
    with open_sessions(tmp_path).open(_id(1)) as session:
        _age(tmp_path)
        assert open_sessions(tmp_path).named("one", "/p") == _id(1)
        session.append(NameEntry(name="uno"), ts=TS)
        _age(tmp_path)
        assert open_sessions(tmp_path).named("uno", "/p") == _id(1)


def test_p9_a_session_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    """A file with the same time, size and inode counts as read, though the directory changed."""
    path = _make(tmp_path, 1, "one")
    assert open_sessions(tmp_path).named("one", "/p") == _id(1)
    written_ns = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b'"one"', b'"two"'))
    os.utime(path, ns=(written_ns, written_ns))
    _make(tmp_path, 2)
    assert open_sessions(tmp_path).named("two", "/p") is None
    assert SessionStore(tmp_path).named("two", "/p") == _id(1)


def test_forks_are_found_and_unreadable_sessions_told(tmp_path: Path) -> None:
    """A session that cannot be read might be a fork: its error comes with those that are."""
    _make(tmp_path, 1)
    _make(tmp_path, 2, left=_id(1))
    _make(tmp_path, 3, left=_id(2))
    broken = _make(tmp_path, 4, left=_id(1))
    broken.write_bytes(b"notes\n")
    for store in (open_sessions(tmp_path), SessionStore(tmp_path)):
        found = list(store.forks(_id(1)))
        assert [fork.id for fork in found if isinstance(fork, Session)] == [_id(2)]
        assert [str(broken) in str(error) for error in found if isinstance(error, KataError)] == [True]


@pytest.mark.parametrize("plant", [os.mkdir, os.mkfifo, lambda path: path.write_bytes(b"broken" * 5000)])
def test_f16_without_an_index_sessions_are_found_all_the_same(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    """A file that is none of SQLite's is replaced, what is no file is left alone."""
    _make(tmp_path, 1, "one")
    plant(tmp_path / "index.sqlite")
    assert open_sessions(tmp_path).resolve("one", project="/p") == _id(1)


def test_an_empty_store_is_not_made_by_looking(tmp_path: Path) -> None:
    """No directory and no file."""
    with pytest.raises(KataError, match="no session yet"):
        open_sessions(tmp_path / "none").resolve("last", project=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opened", [SessionStore, open_sessions])
def test_f18_a_name_is_given_once(tmp_path: Path, opened: Callable[[Path], SessionStore]) -> None:
    """Of many who begin a session of one name at once, one has it; in another project it is free."""
    os.makedirs(tmp_path / "sessions")

    def begin(number: int) -> str:
        try:
            opened(tmp_path).create(_id(number), project="/p", name="login", ts=TS).close()
        except KataError as error:
            return str(error)
        return _id(number)

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(begin, range(6)))
    (holder,) = [each for each in told if each.startswith("s-")]
    assert told.count(f"'login' is the name of {holder}") == 5
    store = opened(tmp_path)
    assert store.ids() == [holder]
    store.create(_id(7), project="/q", name="login", ts=TS).close()
    store.create(_id(8), project="/p", ts=TS).close()
    with pytest.raises(KataError, match="is the name of"):
        store.rename(_id(8), "login", ts=TS)
    assert store.rename(holder, "login", ts=TS).name == "login"
