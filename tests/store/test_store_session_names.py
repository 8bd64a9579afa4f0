"""How a session is called and found, and what never becomes the path of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from session_files import ID, OTHER, RUN, TS, append_entry, make_session, names_in

from kata_cli.core.errors import KataError
from kata_cli.core.session import NameEntry, RunEntry
from kata_cli.store.sessions import SessionStore


@pytest.mark.parametrize(
    "session_id",
    ["", "last", "..", "../x", "s-../../../../etc/passwd", "/etc/passwd", f"{ID}\0", f"{ID}/", "s" * 300],
)
def test_f1_se10_what_is_no_id_never_becomes_a_path(tmp_path: Path, session_id: str) -> None:
    """Traversal and long ids are usage errors before anything is made."""
    store = SessionStore(tmp_path)
    calls: list[Callable[[], object]] = [
        lambda: store.create(session_id, project="/p", ts=TS),
        lambda: store.open(session_id),
        lambda: store.read(session_id),
        lambda: store.remove(session_id),
    ]
    for call in calls:
        with pytest.raises(KataError, match="is no session id") as caught:
            call()
        assert caught.value.failure.exit == 2
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "x" * 65, "x" * 300, " a", "a ", "-a", "a\nb", "last", ID, RUN, "a\u202eb"]
)
def test_f1_names_that_are_refused(tmp_path: Path, name: str) -> None:
    """At making and at renaming; a name that reads like an id could mean two things."""
    store = SessionStore(tmp_path)
    with pytest.raises(KataError, match="cannot name a session") as caught:
        store.create(ID, project="/p", name=name, ts=TS)
    assert caught.value.failure.exit == 2
    make_session(store)
    with pytest.raises(KataError, match="cannot name a session"):
        append_entry(store, NameEntry(name=name))
    assert store.read(ID).entries == ()


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    """Three sessions in two projects, the middle one written last."""
    store = SessionStore(tmp_path)
    for number, (session_id, name, project) in enumerate(
        [(ID, "login", "/p"), (OTHER, "élan vital", "/p"), ("s-20261122-000000-bbbbq2", "login", "/q")]
    ):
        path = make_session(store, session_id, name=name, project=project)
        os.utime(path, ns=(0, 10**18 - abs(number - 1)))
    return store


@pytest.mark.parametrize(
    ("text", "project", "found"),
    [
        ("last", "/p", OTHER),
        ("last", "/q", "s-20261122-000000-bbbbq2"),
        ("last", None, OTHER),
        ("login", "/p", ID),
        ("login", "/q", "s-20261122-000000-bbbbq2"),
        ("e\u0301lan vital", "/p", OTHER),
        (ID, "/q", ID),
        ("k3f9q2", "/q", ID),
        ("s-20261122", "/p", "s-20261122-000000-bbbbq2"),
        (RUN, "/p", ID),
    ],
)
def test_se01_a_session_is_found_by_what_it_is_called(
    store: SessionStore, text: str, project: str | None, found: str
) -> None:
    """`last`, the name within the project, an id or a part of it, the id of its first run."""
    assert store.resolve(text, project=project) == found


@pytest.mark.parametrize(
    ("text", "project", "says", "hint"),
    [
        ("logn", "/p", "there is no session 'logn'", "did you mean login"),
        ("s-20261121", "/p", "names 2 sessions", "by its id"),
        ("login", None, "names 2 sessions", "by its id"),
        ("last", "/r", "no session of this project yet", "kata run"),
        ("", "/p", "there is no session ''", "kata sessions list"),
        ("../../x", "/p", "there is no session", "kata sessions list"),
        ("x" * 300, "/p", "there is no session", "kata sessions list"),
    ],
)
def test_a_session_that_is_not_found_is_told_with_what_is_near(
    store: SessionStore, text: str, project: str | None, says: str, hint: str
) -> None:
    """Unknown and ambiguous names are exit 2."""
    with pytest.raises(KataError, match=says) as caught:
        store.resolve(text, project=project)
    assert (caught.value.failure.exit, hint in caught.value.failure.hint) == (2, True)
    assert len(str(caught.value)) < 250


def test_a_name_alone_can_be_asked_for(store: SessionStore) -> None:
    """`named` finds no ids and no parts of them, only what a person called the session."""
    assert store.named("login", "/p") == ID
    assert store.named("k3f9q2", "/p") is None
    with pytest.raises(KataError, match="names 2 sessions"):
        store.named("login", None)


def test_se09_a_removed_session_is_gone(store: SessionStore) -> None:
    """Its file goes, the others stay; removing it again says so."""
    store.remove(ID)
    assert ID not in store.ids()
    assert len(store.ids()) == 2
    with pytest.raises(KataError, match="there is no session"):
        store.remove(ID)


def test_an_empty_store_has_no_sessions(tmp_path: Path) -> None:
    """Nothing is created by looking."""
    store = SessionStore(tmp_path)
    assert list(store.each()) == []
    with pytest.raises(KataError, match="there is no session yet"):
        store.resolve("last", project=None)
    assert names_in(tmp_path) == []


def test_a_session_that_was_deleted_while_open_takes_no_more(tmp_path: Path) -> None:
    """An entry that nobody could ever read is not acknowledged."""
    store = SessionStore(tmp_path)
    with store.create(ID, project="/p", ts=TS) as session:
        (store.directory / f"{ID}.jsonl").unlink()
        with pytest.raises(KataError, match="deleted while in use"):
            session.append(RunEntry(run_id="a"), ts=TS)
        assert session.session.entries == ()
