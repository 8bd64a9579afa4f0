"""Looking back at runs and cleaning up, through the installed program."""

from __future__ import annotations

import io
import json
import re
import signal
import zipfile
from pathlib import Path

import pytest

from cli.shell import EPOCH, MOCK, QUICK, Shell, events_of, finish
from cli.terminal import on_terminal

CANARY = "canary-7f3b91d2aa55"
EXPORTS = ("md", "json", "zip")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell with a failed run, of years ago, a draft and a text, for the tests that delete nothing."""
    shell = Shell(tmp_path_factory.mktemp("keep"))
    assert shell.kata(*QUICK).code == 0
    assert shell.kata(*MOCK, "-w", "ask", "What does save do?").code == 0
    faults = shell.faults("task_failed")
    assert shell.kata(*MOCK, *faults, "-w", "ask", "What does load do?", env=EPOCH).code == 8
    return shell


def test_se_03_show_draws_a_timeline(shell: Shell) -> None:
    """SE-03, SE-04: each task is a row with a bar, its state and what it took; a failure tells why."""
    lines = shell.kata("sessions", "show", shell.runs[1].name).text.splitlines()
    row = next(line for line in lines if line.startswith("  synthesize"))
    assert re.search(r"█.*completed .* s .* tokens", row)
    failed = shell.kata("sessions", "show", shell.runs[0].name).text
    assert re.search(r"^    task_failed: ", failed, re.M)


@pytest.mark.parametrize("columns", [40, 60, 120])
def test_a_timeline_fits_the_terminal(shell: Shell, columns: int) -> None:
    """Each row of the timeline is as wide as the terminal at most."""
    shown = on_terminal(shell, "sessions", "show", shell.runs[1].name, streams="stdout", columns=columns)
    rows = [line for line in shown.text.splitlines() if "█" in line]
    assert len(rows) == len(shell.kata("sessions", "show", shell.runs[1].name, "--json").document["tasks"])
    assert max(map(len, rows)) <= columns


@pytest.mark.parametrize("number", [0, 1, 2])
def test_show_html(shell: Shell, number: int) -> None:
    """A page for a draft, a text and a failed run: without scripts, the same each time, also on stdout."""
    run = shell.runs[number].name
    file = shell.project / f"page-{number}.html"
    ended = shell.kata("sessions", "show", run, "--html", file)
    assert (ended.code, ended.text, ended.stderr) == (0, "", "")
    page = file.read_text()
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    assert "<script" not in page
    assert run in page
    assert shell.kata("sessions", "show", run, "--html", "-").text == page
    assert shell.kata("sessions", "show", run, "--html", file).code == 0


def test_html_does_not_replace_what_kata_did_not_write(shell: Shell) -> None:
    """A file of the user's is refused and stays; --force replaces it; a bad place is exit 11."""
    own = shell.write("own.html", "mine")
    assert "--force" in shell.kata("sessions", "show", "--html", own).refused(2)
    assert own.read_text() == "mine"
    assert shell.kata("sessions", "show", "--html", own, "--force").code == 0
    assert own.read_text().startswith("<!doctype html>")
    assert "mkdir -p" in shell.kata("sessions", "show", "--html", "no/such/x.html").refused(11)


def test_se_18_events_from_a_number_on(shell: Shell) -> None:
    """SE-18: --events prints the journal, --since-seq what follows a number; one ahead is exit 2."""
    journal = (shell.runs[-1] / "events.jsonl").read_bytes()
    shown = shell.kata("sessions", "show", shell.runs[-1].name, "--events")
    assert shown.stdout == journal
    last = shown.events[-1]["seq"]
    after = shell.kata("sessions", "show", shell.runs[-1].name, "--events", "--since-seq", last - 2)
    assert [event["seq"] for event in after.events] == [last - 1, last]
    args = ("sessions", "show", shell.runs[-1].name, "--events", "--since-seq")
    assert shell.kata(*args, last).stdout == b""
    assert f"0 to {last}" in shell.kata(*args, last + 1).refused(2)
    assert "0 to" in shell.kata(*args, "-1").refused(2)


@pytest.mark.parametrize(
    "args",
    [("--events", "--html", "x"), ("--since-seq", "1"), ("--request", "--reply", "--task", "answer")],
    ids=" ".join,
)
def test_views_exclude_each_other(shell: Shell, args: tuple[str, ...]) -> None:
    """show tells a run in one form at a time."""
    shell.kata("sessions", "show", *args).refused(2)


def test_export_in_each_format(shell: Shell) -> None:
    """A report with draft and answers, one JSON document, a zip with a manifest; each the same twice."""
    run = shell.runs[1].name
    made = {form: shell.kata("sessions", "export", run, "--format", form) for form in EXPORTS}
    assert [ended.code for ended in made.values()] == [0, 0, 0]
    for part in ("# Make save atomic", "## Draft", "### Requirements", "## Answers", "### synthesize"):
        assert f"\n{part}\n" in f"\n{made['md'].text}", part
    document = made["json"].document
    journal = (shell.home / ".local/state/kata/runs" / run / "events.jsonl").read_bytes()
    assert document["schema"] == "kata.export/v1"
    assert document["record"]["run_id"] == run
    assert document["events"] == [json.loads(line) for line in journal.splitlines()]
    assert document["draft"]["schema"] == "kata.spec/v1"
    with zipfile.ZipFile(io.BytesIO(made["zip"].stdout)) as files:
        assert files.read(f"{run}/events.jsonl") == journal
        assert f"{run}/manifest.json" in files.namelist()
    for form, ended in made.items():
        assert shell.kata("sessions", "export", run, "--format", form).stdout == ended.stdout
        file = shell.project / f"export.{form}"
        assert shell.kata("sessions", "export", run, "--format", form, "-o", file).stdout == b""
        assert file.read_bytes() == ended.stdout


def test_export_refuses(shell: Shell) -> None:
    """An unknown format, an unknown run and a file of the user's are exit 2."""
    assert "zip" in shell.kata("sessions", "export", "--format", "pdf").refused(2)
    assert "sessions list" in shell.kata("sessions", "export", "nope").refused(2)
    assert "-o" in on_terminal(shell, "sessions", "export", "--format", "zip", streams="both").text
    assert on_terminal(shell, "sessions", "export", "--format", "zip", streams="stdout").code == 2
    own = shell.write("own.md", "mine")
    assert "--force" in shell.kata("sessions", "export", "-o", own).refused(2)


def test_s1_exports_know_the_keys_of_the_environment(tmp_path: Path) -> None:
    """S1: a key that a run did not know is taken out of everything that is exported, shown or written."""
    shell = Shell(tmp_path)
    assert shell.kata(*MOCK, "-w", "ask", f"what is {CANARY} for").code == 0
    assert CANARY in shell.kata("sessions", "export").text
    env = {"OPENAI_API_KEY": CANARY}
    ended = [shell.kata("sessions", "export", "--format", form, env=env) for form in EXPORTS[:2]]
    ended.append(shell.kata("sessions", "show", "--html", "-", env=env))
    ended.append(shell.kata("sessions", "show", "--events", env=env))
    assert [one.code for one in ended] == [0] * 4
    assert not [one.stdout for one in ended if CANARY.encode() in one.stdout]
    assert all(b"[redacted" in one.stdout for one in ended)
    zipped = shell.kata("sessions", "export", "--format", "zip", env=env).stdout
    with zipfile.ZipFile(io.BytesIO(zipped)) as files:
        assert not [name for name in files.namelist() if CANARY.encode() in files.read(name)]


def test_a_broken_config_does_not_hide_the_past(tmp_path: Path) -> None:
    """Evidence can be exported while the config file has a mistake."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    shell.write("kata.toml", "jobs = \n")
    for args in (("export",), ("stats",), ("show", "--html", "-"), ("prune", "--keep", "0")):
        assert shell.kata("sessions", *args).code == 0, args


def test_se_16_stats(shell: Shell) -> None:
    """SE-16: runs by state, workflow, mode, model and day, for this project, or for all."""
    document = shell.kata("sessions", "stats", "--json").document
    assert document["schema"] == "kata.stats/v1"
    assert {row["name"]: row["runs"] for row in document["by_status"]} == {"completed": 2, "failed": 1}
    assert {row["name"]: row["runs"] for row in document["by_workflow"]} == {"ask": 2, "quick": 1}
    assert shell.kata("sessions", "stats", "--since", "300d", "--json").document["total"]["runs"] == 2
    told = shell.kata("sessions", "stats").text
    assert re.search(r"^state +failed +1 run ", told, re.M)
    assert shell.kata("sessions", "stats", "--json", cwd=shell.home).document["total"]["runs"] == 0
    assert shell.kata("sessions", "stats", "--all", "--json", cwd=shell.home).document["total"]["runs"] == 3
    assert "--since" in shell.kata("sessions", "stats", "--since", "soon").refused(2)


def test_se_09_rm_deletes_what_is_named(tmp_path: Path) -> None:
    """SE-09: a run and its session go at once, others stay; the second time there is no such run."""
    shell = Shell(tmp_path)
    for goal in ("one", "two", "three"):
        assert shell.kata(*QUICK[:-1], goal).code == 0
    first, second, third = [run.name for run in shell.runs]
    ended = shell.kata("sessions", "rm", first, f"s-{second}")
    assert ended.code == 0
    assert [run.name for run in shell.runs] == [third]
    assert all(name in ended.text for name in (first, second, f"s-{first}", f"s-{second}"))
    shell.kata("sessions", "rm", first).refused(2)
    assert not list((shell.home / ".local/state/kata/runs").glob(".tmp*"))
    removal = shell.kata("sessions", "rm", "last", "--json").document
    assert [(run["run_id"], run["is_deleted"]) for run in removal["runs"]] == [(third, True)]
    assert removal["sessions"] == [f"s-{third}"]
    assert shell.runs == []


@pytest.mark.parametrize("name", ["nope", "../../etc", "", "a" * 300, "s-nope", "20"])
def test_f1_rm_deletes_nothing_when_a_name_is_wrong(shell: Shell, name: str) -> None:
    """F1: one wrong name among right ones is exit 2, and nothing is deleted."""
    before = shell.runs
    shell.kata("sessions", "rm", "last", "--", name).refused(2)
    assert shell.runs == before
    shell.kata("sessions", "rm").refused(2)


def test_t4_rm_and_prune_leave_a_run_at_work(tmp_path: Path) -> None:
    """T4: its owner is named, nothing is deleted; prune does not even list it."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    scenario = shell.faults("stall", times=1)
    process = shell.start(*MOCK, *scenario, "-w", "ask", "--format", "jsonl", "Why?")
    next(line for line, kind in events_of(process) if kind == "attempt.started")
    done, busy = shell.runs
    told = shell.kata("sessions", "rm", done.name, busy.name).refused(11)
    assert f"process {process.pid}" in told
    assert shell.runs == [done, busy]
    assert busy.name not in shell.kata("sessions", "prune", "--keep", "0", "--yes").text
    assert shell.runs == [busy]
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 143
    assert shell.kata("sessions", "rm", busy.name).code == 0
    assert shell.runs == []


def test_rm_of_a_run_that_cannot_be_read(tmp_path: Path) -> None:
    """What is damaged can be deleted by its id; prune leaves it alone and says so."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    [run] = shell.runs
    (run / "run.json").unlink()
    (run / "events.jsonl").write_text("nothing of ours\n")
    pruned = shell.kata("sessions", "prune", "--keep", "0", "--all", "--yes")
    assert (pruned.code, pruned.text, "warning: " in pruned.stderr) == (0, "", True)
    assert shell.runs == [run]
    assert "unreadable" in shell.kata("sessions", "rm", run.name).text
    assert shell.runs == []


def test_se_17_prune_lists_then_deletes(tmp_path: Path) -> None:
    """SE-17: old runs of this project are listed with their size; --yes deletes them and their sessions."""
    shell = Shell(tmp_path)
    other = Shell(tmp_path, project="other")
    assert shell.kata(*QUICK, env=EPOCH).code == 0
    assert other.kata(*QUICK[:-1], "Elsewhere", env=EPOCH).code == 0
    assert shell.kata(*QUICK).code == 0
    listed = shell.kata("sessions", "prune", "--older-than", "300d")
    assert (listed.code, len(listed.text.splitlines()), len(shell.runs)) == (0, 1, 3)
    assert re.search(r"kB  Make save atomic$", listed.text.rstrip())
    assert "--yes" in listed.stderr
    every = shell.kata("sessions", "prune", "--older-than", "300d", "--all", "--json").document["runs"]
    assert [run["is_deleted"] for run in every] == [False, False]
    done = shell.kata("sessions", "prune", "--older-than", "300d", "--yes", "--json").document
    assert [run["is_deleted"] for run in done["runs"]] == [True]
    assert len(done["sessions"]) == 1
    assert len(shell.runs) == 2
    assert shell.kata("sessions", "prune", "--older-than", "300d", "--yes").text == ""


def test_prune_keeps_the_newest_and_takes_one_state(tmp_path: Path) -> None:
    """--keep spares the newest of those that match, --status takes one end only."""
    shell = Shell(tmp_path)
    for goal in ("one", "two", "three"):
        assert shell.kata(*QUICK[:-1], goal).code == 0
    names = [run.name for run in shell.runs]
    assert (
        shell.kata("sessions", "prune", "--status", "failed", "--keep", "0", "--json").document["runs"] == []
    )
    pruned = shell.kata("sessions", "prune", "--keep", "1", "--yes", "--json").document["runs"]
    assert [run["run_id"] for run in pruned] == names[1::-1]
    assert [run.name for run in shell.runs] == names[2:]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "--older-than"),
        (("--older-than", "soon"), "30d"),
        (("--keep", "-1"), "at least 0"),
        (("--older-than", "1d", "--status", "running"), "completed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_prune_refuses(shell: Shell, args: tuple[str, ...], says: str) -> None:
    """prune without a limit, or with a wrong one, is exit 2 and lists nothing."""
    assert says in shell.kata("sessions", "prune", *args).refused(2)


def test_what_is_deleted_cannot_be_found(tmp_path: Path) -> None:
    """Neither list nor search knows a run that was deleted."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK[:-1], "Explain the zephyrine cache").code == 0
    assert shell.kata("sessions", "search", "zephyrine").text != ""
    assert shell.kata("sessions", "rm", "last").code == 0
    assert shell.kata("sessions", "search", "zephyrine").text == ""
    assert shell.kata("sessions", "list").text == ""


def test_s1_rm_takes_the_words_out_of_the_index(tmp_path: Path) -> None:
    """The file of the index holds a goal that was searched for, and none of it once the run is deleted."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK[:-1], "Explain the zephyrine cache").code == 0
    assert shell.kata("sessions", "search", "zephyrine").text != ""
    index = shell.home / ".local/state/kata/index.sqlite"
    assert b"zephyrine" in index.read_bytes()
    assert shell.kata("sessions", "rm", "last").code == 0
    assert b"ephyrine" not in index.read_bytes()


def test_se_09_rm_of_a_session_takes_the_runs_made_in_it(tmp_path: Path) -> None:
    """SE-09: a session goes by name with its own runs; what a fork took along stays."""
    shell = Shell(tmp_path)
    for goal in ("one", "two"):
        assert shell.kata(*QUICK[:-1], "--session", "work", goal).code == 0
    made = [run.name for run in shell.runs]
    fork = shell.kata("sessions", "fork", "work", "--name", "branch").text.strip()
    assert shell.kata(*QUICK[:-1], "--session", "branch", "three").code == 0
    removal = shell.kata("sessions", "rm", "branch", "--json").document
    assert removal["sessions"] == [fork]
    assert [run.name for run in shell.runs] == made
    removal = shell.kata("sessions", "rm", "work", "--json").document
    assert sorted(run["run_id"] for run in removal["runs"]) == made
    assert len(removal["sessions"]) == 1
    assert shell.runs == []
    shell.kata("sessions", "tree", "work").refused(2)
