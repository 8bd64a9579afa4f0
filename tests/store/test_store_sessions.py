"""Sessions are trees in files: one writer at a time, nothing acknowledged lost, nothing foreign touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from faulty_fs import ERRNOS, FaultyFs, torture
from hypothesis import given, settings
from hypothesis import strategies as st
from session_files import ID, OTHER, RUN, TS, append_entry, make_session, names_in

from kata_cli.core.errors import KataError
from kata_cli.core.session import (
    CompactionEntry,
    Entry,
    HeadEntry,
    MessageEntry,
    NameEntry,
    Origin,
    RunEntry,
    Session,
    UnknownEntry,
)
from kata_cli.store.owner import Owned, owner_of
from kata_cli.store.sessions import SessionStore

HOLDER = """
import sys
from pathlib import Path
from kata_cli.store.sessions import SessionStore
session = SessionStore(Path(sys.argv[1])).open(sys.argv[2])
print("open", flush=True)
sys.stdin.read()
"""


def _runs(entries: list[Entry]) -> list[str]:
    return [entry.run_id for entry in entries if isinstance(entry, RunEntry)]


@contextmanager
def _other_holder(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the session open until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(state), ID]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_new_session_is_private_and_locked_until_closed(tmp_path: Path) -> None:
    """0600 in 0700; the owner file names this process and goes with `close`, which may be called twice."""
    store = SessionStore(tmp_path)
    session = store.create(ID, project="/p", name="login", ts=TS)
    assert names_in(store.directory) == [f"{ID}.jsonl", f"{ID}.owner"]
    owner = owner_of(store.owner_file(ID))
    assert owner is not None
    assert owner.pid == os.getpid()
    session.close()
    session.close()
    assert owner_of(store.owner_file(ID)) is None
    assert names_in(store.directory) == [f"{ID}.jsonl"]
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert (store.directory / f"{ID}.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_file_is_a_header_and_entries_as_json_lines(tmp_path: Path) -> None:
    """What others may read: keys and values of every line."""
    store = SessionStore(tmp_path)
    path = make_session(store, ID, RunEntry(run_id=RUN), NameEntry(name="login"), name="first")
    header, *entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert header == {
        "type": "session",
        "v": 1,
        "id": ID,
        "ts": TS,
        "name": "first",
        "project": "/p",
        "forked_from": None,
    }
    assert entries == [
        {"type": "run", "id": "e1", "parent": None, "ts": TS, "run_id": RUN},
        {"type": "name", "id": "e2", "parent": "e1", "ts": TS, "name": "login"},
    ]


def test_se13_a_head_move_makes_a_branch(tmp_path: Path) -> None:
    """What comes after the move follows its target; the branch that was left stays in the file."""
    store = SessionStore(tmp_path)
    make_session(
        store,
        ID,
        RunEntry(run_id="a"),
        RunEntry(run_id="b"),
        NameEntry(name="n"),
        HeadEntry(target="e1"),
        RunEntry(run_id="c"),
    )
    session = store.read(ID)
    assert (session.head, session.name, session.next_id) == ("e5", "n", "e6")
    assert _runs(session.path()) == ["a", "c"]
    assert _runs(session.path("e2")) == ["a", "b"]
    assert [(entry.id, entry.parent) for entry in session.nodes] == [("e1", None), ("e2", "e1"), ("e5", "e1")]
    append_entry(store, HeadEntry(target=None))
    assert (store.read(ID).head, store.read(ID).path()) == (None, [])
    for unknown in ("e9", "e3", "../e1"):
        with pytest.raises(KataError, match="has no entry"):
            session.path(unknown)
        with store.open(ID) as opened, pytest.raises(KataError, match="has no entry"):
            opened.append(HeadEntry(target=unknown), ts=TS)


def test_se14_a_compaction_stands_for_what_came_before(tmp_path: Path) -> None:
    """The effective path begins with the last summary on it; on another branch it says nothing."""
    store = SessionStore(tmp_path)
    summary = CompactionEntry(summary="s", model="m", tokens_before=9, tokens_after=1)
    make_session(store, ID, RunEntry(run_id="a"), summary, RunEntry(run_id="b"))
    session = store.read(ID)
    assert [type(entry) for entry in session.effective_path()] == [CompactionEntry, RunEntry]
    assert _runs(session.effective_path("e1")) == ["a"]
    assert _runs(session.path()) == ["a", "b"]


_contents = st.one_of(
    st.builds(RunEntry, run_id=st.sampled_from(["a", "b"])),
    st.builds(MessageEntry, role=st.sampled_from(["user", "assistant"]), text=st.text(max_size=8)),
    st.builds(NameEntry, name=st.sampled_from(["x", "élan vital", "a.b-c_d"])),
    st.just(CompactionEntry(summary="s\u2028\x9b", model="m", tokens_before=2, tokens_after=1)),
)


@given(st.lists(st.one_of(_contents, st.integers(0, 9)), max_size=12))
@settings(max_examples=50, deadline=None)
def test_any_appends_and_forks_read_back_the_same_tree(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Entry | int]
) -> None:
    """A number moves the head to that place; each step is a reopening; a fork of the end holds its path."""
    store = SessionStore(tmp_path_factory.mktemp("tree"))
    make_session(store)
    expected: list[Entry] = []
    for step in steps:
        with store.open(ID) as opened:
            places = [entry.id for entry in opened.session.nodes]
            target = places[step % len(places)] if isinstance(step, int) and places else None
            entry = HeadEntry(target=target) if isinstance(step, int) else step
            expected.append(opened.append(entry, ts=TS))
    session = store.read(ID)
    assert list(session.entries) == expected
    assert [entry.id for entry in expected] == [f"e{number}" for number in range(1, len(expected) + 1)]
    origin = Origin(ID, session.head)
    with store.create(OTHER, project="/p", ts=TS, forked_from=origin, entries=session.path()) as fork:
        added = fork.append(RunEntry(run_id="after"), ts=TS)
    forked = store.read(OTHER)
    assert (forked.path()[:-1], forked.header.forked_from) == (session.path(), origin)
    assert (added.parent, added.id) == (session.head, forked.head)
    assert len({entry.id for entry in forked.entries}) == len(forked.entries)


@pytest.mark.parametrize("tail", [b"", b"\0" * 4096, b"\0" * 100 + b"\n" + b"\0" * 5 + b"\n"])
def test_f12_f13_a_torn_entry_is_cut_and_nothing_else(tmp_path: Path, tail: bytes) -> None:
    """The file cut at each byte of its last entry, with and without NUL blocks: the rest goes on."""
    store = SessionStore(tmp_path)
    path = make_session(store, ID, RunEntry(run_id="a"), MessageEntry(role="user", text="é\nü"))
    data = path.read_bytes()
    start = data.rindex(b"\n", 0, len(data) - 1) + 1
    for end in range(start, len(data)):
        path.write_bytes(data[:end] + tail)
        is_torn = end > start or bool(tail)
        assert store.read(ID).warnings == (("the last entry was torn and is left out",) if is_torn else ())
        added = append_entry(store, RunEntry(run_id="b"))
        assert (added.id, added.parent) == ("e2", "e1")
        assert _runs(list(store.read(ID).entries)) == ["a", "b"]
        assert path.read_bytes().startswith(data[:start])


def test_t4_f18_a_session_in_use_is_refused_naming_its_owner(tmp_path: Path) -> None:
    """The loser hears at once who has it, for every kind of change; reading goes on; a dead owner is none."""
    store = SessionStore(tmp_path)
    make_session(store)
    with _other_holder(tmp_path) as other:
        calls: list[Callable[[], object]] = [
            lambda: store.open(ID),
            lambda: store.remove(ID),
            lambda: store.create(ID, project="/p", ts=TS, replaces=True),
        ]
        for call in calls:
            with pytest.raises(
                KataError, match=f"session {ID} is in use by process {other.pid} on "
            ) as caught:
                call()
            assert caught.value.failure.exit == 11
        assert store.read(ID).id == ID
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert append_entry(store, RunEntry(run_id="a")).id == "e1"
    assert names_in(store.directory) == [f"{ID}.jsonl"]


def test_t4_two_processes_that_append_in_turn_leave_one_chain(tmp_path: Path) -> None:
    """Ids follow on under the lock, whoever writes."""
    store = SessionStore(tmp_path)
    make_session(store)
    script = (
        "import sys; from pathlib import Path; from kata_cli.store.sessions import SessionStore\n"
        "with SessionStore(Path(sys.argv[1])).open(sys.argv[2]) as session:\n"
        "    session.append_run('other', ts='')\n"
    )
    for _ in range(3):
        append_entry(store, RunEntry(run_id="own"))
        subprocess.run([sys.executable, "-c", script, str(tmp_path), ID], check=True)
    entries = store.read(ID).entries
    assert [entry.id for entry in entries] == [f"e{number}" for number in range(1, 7)]
    assert _runs(store.read(ID).path()) == ["own", "other"] * 3


def test_t4_eight_writers_at_once_interleave_nothing(tmp_path: Path) -> None:
    """Whoever gets the session adds one whole entry; the losers add nothing, and no id is given twice."""
    store = SessionStore(tmp_path)
    make_session(store)

    def contend(writer: int) -> int:
        added = 0
        for _ in range(40):
            with suppress(Owned):
                append_entry(store, MessageEntry(role="user", text=f"{writer} " * 500))
                added += 1
        return added

    with ThreadPoolExecutor(8) as pool:
        added = sum(pool.map(contend, range(8)))
    session = store.read(ID)
    assert added >= 8
    assert [entry.id for entry in session.path()] == [f"e{number}" for number in range(1, added + 1)]


@pytest.mark.parametrize("fault", ERRNOS)
def test_f01_to_f10_each_failing_call_of_create_and_append(tmp_path: Path, fault: str) -> None:
    """Nothing acknowledged is lost, nothing half made is seen, no lock stays."""
    numbers = iter(range(1000))
    acknowledged: list[str] = []

    def work(fs: FaultyFs) -> None:
        session_id = f"s-20261121-054412-{next(numbers):06d}"
        with SessionStore(tmp_path, fs).create(session_id, project="/p", ts=TS) as session:
            acknowledged.append(session_id)
            session.append(RunEntry(run_id="a"), ts=TS)
            acknowledged.append(f"{session_id}/a")

    def check(error: KataError | None) -> None:
        assert error is None or error.failure.exit == 11
        store = SessionStore(tmp_path)
        if store.directory.exists():
            assert all(name.endswith(".jsonl") for name in names_in(store.directory))
        found = {session.id: session for session in store.each() if isinstance(session, Session)}
        for told in acknowledged:
            session_id, _, run_id = told.partition("/")
            assert run_id in ("", *_runs(list(found[session_id].entries)))

    assert torture(work, check, ERRNOS[fault], short=True) >= 8


def test_an_id_is_taken_once_unless_it_is_replaced(tmp_path: Path) -> None:
    """A mock run that is made again replaces its session; a file that is no session is never replaced."""
    store = SessionStore(tmp_path)
    path = make_session(store, ID, RunEntry(run_id="a"))
    with pytest.raises(KataError, match="exists already") as caught:
        make_session(store)
    assert caught.value.failure.exit == 11
    store.create(ID, project="/p", ts=TS, replaces=True).close()
    assert store.read(ID).entries == ()
    path.write_bytes(b"my notes\n")
    with pytest.raises(KataError, match="does not begin with the header"):
        store.create(ID, project="/p", ts=TS, replaces=True)
    assert path.read_bytes() == b"my notes\n"
    assert names_in(store.directory) == [f"{ID}.jsonl"]


HEADER = (
    json.dumps({"type": "session", "v": 1, "id": ID, "ts": TS, "name": "", "project": "/p"}).encode() + b"\n"
)


def _entry(**keys: object) -> bytes:
    return (
        json.dumps({"type": "run", "id": "e1", "parent": None, "ts": TS, "run_id": "a", **keys}).encode()
        + b"\n"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "does not begin with the header"),
        (b"\xff\xfe\n", "does not begin with the header"),
        (b"[" * 100_000 + b"\n", "does not begin with the header"),
        (HEADER.replace(b'"s-2', b'"s-3'), "no session of that id"),
        (HEADER.replace(b'"v": 1', b'"v": 2'), "session version 2 is newer than 1"),
        (HEADER + b"garbage\n", "line 2 is no entry"),
        (HEADER + b"[" * 100_000 + b"\n", "line 2 is no entry"),
        (HEADER + b"3\n", "line 2 is no entry"),
        (HEADER + _entry(id="../e1"), "line 2 is no entry"),
        (HEADER + _entry(parent="e1"), "line 2 is no entry"),
        (HEADER + _entry(parent="e2") + _entry(id="e2", parent="e1"), "line 2 is no entry"),
        (HEADER + _entry() + _entry(), "line 3 is no entry"),
        (HEADER + _entry(type="head", target="e7"), "line 2 is no entry"),
    ],
)
def test_te15_a_damaged_foreign_or_newer_file_is_told_and_not_touched(
    tmp_path: Path, data: bytes, says: str
) -> None:
    """Named it is exit 11, in the list one error among sessions; no path may go round in circles."""
    store = SessionStore(tmp_path)
    path = make_session(store)
    make_session(store, OTHER)
    path.write_bytes(data)
    for call in (store.read, store.open):
        with pytest.raises(KataError, match=says) as caught:
            call(ID)
        assert caught.value.failure.exit == 11
        assert str(path) in str(caught.value)
    found = list(store.each())
    assert sorted(type(each).__name__ for each in found) == ["KataError", "Session"]
    assert path.read_bytes() == data
    assert store.resolve("last", project="/p") == OTHER


def test_an_entry_of_a_later_kata_keeps_its_place(tmp_path: Path) -> None:
    """Within a version types are only added: the tree holds, a warning says that something is not shown."""
    store = SessionStore(tmp_path)
    path = make_session(store, ID, RunEntry(run_id="a"))
    with path.open("ab") as file:
        file.write(_entry(type="vote", id="e2", parent="e1", ballot=[1]))
    assert append_entry(store, RunEntry(run_id="b")).parent == "e2"
    session = store.read(ID)
    assert [type(entry) for entry in session.path()] == [RunEntry, UnknownEntry, RunEntry]
    assert session.warnings == ("1 entry of a type unknown to this version not shown",)


def test_f17_a_link_in_place_of_a_session_is_refused(tmp_path: Path) -> None:
    """Neither read, nor written, nor replaced; what it points to stays."""
    store = SessionStore(tmp_path)
    target = make_session(store, OTHER)
    before = target.read_bytes()
    (store.directory / f"{ID}.jsonl").symlink_to(target)
    calls: list[Callable[[], object]] = [
        lambda: store.read(ID),
        lambda: store.open(ID),
        lambda: store.create(ID, project="/p", ts=TS, replaces=True),
    ]
    for call in calls:
        with pytest.raises(KataError, match="cannot read") as caught:
            call()
        assert caught.value.failure.exit == 11
    assert target.read_bytes() == before
