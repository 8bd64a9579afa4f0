"""Whatever happens to the index, and whatever lies among the runs, the sound runs are found as they are."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_runs import EVERY, add_run, age_runs, found_ids, id_of, listed_ids
from made_events import RUN_ID, finished, recorded, unfinished

from kata_cli.core.errors import KataError
from kata_cli.core.events import TaskFinished
from kata_cli.store.atomic import remove_tree
from kata_cli.store.index import open_runs
from kata_cli.store.index_rows import RunFilter
from kata_cli.store.views import write_views

READER = """
import sys
from pathlib import Path
from kata_cli.store.index import open_runs
from kata_cli.store.index_rows import RunFilter
sys.stdin.readline()
runs = open_runs(Path(sys.argv[1]))
for _ in range(5):
    print(*(row.run_id for row in runs.page(RunFilter(), limit=99).runs))
    print(*(hit.run.run_id for hit in runs.search("yes", project=None, limit=99).hits))
print(*runs.warnings, file=sys.stderr)
"""


def _delete(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def _spoil(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


def _older(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def _foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (other)")
    connection.close()


def _bad_rows(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET row = x'00', stamp = stamp")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("harm", [_delete, _empty, _cut, _garbage, _spoil, _older, _foreign, _bad_rows])
def test_a_lost_or_broken_index_is_made_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Nobody hears of it, and the new one is private again."""
    for number in range(40):
        add_run(tmp_path, number)
    age_runs(tmp_path)
    wanted = listed_ids(open_runs(tmp_path))
    assert found_ids(tmp_path, "yes") == wanted
    harm(tmp_path / "index.sqlite")
    runs = open_runs(tmp_path)
    assert listed_ids(runs) == wanted
    assert found_ids(tmp_path, "yes") == wanted
    assert runs.warnings == []
    assert stat.S_IMODE((tmp_path / "index.sqlite").stat().st_mode) == 0o600
    assert listed_ids(open_runs(tmp_path)) == wanted


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 90_000), noise=st.binary(min_size=1, max_size=64))
def test_no_damage_of_the_index_is_an_error(tmp_path: Path, place: int, noise: bytes) -> None:
    """Bytes overwritten anywhere: the question is answered all the same."""
    if not (tmp_path / "runs").exists():
        add_run(tmp_path, 0)
    file = tmp_path / "index.sqlite"
    file.unlink(missing_ok=True)
    found_ids(tmp_path, "yes")
    with file.open("r+b") as stream:
        stream.seek(place % file.stat().st_size)
        stream.write(noise)
    runs = open_runs(tmp_path)
    runs.page(EVERY, limit=9)
    runs.search("yes", project=None, limit=9)
    assert runs.resolve(id_of(0), project=None) == id_of(0)


def _as_directory(file: Path) -> None:
    file.mkdir()


def _as_link(file: Path) -> None:
    file.symlink_to("elsewhere")


@pytest.mark.parametrize("name", ["index.sqlite", "index.lock"])
@pytest.mark.parametrize("plant", [_as_directory, _as_link, os.mkfifo])
def test_f16_an_index_that_cannot_be_written_is_done_without(
    tmp_path: Path, plant: Callable[[Path], None], name: str
) -> None:
    """The runs are read one by one, with a warning; nothing is followed or waited for."""
    add_run(tmp_path, 0)
    add_run(tmp_path, 1)
    plant(tmp_path / name)
    runs = open_runs(tmp_path)
    is_usable = name == "index.lock" and plant is os.mkfifo
    assert listed_ids(runs) == [id_of(1), id_of(0)]
    assert [warning.partition(":")[0] for warning in runs.warnings] == (
        [] if is_usable else ["the index of runs cannot be used, they are read one by one"]
    )
    assert found_ids(tmp_path, "yes") == [id_of(1), id_of(0)]
    assert not (tmp_path / "elsewhere").exists()


def test_f01_a_full_disk_is_no_error(tmp_path: Path) -> None:
    """A database that may not grow stands for it: SQLite tells both as SQLITE_FULL."""
    add_run(tmp_path, 0)
    assert len(listed_ids(open_runs(tmp_path))) == 1
    for number in range(1, 200):
        add_run(tmp_path, number)
    told = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout == "200\n"
    assert "they are read one by one" in told.stderr


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from kata_cli.store.index import open_runs
from kata_cli.store.index_rows import RunFilter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = (Path(sys.argv[1]) / "index.sqlite").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
runs = open_runs(Path(sys.argv[1]))
print(len(runs.page(RunFilter(), limit=999).runs))
print(*runs.warnings, file=sys.stderr)
"""


def test_f18_two_processes_make_the_index_at_once(tmp_path: Path) -> None:
    """Both have every answer right from the first, with a broken index before them and no word about it."""
    for number in range(60):
        add_run(tmp_path, number)
    (tmp_path / "index.sqlite").write_bytes(b"broken" * 5000)
    command = [sys.executable, "-c", READER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    readers = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    for reader in readers:
        reader.stdin.write("go\n")
        reader.stdin.flush()
    told = [reader.communicate() for reader in readers]
    wanted = " ".join(id_of(number) for number in reversed(range(60)))
    assert [output.splitlines() for output, _ in told] == [[wanted] * 10] * 4
    assert {errors for _, errors in told} == {"\n"}
    assert listed_ids(open_runs(tmp_path)) == wanted.split()


def test_te11_what_is_no_sound_run_is_named_and_left_alone(tmp_path: Path) -> None:
    """Unreadable runs, foreign names and newer ones are warned of each time; hidden files are nobody's."""
    add_run(tmp_path, 0)
    torn, newer = add_run(tmp_path, 1), add_run(tmp_path, 2)
    (torn / "run.json").unlink()
    (torn / "events.jsonl").write_bytes(b"")
    (newer / "run.json").unlink()
    (newer / "events.jsonl").write_bytes(b'{"v":99,"seq":0,"ts":"","run_id":"x","type":"run.started"}\n')
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / ".hidden").mkdir()
    os.mkdir(os.fsencode(tmp_path / "runs") + b"/b\xff")
    for _ in range(2):
        age_runs(tmp_path)
        runs = open_runs(tmp_path)
        assert listed_ids(runs) == [id_of(0)]
        assert len(runs.warnings) == 4
        for part in (
            id_of(1),
            "event version 99 is newer",
            "notes is no run and is left alone",
            "b\\udcff",
        ):
            assert sum(part in warning for warning in runs.warnings) == 1, part
    with pytest.raises(KataError) as caught:
        open_runs(tmp_path).load(id_of(2))
    assert caught.value.failure.exit == 11
    write_views(torn, recorded(finished(), torn.name), lambda _: {})
    (tmp_path / "runs" / "notes").rmdir()
    runs = open_runs(tmp_path)
    assert listed_ids(runs) == [id_of(1), id_of(0)]
    assert len(runs.warnings) == 2


def test_s1_a_deleted_run_leaves_no_word_in_the_index(tmp_path: Path) -> None:
    """Neither in rows, nor in the words that searches go by, nor on pages that are free now."""
    word = b"xq7zebrafinch7qx"
    told = TaskFinished(task="a", status="completed", output=f"the {word.decode()} nests")
    doomed = add_run(tmp_path, 0, events=[*unfinished(), told, *finished()[-1:]])
    for number in range(1, 30):
        add_run(tmp_path, number)
    assert found_ids(tmp_path, word.decode()) == [doomed.name]
    assert word in (tmp_path / "index.sqlite").read_bytes()
    remove_tree(doomed)
    assert len(listed_ids(open_runs(tmp_path))) == 29
    left = [path.name for path in tmp_path.glob("index*") if word[1:] in path.read_bytes()]
    assert left == []
    assert doomed.name.encode() not in (tmp_path / "index.sqlite").read_bytes()


def test_paths_that_are_not_utf8_are_no_error(tmp_path: Path) -> None:
    """Neither in the name of the state directory, nor in that of the project that is asked for."""
    state = Path(os.fsdecode(os.fsencode(tmp_path) + b"/st\xff"))
    add_run(state, 0)
    (add_run(state, 1) / "events.jsonl").unlink()
    (state / "runs" / id_of(1) / "run.json").unlink()
    runs = open_runs(state)
    assert listed_ids(runs) == [id_of(0)]
    assert len(runs.warnings) == 1
    assert "st\\udcff" in runs.warnings[0]
    assert listed_ids(runs, RunFilter(project="/\udcff")) == []
    assert found_ids(state, "yes", "/\udcff") == []
    assert found_ids(state, "yes", "/p") == [id_of(0)]


def test_an_empty_store_is_not_made_by_looking(tmp_path: Path) -> None:
    """No directory, no file, no warning."""
    runs = open_runs(tmp_path / "none")
    assert listed_ids(runs) == []
    assert runs.search("x", project=None, limit=1).hits == []
    with pytest.raises(KataError, match="there is no run yet"):
        runs.resolve("last", project=None)
    assert not (tmp_path / "none").exists()
    assert runs.warnings == []


def test_f17_answers_behind_a_link_are_not_read(tmp_path: Path) -> None:
    """A link among the answers leads nowhere."""
    path = add_run(tmp_path, 0)
    secret = tmp_path / "secret.md"
    secret.write_text("hidden treasure")
    (path / "tasks" / "b.md").symlink_to(secret)
    assert found_ids(tmp_path, "treasure") == []
    assert found_ids(tmp_path, "yes") == [RUN_ID[:9] + path.name[9:]]
