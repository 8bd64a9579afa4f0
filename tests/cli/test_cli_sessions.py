"""`kata sessions list`, `search` and `show` as a shell sees them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cli.shell import QUICK, Shell


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Three runs: two of one session with a name, and a failed one of another workflow."""
    shell = Shell(tmp_path_factory.mktemp("sessions"))
    assert shell.kata(*QUICK[:-1], "Make save atomic", "--session", "saving").code == 0
    assert shell.kata(*QUICK[:-1], "Keep torn files apart", "--session", "saving").code == 0
    ask = ("run", "--mode", "mock", "--no-stdin", "-w", "ask", "What is load?")
    assert shell.kata(*ask, *shell.faults("invalid_auth")).code == 4
    return shell


def _titles(shell: Shell, *arguments: str) -> list[str]:
    told = shell.kata("sessions", *arguments, "--json")
    assert told.code == 0, told.stderr
    document = told.document
    assert document["warnings"] == []
    rows = document["runs"] if "runs" in document else [hit["run"] for hit in document["hits"]]
    return [row["title"] for row in rows]


ALL = ["What is load?", "Keep torn files apart", "Make save atomic"]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), ALL),
        (("--limit", "2"), ALL[:2]),
        (("--limit", "2", "--offset", "2"), ALL[2:]),
        (("--status", "failed"), ALL[:1]),
        (("-w", "quick"), ALL[1:]),
        (("--workflow", "quick", "--status", "failed"), []),
        (("--session", "saving"), ALL[1:]),
        (("--since", "1h"), ALL),
        (("--all",), ALL),
    ],
)
def test_se01_se02_se08_list(shell: Shell, arguments: tuple[str, ...], wanted: list[str]) -> None:
    """Newest first, with each filter and in pages."""
    assert _titles(shell, "list", *arguments) == wanted


def test_a_session_is_named_by_its_id_or_a_part_of_it(shell: Shell) -> None:
    """The id as listings show it."""
    session_id = shell.kata("sessions", "list", "--json").document["runs"][-1]["session_id"]
    assert _titles(shell, "list", "--session", session_id) == ALL[1:]
    assert _titles(shell, "list", "--session", session_id[:-1]) == ALL[1:]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("list", "--since", "yesterday"), "--since: expected a duration"),
        (("list", "--session", "s-nothing"), "there is no session 's-nothing'"),
        (("list", "--session", "savin"), "did you mean saving"),
        (("list", "--session", "../../etc"), "there is no session"),
        (("list", "--offset", "-1"), "at least 0"),
        (("search", "'' !"), "has no word"),
        (("search", "x", "--limit", "0"), "at least 1"),
        (("list", "--limit", "99999999999999999999"), "at most 1000000000"),
        (("list", "--offset", "9223372036854775807"), "at most 1000000000"),
        (("search", "x", "--limit", "9223372036854775807"), "at most 1000000000"),
        (("search", "x", "--offset", "99999999999999999999"), "at most 1000000000"),
        (("show", "s-" + "x" * 300), "is no run or session id"),
    ],
)
def test_f1_bad_input_of_listings(shell: Shell, arguments: tuple[str, ...], part: str) -> None:
    """One line and a hint, exit 2."""
    assert part in shell.kata("sessions", *arguments).refused(2)


def test_search_shows_the_words_where_they_are(shell: Shell) -> None:
    """A line for the run, one for the place; the rest of the hits is announced on stderr."""
    told = shell.kata("sessions", "search", "torn file*")
    first, second = told.text.splitlines()
    assert first == f"{shell.runs[1].name}  completed    Keep torn files apart"
    assert "Keep [torn] [files] apart" in second
    assert _titles(shell, "search", '"what is load"') == ALL[:1]
    assert "there are more: --offset 1" in shell.kata("sessions", "search", "save", "--limit", "1").stderr
    assert "nothing found" in shell.kata("sessions", "search", "unheardof").stderr


def test_te11_trouble_in_the_store_is_a_warning(shell: Shell, tmp_path: Path) -> None:
    """What is no sound run is named, what else is there is listed, and nothing is deleted."""
    state = tmp_path / "state"
    shutil.copytree(shell.home / ".local/state/kata", state)
    for number in range(13):
        (state / "runs" / f"notes{number:02d}").mkdir()
    told = shell.kata("sessions", "list", "--home", state)
    assert (told.code, len(told.text.splitlines())) == (0, 3)
    warnings = told.stderr.splitlines()
    assert len(warnings) == 11
    assert warnings[0].startswith("warning: ")
    assert warnings[-1] == "warning: and 3 more like these"
    (state / "runs" / "20261121-000000-aaaaaa").mkdir()
    assert "events.jsonl" in shell.kata(
        "sessions", "show", "20261121-000000-aaaaaa", "--home", state
    ).refused(11)


def test_f04_a_state_directory_that_cannot_be_written(shell: Shell, tmp_path: Path) -> None:
    """Listings and search work without an index."""
    state = tmp_path / "state"
    shutil.copytree(shell.home / ".local/state/kata", state, ignore=shutil.ignore_patterns("index*"))
    (state / "index.lock").symlink_to("/dev/full")  # root may write everywhere, but not through this
    told = shell.kata("sessions", "list", "--home", state)
    assert (told.code, len(told.text.splitlines())) == (0, 3)
    assert told.stderr.startswith("warning: the index of runs cannot be used")
    assert len(shell.kata("sessions", "search", "save", "--home", state).text.splitlines()) >= 2


def test_a_broken_project_file_does_not_hide_past_work(shell: Shell) -> None:
    """These commands need the state directory and nothing else."""
    file = shell.write("kata.toml", "broken [")
    try:
        assert shell.kata("run", "--mode", "mock", "x").code == 3
        assert _titles(shell, "list") == ALL
        assert _titles(shell, "search", "torn") == ALL[1:2]
        assert shell.kata("sessions", "show", "last", env={"KATA_JOBS": "x"}).code == 0
        for command in PAST:
            assert shell.kata("sessions", *command).code == 0, command
        offered = {
            "_KATA_COMPLETE": "complete_bash",
            "COMP_WORDS": "kata sessions tree sav",
            "COMP_CWORD": "3",
        }
        assert shell.kata(env=offered).text.split() == ["saving"]
    finally:
        file.unlink()


PAST = [
    ("show", "last", "--html", "-"),
    ("show", "last", "--events"),
    ("export", "last"),
    ("stats",),
    ("tree", "saving"),
    ("stop", "last"),
    ("prune", "--keep", "99"),
    ("rename", "saving", "saving"),
]


def test_ru11_views_that_were_lost_come_back_with_a_look(shell: Shell, tmp_path: Path) -> None:
    """An answer that a loss of power emptied is written again; a second look writes nothing."""
    state = tmp_path / "state"
    shutil.copytree(shell.home / ".local/state/kata", state)
    run = state / "runs" / shell.runs[0].name
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    answer = run / "tasks" / "synthesize.md"
    os.truncate(answer, 0)
    assert shell.kata("sessions", "show", run.name, "--home", state).code == 0
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before
    stamps = [path.stat().st_mtime_ns for path in before]
    assert shell.kata("sessions", "show", run.name, "--home", state).code == 0
    assert [path.stat().st_mtime_ns for path in before] == stamps
