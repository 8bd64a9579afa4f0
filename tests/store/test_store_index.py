"""The index of runs is derived: whatever happens to it, the runs are found as they are on disk."""

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
from made_events import RUN_ID, finished, lines, recorded, started, unfinished

from kata_cli.core.errors import KataError
from kata_cli.core.events import DraftCreated, Event, RunFinished, TaskFinished
from kata_cli.store.atomic import remove_tree
from kata_cli.store.index import IndexedRuns, open_runs
from kata_cli.store.index_refresh import RACY_NS
from kata_cli.store.index_rows import RunFilter, RunRow
from kata_cli.store.owner import OwnerLock
from kata_cli.store.runs import RunStore
from kata_cli.store.views import write_views

OLD_NS = 1_000_000_000_000_000_000
EVERY = RunFilter()

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


def _run_id(number: int) -> str:
    return f"20261121-0000{number // 60:02d}-{number % 60:06d}"


def _add(
    state: Path,
    number: int,
    *,
    project: str = "/p",
    session: str = "s-one",
    events: list[Event] | None = None,
) -> Path:
    """A run on disk, with its views when it has ended. Its first event is replaced by one of that project."""
    run_id = _run_id(number)
    told = recorded([started(project, session), *(finished() if events is None else events)[1:]], run_id)
    run = RunStore(state).create(run_id)
    run.journal.append(lines(told))
    run.close()
    if isinstance(told[-1].event, RunFinished):
        write_views(run.path, told, lambda document: {"spec.md": str(document["title"]).encode()})
    return run.path


def _age(state: Path) -> None:
    """Let the last change of the directory of runs be long past."""
    os.utime(state / "runs", ns=(OLD_NS, OLD_NS))


def _ids(runs: IndexedRuns, wanted: RunFilter = EVERY, limit: int = 99, offset: int = 0) -> list[str]:
    return [row.run_id for row in runs.page(wanted, limit=limit, offset=offset).runs]


def _found(state: Path, query: str, project: str | None = None) -> list[str]:
    return [hit.run.run_id for hit in open_runs(state).search(query, project=project, limit=99).hits]


def test_se01_runs_are_listed_newest_first_and_paged(tmp_path: Path) -> None:
    """The run that changed last comes first; of equal times the higher id does, on every page."""
    for number in (3, 1, 0, 2):
        _add(tmp_path, number)
    later = [*finished()[:-1], *finished()[-2:-1], finished()[-1]]
    _add(tmp_path, 4, events=unfinished())
    _add(tmp_path, 5, events=later)
    runs = open_runs(tmp_path)
    wanted = [_run_id(number) for number in (5, 3, 2, 1, 0, 4)]
    assert _ids(runs) == wanted
    pages = [_ids(runs, limit=4, offset=offset) for offset in (0, 4, 8)]
    assert pages == [wanted[:4], wanted[4:], []]
    assert runs.page(EVERY, limit=4).has_more
    assert not runs.page(EVERY, limit=6).has_more
    assert runs.warnings == []


def test_se02_runs_are_filtered_by_what_they_are(tmp_path: Path) -> None:
    """Project, status, session, workflow and time of creation, alone and together."""
    _add(tmp_path, 0)
    _add(tmp_path, 1, project="/q", session="s-two")
    _add(tmp_path, 2, events=unfinished())
    runs = open_runs(tmp_path)
    first, second, third = (_run_id(number) for number in range(3))
    assert _ids(runs, RunFilter(project="/q")) == [second]
    assert _ids(runs, RunFilter(status="interrupted")) == [third]
    assert _ids(runs, RunFilter(session_id="s-one", status="completed")) == [first]
    assert _ids(runs, RunFilter(workflow="ask", project="/p")) == [first, third]
    assert _ids(runs, RunFilter(workflow="spec")) == []
    created = runs.page(EVERY, limit=1).runs[0].created_at
    assert len(_ids(runs, RunFilter(since=created))) == 3
    assert _ids(runs, RunFilter(since=created[:-1] + "~")) == []


def test_a_row_tells_what_the_record_tells(tmp_path: Path) -> None:
    """The index adds nothing of its own."""
    _add(tmp_path, 0)
    (row,) = open_runs(tmp_path).page(EVERY, limit=1).runs
    record = RunStore(tmp_path).load(_run_id(0))
    shared = set(RunRow.__struct_fields__) - {"title", "tokens", "cost_usd"}
    assert {name: getattr(row, name) for name in shared} == {name: getattr(record, name) for name in shared}
    assert (row.title, row.tokens, row.cost_usd) == (record.goal, record.usage.total, None)


def test_what_changed_on_disk_is_seen(tmp_path: Path) -> None:
    """New runs appear, deleted ones vanish, from listings and from search."""
    _add(tmp_path, 0)
    assert _ids(open_runs(tmp_path)) == _found(tmp_path, "yes") == [_run_id(0)]
    _add(tmp_path, 1)
    assert _ids(open_runs(tmp_path)) == _found(tmp_path, "yes") == [_run_id(1), _run_id(0)]
    remove_tree(tmp_path / "runs" / _run_id(0))
    assert _ids(open_runs(tmp_path)) == _found(tmp_path, "yes") == [_run_id(1)]


def test_an_old_unchanged_directory_is_not_listed_again(tmp_path: Path) -> None:
    """Only a moved time stamp makes kata look; a young one is not trusted."""
    _add(tmp_path, 0)
    _age(tmp_path)
    assert len(_ids(open_runs(tmp_path))) == 1
    _add(tmp_path, 1)
    _age(tmp_path)
    assert len(_ids(open_runs(tmp_path))) == 1
    os.utime(tmp_path / "runs", ns=(OLD_NS + 1, OLD_NS + 1))
    assert len(_ids(open_runs(tmp_path))) == 2


def test_a_young_directory_is_listed_each_time(tmp_path: Path) -> None:
    """Two changes within one tick of the clock leave the same stamp: the second must not be missed."""
    _add(tmp_path, 0)
    young_ns = (tmp_path / "runs").stat().st_mtime_ns + RACY_NS * 1000
    os.utime(tmp_path / "runs", ns=(young_ns, young_ns))
    assert len(_ids(open_runs(tmp_path))) == 1
    _add(tmp_path, 1)
    os.utime(tmp_path / "runs", ns=(young_ns, young_ns))
    assert len(_ids(open_runs(tmp_path))) == 2


def test_ru10_a_run_that_has_not_ended_is_looked_at_each_time(tmp_path: Path) -> None:
    """It is running while its owner lives, and interrupted once it is dead, whatever the index knew."""
    path = _add(tmp_path, 0, events=unfinished())
    owner = OwnerLock.acquire(path)
    _age(tmp_path)
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "running"
    owner.release()
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "interrupted"


def test_a_mock_run_that_was_made_again_is_listed_as_it_is(tmp_path: Path) -> None:
    """Its id is the same, its directory is another: filters and search go by the new one."""
    path = _add(tmp_path, 0, events=[*unfinished(), RunFinished(status="failed", exit_code=5)])
    _age(tmp_path)
    assert _ids(open_runs(tmp_path), RunFilter(status="failed")) == [path.name]
    assert _found(tmp_path, "yes") == []
    remove_tree(path)
    _add(tmp_path, 0)
    assert _ids(open_runs(tmp_path), RunFilter(status="completed")) == [path.name]
    assert _ids(open_runs(tmp_path), RunFilter(status="failed")) == []
    assert _found(tmp_path, "yes") == [path.name]


def test_a_row_on_the_page_is_checked_against_its_run(tmp_path: Path) -> None:
    """Even where the directory of all runs tells of no change."""
    path = _add(tmp_path, 0)
    _age(tmp_path)
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "completed"
    write_views(
        path, recorded([*unfinished(), RunFinished(status="failed", exit_code=5)], path.name), lambda _: {}
    )
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "failed"


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
        _add(tmp_path, number)
    _age(tmp_path)
    wanted = _ids(open_runs(tmp_path))
    assert _found(tmp_path, "yes") == wanted
    harm(tmp_path / "index.sqlite")
    runs = open_runs(tmp_path)
    assert _ids(runs) == wanted
    assert _found(tmp_path, "yes") == wanted
    assert runs.warnings == []
    assert stat.S_IMODE((tmp_path / "index.sqlite").stat().st_mode) == 0o600
    assert _ids(open_runs(tmp_path)) == wanted


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 90_000), noise=st.binary(min_size=1, max_size=64))
def test_no_damage_of_the_index_is_an_error(tmp_path: Path, place: int, noise: bytes) -> None:
    """Bytes overwritten anywhere: the question is answered all the same."""
    if not (tmp_path / "runs").exists():
        _add(tmp_path, 0)
    file = tmp_path / "index.sqlite"
    file.unlink(missing_ok=True)
    _found(tmp_path, "yes")
    with file.open("r+b") as stream:
        stream.seek(place % file.stat().st_size)
        stream.write(noise)
    runs = open_runs(tmp_path)
    runs.page(EVERY, limit=9)
    runs.search("yes", project=None, limit=9)
    assert runs.resolve(_run_id(0), project=None) == _run_id(0)


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
    _add(tmp_path, 0)
    _add(tmp_path, 1)
    plant(tmp_path / name)
    runs = open_runs(tmp_path)
    is_usable = name == "index.lock" and plant is os.mkfifo
    assert _ids(runs) == [_run_id(1), _run_id(0)]
    assert [warning.partition(":")[0] for warning in runs.warnings] == (
        [] if is_usable else ["the index of runs cannot be used, they are read one by one"]
    )
    assert _found(tmp_path, "yes") == [_run_id(1), _run_id(0)]
    assert not (tmp_path / "elsewhere").exists()


def test_f01_a_full_disk_is_no_error(tmp_path: Path) -> None:
    """A database that may not grow stands for it: SQLite tells both as SQLITE_FULL."""
    _add(tmp_path, 0)
    assert len(_ids(open_runs(tmp_path))) == 1
    for number in range(1, 200):
        _add(tmp_path, number)
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
        _add(tmp_path, number)
    (tmp_path / "index.sqlite").write_bytes(b"broken" * 5000)
    command = [sys.executable, "-c", READER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    readers = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    for reader in readers:
        reader.stdin.write("go\n")
        reader.stdin.flush()
    told = [reader.communicate() for reader in readers]
    wanted = " ".join(_run_id(number) for number in reversed(range(60)))
    assert [output.splitlines() for output, _ in told] == [[wanted] * 10] * 4
    assert {errors for _, errors in told} == {"\n"}
    assert _ids(open_runs(tmp_path)) == wanted.split()


def test_te11_what_is_no_sound_run_is_named_and_left_alone(tmp_path: Path) -> None:
    """Unreadable runs, foreign names and newer ones are warned of each time; hidden files are nobody's."""
    _add(tmp_path, 0)
    torn, newer = _add(tmp_path, 1), _add(tmp_path, 2)
    (torn / "run.json").unlink()
    (torn / "events.jsonl").write_bytes(b"")
    (newer / "run.json").unlink()
    (newer / "events.jsonl").write_bytes(b'{"v":99,"seq":0,"ts":"","run_id":"x","type":"run.started"}\n')
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / ".hidden").mkdir()
    os.mkdir(os.fsencode(tmp_path / "runs") + b"/b\xff")
    for _ in range(2):
        _age(tmp_path)
        runs = open_runs(tmp_path)
        assert _ids(runs) == [_run_id(0)]
        assert len(runs.warnings) == 4
        for part in (
            _run_id(1),
            "event version 99 is newer",
            "notes is no run and is left alone",
            "b\\udcff",
        ):
            assert sum(part in warning for warning in runs.warnings) == 1, part
    with pytest.raises(KataError) as caught:
        open_runs(tmp_path).load(_run_id(2))
    assert caught.value.failure.exit == 11
    write_views(torn, recorded(finished(), torn.name), lambda _: {})
    (tmp_path / "runs" / "notes").rmdir()
    runs = open_runs(tmp_path)
    assert _ids(runs) == [_run_id(1), _run_id(0)]
    assert len(runs.warnings) == 2


def test_s1_a_deleted_run_leaves_no_word_in_the_index(tmp_path: Path) -> None:
    """Neither in rows, nor in the words that searches go by, nor on pages that are free now."""
    word = b"xq7zebrafinch7qx"
    told = TaskFinished(task="a", status="completed", output=f"the {word.decode()} nests")
    doomed = _add(tmp_path, 0, events=[*unfinished(), told, *finished()[-1:]])
    for number in range(1, 30):
        _add(tmp_path, number)
    assert _found(tmp_path, word.decode()) == [doomed.name]
    assert word in (tmp_path / "index.sqlite").read_bytes()
    remove_tree(doomed)
    assert len(_ids(open_runs(tmp_path))) == 29
    left = [path.name for path in tmp_path.glob("index*") if word[1:] in path.read_bytes()]
    assert left == []
    assert doomed.name.encode() not in (tmp_path / "index.sqlite").read_bytes()


def test_paths_that_are_not_utf8_are_no_error(tmp_path: Path) -> None:
    """Neither in the name of the state directory, nor in that of the project that is asked for."""
    state = Path(os.fsdecode(os.fsencode(tmp_path) + b"/st\xff"))
    _add(state, 0)
    (_add(state, 1) / "events.jsonl").unlink()
    (state / "runs" / _run_id(1) / "run.json").unlink()
    runs = open_runs(state)
    assert _ids(runs) == [_run_id(0)]
    assert len(runs.warnings) == 1
    assert "st\\udcff" in runs.warnings[0]
    assert _ids(runs, RunFilter(project="/\udcff")) == []
    assert _found(state, "yes", "/\udcff") == []
    assert _found(state, "yes", "/p") == [_run_id(0)]


def test_an_empty_store_is_not_made_by_looking(tmp_path: Path) -> None:
    """No directory, no file, no warning."""
    runs = open_runs(tmp_path / "none")
    assert _ids(runs) == []
    assert runs.search("x", project=None, limit=1).hits == []
    with pytest.raises(KataError, match="there is no run yet"):
        runs.resolve("last", project=None)
    assert not (tmp_path / "none").exists()
    assert runs.warnings == []


def test_last_is_the_run_that_a_listing_shows_first(tmp_path: Path) -> None:
    """Of the project that is asked for, or of all."""
    _add(tmp_path, 0, events=[*finished()[:-1], *finished()[-2:]])
    _add(tmp_path, 1)
    _add(tmp_path, 2, project="/q", events=unfinished())
    runs = open_runs(tmp_path)
    assert runs.resolve("last", project="/p") == _ids(runs, RunFilter(project="/p"))[0] == _run_id(0)
    assert runs.resolve("last", project="/q") == _run_id(2)
    assert runs.resolve("last", project=None) == _run_id(0)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("2026112", "2026112 names 3 runs", "give more of the id"),
        (_run_id(3), f"there is no run {_run_id(3)}", "did you mean"),
        ("zzz", "there is no run zzz", "kata sessions list"),
        ("s-t", "s-t names 2 sessions", "give more of the id"),
        ("s-onne", "there is no session s-onne", "did you mean s-one"),
        ("last", "there is no run of this project yet", f"the newest is {_run_id(2)}"),
        ("../x", "is no run or session id", "kata sessions list"),
        ("x" * 300, "is no run or session id", "kata sessions list"),
    ],
)
def test_f1_what_names_no_single_run_is_a_usage_error(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    """The same words as without an index, with the nearest ids."""
    for number, session in enumerate(["s-one", "s-two", "s-three"]):
        _add(tmp_path, number, session=session)
    with pytest.raises(KataError) as caught:
        open_runs(tmp_path).resolve(text, project="/elsewhere")
    assert message in str(caught.value)
    assert hint in caught.value.failure.hint
    assert caught.value.failure.exit == 2


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Runs with drafts and answers to search in."""
    texts = ["a torn Écriture", 'the "quoted" <b>write</b>', "pre-fix of torn_write\x1b[31m"]
    for number, text in enumerate(texts):
        events = [
            *unfinished(),
            TaskFinished(task="answer", status="completed", output=text),
            DraftCreated(document={"title": f"draft{number}"}),
            RunFinished(status="completed", exit_code=0),
        ]
        _add(tmp_path, number, project="/p" if number else "/q", events=events)
    return tmp_path


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("torn", [2, 0]),
        ("torn write", [2]),
        ('"write torn"', []),
        ('"torn write"', [2]),
        ("ecriture", [0]),
        ("ÉCRIT*", [0]),
        ("ecrit", []),
        ("draft1", [1]),
        ("g", [2, 1, 0]),
        ('"a torn', [0]),
        ("torn_wri*", [2]),
        ('"torn wri"*', [2]),
        ("torn ---", [2, 0]),
    ],
)
def test_words_phrases_and_prefixes_are_found(library: Path, query: str, found: list[int]) -> None:
    """In goals, drafts and answers, newest run first; case and accents do not count."""
    assert _found(library, query) == [_run_id(number) for number in found]


def test_a_search_keeps_to_its_project_and_page(library: Path) -> None:
    """And tells whether there is more."""
    assert _found(library, "torn", "/q") == [_run_id(0)]
    assert _found(library, "torn", "/nowhere") == []
    runs = open_runs(library)
    page = runs.search("torn", project=None, limit=1)
    assert ([hit.run.run_id for hit in page.hits], page.has_more) == ([_run_id(2)], True)
    page = runs.search("torn", project=None, limit=1, offset=1)
    assert ([hit.run.run_id for hit in page.hits], page.has_more) == ([_run_id(0)], False)


def test_a_snippet_shows_the_hit_in_one_line(library: Path) -> None:
    """In brackets, among the words around it."""
    (hit,) = open_runs(library).search("quoted", project=None, limit=9).hits
    assert hit.snippet == 'g draft1 the "[quoted]" <b>write</b>'


def test_projects_with_the_same_checksum_are_kept_apart(tmp_path: Path) -> None:
    """The token that stands for a project is short; the project itself decides."""
    first, second = "/plumless", "/buckeroo"
    _add(tmp_path, 0, project=first)
    _add(tmp_path, 1, project=second)
    assert _found(tmp_path, "yes", first) == [_run_id(0)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="utf-8"), max_size=40) | st.text('"*()^:-{}+ANDORTEXscopewri \0', max_size=60)
)
def test_no_query_is_a_syntax_error(tmp_path: Path, query: str) -> None:
    """Operators of FTS5, quotes, NUL: what has a word is searched for, all else is a usage error."""
    if not (tmp_path / "runs").exists():
        _add(tmp_path, 0)
    try:
        hits = open_runs(tmp_path).search(query, project="/p", limit=1).hits
    except KataError as error:
        hits, told = [], error.failure
        assert (told.code, told.message) == ("usage", "the query has no word")
    assert len(hits) <= 1


def test_a_query_without_a_word_says_so(tmp_path: Path) -> None:
    """Before any index is touched."""
    with pytest.raises(KataError, match="has no word"):
        open_runs(tmp_path).search(' --- "" * ', project=None, limit=1)


def test_only_the_beginning_of_a_huge_answer_is_indexed(tmp_path: Path) -> None:
    """A store of huge answers must not become an index as huge."""
    output = "first " + "x " * 40_000 + "final"
    events = [
        *unfinished(),
        TaskFinished(task="answer", status="completed", output=output),
        RunFinished(status="completed", exit_code=0),
    ]
    _add(tmp_path, 0, events=events)
    assert _found(tmp_path, "first") == [_run_id(0)]
    assert _found(tmp_path, "final") == []


def test_f17_answers_behind_a_link_are_not_read(tmp_path: Path) -> None:
    """A link among the answers leads nowhere."""
    path = _add(tmp_path, 0)
    secret = tmp_path / "secret.md"
    secret.write_text("hidden treasure")
    (path / "tasks" / "b.md").symlink_to(secret)
    assert _found(tmp_path, "treasure") == []
    assert _found(tmp_path, "yes") == [RUN_ID[:9] + path.name[9:]]
