"""Runs are made once, owned by one process, and found again by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from faulty_fs import ERRNOS, FaultyFs, torture
from made_events import RUN_ID, finished, lines, recorded, started, unfinished

from kata_cli.core.errors import KataError
from kata_cli.core.events import Event
from kata_cli.store.atomic import remove_tree
from kata_cli.store.index import IndexedRuns, open_runs
from kata_cli.store.journal import read_journal
from kata_cli.store.owner import OwnerLock
from kata_cli.store.reading import MAX_BYTES
from kata_cli.store.runs import RunDir, RunStore
from kata_cli.store.views import read_ended, write_views

OWNER = """
import sys
from pathlib import Path
from kata_cli.store.owner import OwnerLock
lock = OwnerLock.acquire(Path(sys.argv[1], "runs", sys.argv[2]))
print("owned", flush=True)
sys.stdin.read()
"""


def _make(store: RunStore, run_id: str, events: list[Event], *, is_viewed: bool = False) -> Path:
    run = store.create(run_id)
    run.journal.append(lines(recorded(events, run_id)))
    run.close()
    if is_viewed:
        write_views(run.path, recorded(events, run_id), lambda _: {})
    return run.path


def _names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


@contextmanager
def _other_owner(state: Path, run_id: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds a run until it is killed."""
    command = [sys.executable, "-c", OWNER, str(state), run_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"owned\n"
        try:
            yield child
        finally:
            child.kill()


def test_a_new_run_is_private_and_owned_until_closed(tmp_path: Path) -> None:
    """0700 and 0600; the owner file names this process and goes with `close`."""
    run = RunStore(tmp_path).create(RUN_ID)
    assert (run.id, _names(run.path)) == (RUN_ID, ["events.jsonl", "owner"])
    assert json.loads((run.path / "owner").read_bytes())["pid"] == os.getpid()
    assert run.path.stat().st_mode & 0o777 == 0o700
    run.close()
    run.close()
    assert _names(run.path) == ["events.jsonl"]


def test_an_id_is_taken_once(tmp_path: Path) -> None:
    """A second run of the same id is refused, even if the first has ended."""
    store = RunStore(tmp_path)
    _make(store, RUN_ID, finished(), is_viewed=True)
    with pytest.raises(KataError, match="exists already"):
        store.create(RUN_ID)


@pytest.mark.parametrize(
    ("events", "is_viewed"),
    [(finished(), True), (finished(), False), (unfinished(), True)],
)
def test_a_mock_run_that_ended_makes_room(tmp_path: Path, events: list[Event], is_viewed: bool) -> None:
    """Nothing of the old run stays, whether it ended well or its process died."""
    store = RunStore(tmp_path)
    _make(store, RUN_ID, events, is_viewed=is_viewed)
    run = store.create(RUN_ID, replaces_finished=True)
    run.close()
    assert _names(run.path) == ["events.jsonl"]
    assert _names(store.directory) == [RUN_ID]


def test_a_native_run_or_one_at_work_makes_no_room(tmp_path: Path) -> None:
    """Only what mock mode can make again is replaced."""
    store = RunStore(tmp_path)
    other = "20261121-054412-native"
    path = _make(store, other, [started(mode="native"), *finished()[1:]], is_viewed=True)
    with pytest.raises(KataError, match="exists already"):
        store.create(other, replaces_finished=True)
    assert read_journal(path / "events.jsonl").recorded
    _make(store, RUN_ID, unfinished())
    with _other_owner(tmp_path, RUN_ID), pytest.raises(KataError, match="another kata is writing") as caught:
        store.create(RUN_ID, replaces_finished=True)
    assert (caught.value.failure.exit, "--home" in caught.value.failure.hint) == (11, True)


def test_t4_parallel_runs_of_one_id_have_one_winner(tmp_path: Path) -> None:
    """Whoever loses the race for the place of a mock run hears one clear reason; the winner works on."""
    store = RunStore(tmp_path)
    gate = Barrier(8)

    def contend(_: int) -> RunDir | str:
        gate.wait()
        try:
            return store.create(RUN_ID, replaces_finished=True)
        except KataError as error:
            return str(error)

    for _ in range(10):
        _make(store, RUN_ID, finished(), is_viewed=True)
        with ThreadPoolExecutor(8) as pool:
            ends = list(pool.map(contend, range(8)))
        (winner,) = [end for end in ends if isinstance(end, RunDir)]
        assert {end for end in ends if end is not winner} == {f"another kata is writing the run {RUN_ID}"}
        winner.journal.append(lines(recorded(unfinished())))
        assert store.load(RUN_ID).status == "running"
        winner.close()
        remove_tree(winner.path)


@pytest.mark.parametrize("fault", ERRNOS)
def test_f01_to_f10_each_failing_call_of_create(tmp_path: Path, fault: str) -> None:
    """A run that could not be made leaves no lock and no stray behind."""
    numbers = iter(range(100))

    def work(fs: FaultyFs) -> None:
        number = next(numbers)
        RunStore(tmp_path / str(number), fs).create(RUN_ID).close()

    def check(error: KataError | None) -> None:
        assert not [path for path in tmp_path.rglob("*") if path.name == "owner" or ".tmp" in path.name]
        if error:
            assert error.failure.exit == 11
            assert not list(tmp_path.rglob(RUN_ID))

    assert torture(work, check, ERRNOS[fault], short=False) >= 8


def test_t4_f18_a_run_in_use_is_refused_naming_its_owner(tmp_path: Path) -> None:
    """The loser hears at once which process works on the run, and may have it when that is dead."""
    store = RunStore(tmp_path)
    _make(store, RUN_ID, unfinished())
    with _other_owner(tmp_path, RUN_ID) as other:
        with pytest.raises(KataError, match=f"in use by process {other.pid} ") as caught:
            OwnerLock.acquire(store.directory / RUN_ID)
        assert caught.value.failure.exit == 11
        assert store.load(RUN_ID).status == "running"
        other.send_signal(signal.SIGKILL)
        other.wait()
    OwnerLock.acquire(store.directory / RUN_ID).release()
    assert _names(store.directory / RUN_ID) == ["events.jsonl"]


def test_ru10_a_run_whose_process_is_gone_is_recorded_as_interrupted(tmp_path: Path) -> None:
    """The journal gets its end, `run.json` the same state; a second look writes nothing (RU-11)."""
    store = RunStore(tmp_path)
    path = _make(store, RUN_ID, unfinished())
    record = store.load(RUN_ID)
    assert (record.status, record.exit_code) == ("interrupted", 130)
    assert record.error is not None
    assert record.error.message == "the process that owned this run is gone"
    assert record.interrupted_at == recorded(unfinished())[-1].ts
    assert _names(path) == ["events.jsonl", "run.json"]
    before = [(path / name).stat().st_mtime_ns for name in _names(path)]
    assert store.load(RUN_ID) == record
    (path / "run.json").unlink()
    assert store.load(RUN_ID) == record
    assert (path / "events.jsonl").stat().st_mtime_ns == before[0]


@pytest.mark.parametrize("fault", ERRNOS)
def test_ru12_recovery_survives_each_failing_call(tmp_path: Path, fault: str) -> None:
    """If the end cannot be written the run still shows as interrupted, with a warning."""
    numbers = iter(range(100))
    made: list[str] = []

    def work(fs: FaultyFs) -> None:
        run_id = f"20261121-054412-{next(numbers):06d}"
        _make(RunStore(tmp_path), run_id, unfinished())
        record = RunStore(tmp_path, fs).load(run_id)
        assert record.status == "interrupted"
        made.extend(record.warnings)

    def check(error: KataError | None) -> None:
        assert error is None

    calls = torture(work, check, ERRNOS[fault], short=False)
    survived = 2 if fault == "F05" else 0  # the two writes are continued after EINTR
    assert len(made) == calls - survived
    assert all(warning.startswith("the interruption could not be recorded: cannot") for warning in made)


def test_f16_a_run_that_cannot_be_locked_is_still_shown(tmp_path: Path) -> None:
    """Where the owner file cannot be made, nobody else can work on the run either."""
    store = RunStore(tmp_path)
    path = _make(store, RUN_ID, unfinished())
    (path / "owner").mkdir()
    record = store.load(RUN_ID)
    assert record.status == "interrupted"
    assert record.warnings == [
        f"the interruption could not be recorded: cannot lock {path}/owner: Is a directory"
    ]


def test_a_torn_journal_is_read_with_a_warning(tmp_path: Path) -> None:
    """The end is recorded behind the last whole event."""
    store = RunStore(tmp_path)
    path = _make(store, RUN_ID, unfinished())
    with (path / "events.jsonl").open("ab") as file:
        file.write(b'{"v":1,"se')
    assert store.load(RUN_ID).warnings == ["the last record was torn and is left out"]
    assert [entry.seq for entry in read_journal(path / "events.jsonl").recorded] == list(range(6))


def test_te15_a_damaged_journal_is_shown_but_not_touched(tmp_path: Path) -> None:
    """Evidence is never overwritten."""
    store = RunStore(tmp_path)
    path = _make(store, RUN_ID, unfinished())
    with (path / "events.jsonl").open("ab") as file:
        file.write(b"garbage\n")
    before = (path / "events.jsonl").read_bytes()
    record = store.load(RUN_ID)
    assert record.status == "interrupted"
    assert any("line 6 of the journal is no event" in warning for warning in record.warnings)
    assert (path / "events.jsonl").read_bytes() == before


def test_se01_te11_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """Foreign names are ignored, a run that cannot be read is listed and left in place."""
    store = RunStore(tmp_path)
    ids = [f"2026112{day}-054412-k3f9q2" for day in range(3)]
    for run_id in ids:
        _make(store, run_id, finished(), is_viewed=True)
    (store.directory / "notes").mkdir()
    (store.directory / ids[1] / "run.json").write_bytes(b"broken")
    (store.directory / ids[1] / "events.jsonl").write_bytes(b"")
    assert store.ids() == ids[::-1]
    assert all(map(store.has, ids))
    assert not store.has("notes")
    with pytest.raises(KataError, match=ids[1]):
        store.load(ids[1])


def _as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _as_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, MAX_BYTES + 1)


@pytest.mark.parametrize("replace", [os.mkfifo, os.mkdir, _as_device, _as_huge])
def test_f16_what_is_no_regular_file_is_never_waited_for(
    tmp_path: Path, replace: Callable[[Path], None]
) -> None:
    """In place of `run.json` it counts as absent; in place of the journal it is an error with its path."""
    store = RunStore(tmp_path)
    path = _make(store, RUN_ID, finished(), is_viewed=True)
    (path / "run.json").unlink()
    replace(path / "run.json")
    assert read_ended(path) is None
    (path / "events.jsonl").unlink()
    replace(path / "events.jsonl")
    with pytest.raises(KataError) as caught:
        store.load(RUN_ID)
    assert str(caught.value).startswith(f"cannot read {path}/events.jsonl: ")
    assert caught.value.failure.exit == 11
    with pytest.raises(KataError, match="no run yet"):
        open_runs(tmp_path).resolve("last", project="/p")


def test_f17_a_symlinked_run_directory_is_refused(tmp_path: Path) -> None:
    """A link planted among the runs leads nowhere."""
    store = RunStore(tmp_path)
    path = _make(store, RUN_ID, finished(), is_viewed=True)
    link = store.directory / "20261121-054412-aaaaaa"
    link.symlink_to(path)
    with pytest.raises(KataError, match="symlinks are not followed"):
        store.load(link.name)


def test_an_empty_store_has_no_runs(tmp_path: Path) -> None:
    """Nothing is created by looking."""
    store = RunStore(tmp_path)
    assert store.ids() == []
    assert _names(tmp_path) == []


@pytest.fixture
def store(tmp_path: Path) -> IndexedRuns:
    """Four runs in two projects and two sessions."""
    store = open_runs(tmp_path)
    for run_id, project, session_id in [
        ("20261120-000000-aaaaaa", "/p", "s-one"),
        ("20261121-000000-bbbbbb", "/p", "s-one"),
        ("20261121-000001-cccccc", "/q", "s-two"),
        ("20261122-000000-dddbbb", "/q", "s-three"),
    ]:
        _make(store, run_id, [started(project, session_id), *finished()[1:]])
    return store


@pytest.mark.parametrize(
    ("text", "project", "wanted"),
    [
        ("last", "/p", "20261121-000000-bbbbbb"),
        ("last", "/q", "20261122-000000-dddbbb"),
        ("last", None, "20261122-000000-dddbbb"),
        ("20261120", None, "20261120-000000-aaaaaa"),
        ("cccccc", None, "20261121-000001-cccccc"),
        ("bbbbbb", None, "20261121-000000-bbbbbb"),
        ("20261121-000001-cccccc", "/p", "20261121-000001-cccccc"),
        ("s-one", "/q", "20261121-000000-bbbbbb"),
        ("s-th", None, "20261122-000000-dddbbb"),
    ],
)
def test_a_run_is_found_by_any_unique_name(
    store: IndexedRuns, text: str, project: str | None, wanted: str
) -> None:
    """`last`, a whole id, its beginning or end, or a session."""
    assert store.resolve(text, project=project) == wanted


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("20261121", "20261121 names 2 runs: 20261121-000001-cccccc", "give more of the id"),
        ("bbb", "bbb names 2 runs", "give more of the id"),
        ("20261121-000000-bbbbbc", "there is no run 20261121-000000-bbbbbc", "did you mean"),
        ("s-t", "s-t names 2 sessions", "give more of the id"),
        ("s-onne", "there is no session s-onne", "did you mean s-one"),
        ("zzz", "there is no run zzz", "kata sessions list"),
        ("last", "there is no run of this project yet", "the newest is 20261122-000000-dddbbb"),
    ],
)
def test_what_names_no_single_run_is_a_usage_error(
    store: IndexedRuns, text: str, message: str, hint: str
) -> None:
    """The nearest ids are listed."""
    with pytest.raises(KataError) as caught:
        store.resolve(text, project="/elsewhere")
    assert message in str(caught.value)
    assert hint in caught.value.failure.hint
    assert caught.value.failure.exit == 2


HOSTILE = [
    "",
    "..",
    "../x",
    "/etc",
    "a/b",
    "a\\b",
    "nul\0",
    "a\nb",
    "\x1b[2J",
    "CON.",
    "．．",
    "x" * 300,
    "ÄÖ",
    "~",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_f1_se10_hostile_ids_are_refused_before_any_io(tmp_path: Path, text: str) -> None:
    """Traversal, control characters and over-long names are usage errors, and nothing is made."""
    store = open_runs(tmp_path / "state")
    with pytest.raises(KataError) as resolving:
        store.resolve(text, project=None)
    with pytest.raises(KataError) as loading:
        store.load(text)
    with pytest.raises(KataError) as creating:
        store.create(text)
    assert {caught.value.failure.exit for caught in (resolving, loading, creating)} == {2}
    assert len(str(resolving.value)) < 200
    assert _names(tmp_path) == []
