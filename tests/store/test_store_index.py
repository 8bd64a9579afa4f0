"""The index of runs: what is listed, found and named by it is what lies on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_runs import EVERY, OLD_NS, add_run, age_runs, found_ids, id_of, listed_ids
from made_events import finished, recorded, unfinished

from kata_cli.core.errors import KataError
from kata_cli.core.events import DraftCreated, RunFinished, TaskFinished
from kata_cli.store.atomic import remove_tree
from kata_cli.store.index import open_runs
from kata_cli.store.index_refresh import RACY_NS
from kata_cli.store.index_rows import RunFilter, RunRow
from kata_cli.store.owner import OwnerLock
from kata_cli.store.runs import RunStore
from kata_cli.store.views import write_views


def test_se01_runs_are_listed_newest_first_and_paged(tmp_path: Path) -> None:
    """The run that changed last comes first; of equal times the higher id does, on every page."""
    for number in (3, 1, 0, 2):
        add_run(tmp_path, number)
    later = [*finished()[:-1], *finished()[-2:-1], finished()[-1]]
    add_run(tmp_path, 4, events=unfinished())
    add_run(tmp_path, 5, events=later)
    runs = open_runs(tmp_path)
    wanted = [id_of(number) for number in (5, 3, 2, 1, 0, 4)]
    assert listed_ids(runs) == wanted
    pages = [listed_ids(runs, limit=4, offset=offset) for offset in (0, 4, 8)]
    assert pages == [wanted[:4], wanted[4:], []]
    assert runs.page(EVERY, limit=4).has_more
    assert not runs.page(EVERY, limit=6).has_more
    assert runs.warnings == []


def test_se02_runs_are_filtered_by_what_they_are(tmp_path: Path) -> None:
    """Project, status, session, workflow and time of creation, alone and together."""
    add_run(tmp_path, 0)
    add_run(tmp_path, 1, project="/q", session="s-two")
    add_run(tmp_path, 2, events=unfinished())
    runs = open_runs(tmp_path)
    first, second, third = (id_of(number) for number in range(3))
    assert listed_ids(runs, RunFilter(project="/q")) == [second]
    assert listed_ids(runs, RunFilter(status="interrupted")) == [third]
    assert listed_ids(runs, RunFilter(session_id="s-one", status="completed")) == [first]
    assert listed_ids(runs, RunFilter(workflow="ask", project="/p")) == [first, third]
    assert listed_ids(runs, RunFilter(workflow="spec")) == []
    created = runs.page(EVERY, limit=1).runs[0].created_at
    assert len(listed_ids(runs, RunFilter(since=created))) == 3
    assert listed_ids(runs, RunFilter(since=created[:-1] + "~")) == []


def test_a_row_tells_what_the_record_tells(tmp_path: Path) -> None:
    """The index adds nothing of its own."""
    add_run(tmp_path, 0)
    (row,) = open_runs(tmp_path).page(EVERY, limit=1).runs
    record = RunStore(tmp_path).load(id_of(0))
    shared = set(RunRow.__struct_fields__) - {"title", "tokens", "cost_usd"}
    assert {name: getattr(row, name) for name in shared} == {name: getattr(record, name) for name in shared}
    assert (row.title, row.tokens, row.cost_usd) == (record.goal, record.usage.total, None)


def test_what_changed_on_disk_is_seen(tmp_path: Path) -> None:
    """New runs appear, deleted ones vanish, from listings and from search."""
    add_run(tmp_path, 0)
    assert listed_ids(open_runs(tmp_path)) == found_ids(tmp_path, "yes") == [id_of(0)]
    add_run(tmp_path, 1)
    assert listed_ids(open_runs(tmp_path)) == found_ids(tmp_path, "yes") == [id_of(1), id_of(0)]
    remove_tree(tmp_path / "runs" / id_of(0))
    assert listed_ids(open_runs(tmp_path)) == found_ids(tmp_path, "yes") == [id_of(1)]


def test_an_old_unchanged_directory_is_not_listed_again(tmp_path: Path) -> None:
    """Only a moved time stamp makes kata look; a young one is not trusted."""
    add_run(tmp_path, 0)
    age_runs(tmp_path)
    assert len(listed_ids(open_runs(tmp_path))) == 1
    add_run(tmp_path, 1)
    age_runs(tmp_path)
    assert len(listed_ids(open_runs(tmp_path))) == 1
    os.utime(tmp_path / "runs", ns=(OLD_NS + 1, OLD_NS + 1))
    assert len(listed_ids(open_runs(tmp_path))) == 2


def test_a_young_directory_is_listed_each_time(tmp_path: Path) -> None:
    """Two changes within one tick of the clock leave the same stamp: the second must not be missed."""
    add_run(tmp_path, 0)
    young_ns = (tmp_path / "runs").stat().st_mtime_ns + RACY_NS * 1000
    os.utime(tmp_path / "runs", ns=(young_ns, young_ns))
    assert len(listed_ids(open_runs(tmp_path))) == 1
    add_run(tmp_path, 1)
    os.utime(tmp_path / "runs", ns=(young_ns, young_ns))
    assert len(listed_ids(open_runs(tmp_path))) == 2


def test_ru10_a_run_that_has_not_ended_is_looked_at_each_time(tmp_path: Path) -> None:
    """It is running while its owner lives, and interrupted once it is dead, whatever the index knew."""
    path = add_run(tmp_path, 0, events=unfinished())
    owner = OwnerLock.acquire(path)
    age_runs(tmp_path)
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "running"
    owner.release()
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "interrupted"


def test_a_mock_run_that_was_made_again_is_listed_as_it_is(tmp_path: Path) -> None:
    """Its id is the same, its directory is another: filters and search go by the new one."""
    path = add_run(tmp_path, 0, events=[*unfinished(), RunFinished(status="failed", exit_code=5)])
    age_runs(tmp_path)
    assert listed_ids(open_runs(tmp_path), RunFilter(status="failed")) == [path.name]
    assert found_ids(tmp_path, "yes") == []
    remove_tree(path)
    add_run(tmp_path, 0)
    assert listed_ids(open_runs(tmp_path), RunFilter(status="completed")) == [path.name]
    assert listed_ids(open_runs(tmp_path), RunFilter(status="failed")) == []
    assert found_ids(tmp_path, "yes") == [path.name]


def test_a_row_on_the_page_is_checked_against_its_run(tmp_path: Path) -> None:
    """Even where the directory of all runs tells of no change."""
    path = add_run(tmp_path, 0)
    age_runs(tmp_path)
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "completed"
    write_views(
        path, recorded([*unfinished(), RunFinished(status="failed", exit_code=5)], path.name), lambda _: {}
    )
    assert open_runs(tmp_path).page(EVERY, limit=1).runs[0].status == "failed"


def test_last_is_the_run_that_a_listing_shows_first(tmp_path: Path) -> None:
    """Of the project that is asked for, or of all."""
    add_run(tmp_path, 0, events=[*finished()[:-1], *finished()[-2:]])
    add_run(tmp_path, 1)
    add_run(tmp_path, 2, project="/q", events=unfinished())
    runs = open_runs(tmp_path)
    assert runs.resolve("last", project="/p") == listed_ids(runs, RunFilter(project="/p"))[0] == id_of(0)
    assert runs.resolve("last", project="/q") == id_of(2)
    assert runs.resolve("last", project=None) == id_of(0)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("2026112", "2026112 names 3 runs", "give more of the id"),
        (id_of(3), f"there is no run {id_of(3)}", "did you mean"),
        ("zzz", "there is no run zzz", "kata sessions list"),
        ("s-t", "s-t names 2 sessions", "give more of the id"),
        ("s-onne", "there is no session s-onne", "did you mean s-one"),
        ("last", "there is no run of this project yet", f"the newest is {id_of(2)}"),
        ("../x", "is no run or session id", "kata sessions list"),
        ("x" * 300, "is no run or session id", "kata sessions list"),
    ],
)
def test_f1_what_names_no_single_run_is_a_usage_error(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    """The same words as without an index, with the nearest ids."""
    for number, session in enumerate(["s-one", "s-two", "s-three"]):
        add_run(tmp_path, number, session=session)
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
        add_run(tmp_path, number, project="/p" if number else "/q", events=events)
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
    assert found_ids(library, query) == [id_of(number) for number in found]


def test_a_search_keeps_to_its_project_and_page(library: Path) -> None:
    """And tells whether there is more."""
    assert found_ids(library, "torn", "/q") == [id_of(0)]
    assert found_ids(library, "torn", "/nowhere") == []
    runs = open_runs(library)
    page = runs.search("torn", project=None, limit=1)
    assert ([hit.run.run_id for hit in page.hits], page.has_more) == ([id_of(2)], True)
    page = runs.search("torn", project=None, limit=1, offset=1)
    assert ([hit.run.run_id for hit in page.hits], page.has_more) == ([id_of(0)], False)


def test_a_snippet_shows_the_hit_in_one_line(library: Path) -> None:
    """In brackets, among the words around it."""
    (hit,) = open_runs(library).search("quoted", project=None, limit=9).hits
    assert hit.snippet == 'g draft1 the "[quoted]" <b>write</b>'


def test_projects_with_the_same_checksum_are_kept_apart(tmp_path: Path) -> None:
    """The token that stands for a project is short; the project itself decides."""
    first, second = "/plumless", "/buckeroo"
    add_run(tmp_path, 0, project=first)
    add_run(tmp_path, 1, project=second)
    assert found_ids(tmp_path, "yes", first) == [id_of(0)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="utf-8"), max_size=40) | st.text('"*()^:-{}+ANDORTEXscopewri \0', max_size=60)
)
def test_no_query_is_a_syntax_error(tmp_path: Path, query: str) -> None:
    """Operators of FTS5, quotes, NUL: what has a word is searched for, all else is a usage error."""
    if not (tmp_path / "runs").exists():
        add_run(tmp_path, 0)
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
    add_run(tmp_path, 0, events=events)
    assert found_ids(tmp_path, "first") == [id_of(0)]
    assert found_ids(tmp_path, "final") == []
