"""Sessions as trees, through the installed program: what a person types and sees."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from cli.shell import MOCK, Shell, events_of, finish
from servers.vendor import Reply, Status, VendorServer

WORDS = ["tree", "fork", "compact", "rename", "stop"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell with a session of two runs, called `shelf`; tests only add forks of it."""
    shell = Shell(tmp_path_factory.mktemp("trees"))
    assert shell.kata(*MOCK, "--session", "shelf", "Make save atomic").code == 0
    assert shell.kata(*MOCK, "-c", "Also sync the directory").code == 0
    return shell


def file_of(shell: Shell, session_id: str) -> Path:
    return shell.home / f".local/state/kata/sessions/{session_id}.jsonl"


def tree_of(shell: Shell, *args: str) -> Any:
    return shell.kata("sessions", "tree", *args, "--json").document


def fork_of(shell: Shell, *args: str) -> str:
    return shell.kata("sessions", "fork", *args).text.strip()


@pytest.mark.parametrize("word", WORDS)
def test_help(told: Shell, word: str, snapshot: SnapshotAssertion) -> None:
    """--help of each command is as recorded."""
    ended = told.kata("sessions", word, "--help", env={"COLUMNS": "110"})
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.text.rstrip("\n") + "\n" == snapshot


def test_se13_tree_shows_runs_branches_and_forks(told: Shell) -> None:
    """One row per run with status and goal; a fork shows where it left, and knows where it comes from."""
    fork = fork_of(told, "shelf", "--at", "e1", "--name", "other way")
    shown = told.kata("sessions", "tree", "shelf").text.splitlines()
    tree = tree_of(told, "shelf")
    first, second = [entry["run_id"] for entry in tree["entries"]]
    assert shown == [
        f"{tree['session_id']}  shelf  {told.project}",
        f"e1  run  {first}  completed  Make save atomic",
        f"   > {fork}  other way",
        f"e2  run  {second}  completed  Also sync the directory  <- head",
    ]
    assert told.kata("sessions", "tree", fork).text.splitlines() == [
        f"{fork}  other way  {told.project}  forked from {tree['session_id']} at e1",
        f"e1  run  {first}  completed  Make save atomic  <- head",
    ]
    assert (tree["schema"], tree["head"], tree["warnings"]) == ("kata.session-tree/v1", "e2", [])
    assert tree_of(told, fork)["forked_from"] == {"session": tree["session_id"], "entry": "e1"}
    again = told.kata("sessions", "fork", "shelf", "--json").document
    assert (again["schema"], again["head"]) == ("kata.session-info/v1", "e2")
    assert again["forked_from"] == {"session": tree["session_id"], "entry": "e2"}


def test_se13_a_run_goes_on_in_a_fork(tmp_path: Path) -> None:
    """The fork sees the draft up to where it left; the session it left stays as it was."""
    shell = Shell(tmp_path)
    shell.kata(*MOCK, "--session", "shelf", "Make save atomic")
    shell.kata(*MOCK, "-c", "Also sync the directory")
    before = file_of(shell, tree_of(shell, "shelf")["session_id"]).read_bytes()
    fork = fork_of(shell, "shelf", "--at", "e1")
    document = shell.kata(*MOCK, "--session", fork, "Also log it", "--json").document
    assert document["session_id"] == fork
    assert document["result"]["document"]["revision"] == 2
    assert "sync the directory" not in document["result"]["text"]
    assert [entry["title"] for entry in tree_of(shell, fork)["entries"]] == [
        "Make save atomic",
        "Also log it",
    ]
    assert file_of(shell, tree_of(shell, "shelf")["session_id"]).read_bytes() == before


def test_se14_compact_puts_a_summary_in_place_of_the_turns(tmp_path: Path) -> None:
    """The next request holds the summary and not the earlier goals; ids and revision of the draft go on."""
    shell = Shell(tmp_path)
    shell.kata(*MOCK, "--session", "shelf", "Make save atomic")
    shell.kata(*MOCK, "-c", "Also sync the directory")
    first = shell.kata("sessions", "compact", "shelf", "--mode", "mock", "--json").document
    entry = first["entry"]
    assert (first["schema"], first["runtime_mode"], entry["model"]) == (
        "kata.compaction/v1",
        "mock",
        "mock/mock-1",
    )
    assert entry["summary"].startswith("*Mock mode: ")
    assert "## Also sync the directory (completed)" in entry["summary"]
    assert 0 < entry["tokens_after"] < entry["tokens_before"]
    again = shell.kata("sessions", "compact", "shelf", "--mode", "mock")
    assert (again.code, again.text, "nothing to compact" in again.stderr) == (0, "", True)
    run = shell.kata(*MOCK, "--session", "shelf", "Also log it", "--json").document
    assert run["result"]["document"]["revision"] == 3
    request = shell.kata("sessions", "show", run["run_id"], "--task", "investigate", "--request").text
    assert '<earlier kind="summary">\n*Mock mode: ' in request
    assert request.count('<earlier kind="spec"') == 0
    row = shell.kata("sessions", "tree", "shelf").text.splitlines()[3]
    assert row.startswith("e3  compaction  ")
    assert row.endswith(" tokens  by mock/mock-1")


def test_se14_a_summary_is_asked_of_the_model_and_redacted(told: Shell) -> None:
    """One request holds the turns; what comes back is stored without the key; it is told with its sizes."""
    key = "sk-ant-api03-" + "k" * 80
    fork = fork_of(told, "shelf")
    with VendorServer([Reply(text=f"They wanted it atomic. {key}")]) as server:
        env = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": key}
        done = told.kata("sessions", "compact", fork, "--provider", "anthropic", env=env)
    assert done.code == 0, done.stderr
    assert f"{fork}  e3  " in done.text
    assert len(server.requests) == 1
    asked = json.dumps(server.requests[0].body)
    assert "Also sync the directory" in asked
    stored = json.loads(file_of(told, fork).read_bytes().splitlines()[-1])
    assert stored["summary"].startswith("They wanted it atomic. [redacted")
    assert key not in file_of(told, fork).read_text()


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Status(status=401, error_type="authentication_error"), 4),
        (Status(status=400, error_type="invalid_request_error"), 5),
        (Reply(text="half of", stop="length"), 9),
        (Reply(text="half of", cut_at=300), 6),
    ],
    ids=["refused key", "refused request", "cut at the limit", "cut on the way"],
)
def test_se14_a_failed_summary_changes_nothing(told: Shell, behaviour: Any, code: int) -> None:
    """Whatever goes wrong, the session's file is the same byte for byte and free again."""
    fork = fork_of(told, "shelf")
    before = file_of(told, fork).read_bytes()
    with VendorServer([behaviour]) as server:
        env = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "a-key-of-mine-123"}
        told.kata("sessions", "compact", fork, "--provider", "anthropic", env=env).refused(code)
    assert file_of(told, fork).read_bytes() == before
    assert [path for path in file_of(told, fork).parent.iterdir() if path.suffix != ".jsonl"] == []


def test_se09_rename_and_names_in_use(told: Shell) -> None:
    """The new name finds the session, the old one no longer does; a name means one session."""
    fork = fork_of(told, "shelf", "--name", "first name")
    assert told.kata("sessions", "rename", fork, "second name").text == f"{fork}  second name\n"
    renamed = told.kata("sessions", "rename", fork, "second name", "--json").document
    assert (renamed["session_id"], renamed["name"]) == (fork, "second name")
    assert tree_of(told, "second name")["session_id"] == fork
    assert "there is no session 'first name'" in told.kata("sessions", "tree", "first name").refused(2)
    assert "'shelf' is the name of s-" in told.kata("sessions", "rename", fork, "shelf").refused(2)
    assert "'shelf' is the name of s-" in told.kata("sessions", "fork", fork, "--name", "shelf").refused(2)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("tree", "shelv"), "did you mean shelf?"),
        (("tree", "../../etc/passwd"), "there is no session"),
        (("tree", "x" * 300), "there is no session"),
        (("fork", "shelf", "--at", "e99"), "has no entry 'e99'"),
        (("fork", "shelf", "--name", "../x"), "cannot name a session"),
        (("fork", "shelf", "--name", "x" * 300), "cannot name a session"),
        (("rename", "shelf", "last"), "cannot name a session"),
        (("rename", "shelf", ""), "the name is empty"),
        (("rename", "shelf"), "sessions rename --help"),
        (("compact", "nosuch", "--mode", "mock"), "there is no session"),
        (("stop", "nosuch"), "there is no run nosuch"),
        (("stop",), "sessions stop --help"),
    ],
)
def test_se10_f1_bad_names_are_usage_errors(told: Shell, args: tuple[str, ...], says: str) -> None:
    """One line, one hint, exit 2, and no file was made."""
    before = sorted(file_of(told, "x").parent.iterdir())
    refused = told.kata("sessions", *args).refused(2)
    assert says in refused
    assert len(refused) < 400
    assert sorted(file_of(told, "x").parent.iterdir()) == before


def test_te15_a_corrupt_session_is_warned_of_and_the_rest_is_shown(tmp_path: Path) -> None:
    """Named it is exit 11 with its path; a newer one says what to do; the others stay usable."""
    shell = Shell(tmp_path)
    shell.kata(*MOCK, "--session", "shelf", "Make save atomic")
    corrupt, newer = "s-20261121-000000-aaaaaa", "s-20261121-000000-bbbbbb"
    file_of(shell, corrupt).write_bytes(b"\x1b]0;mine\x07 my diary\n")
    file_of(shell, newer).write_text(f'{{"v":9,"type":"session","id":"{newer}"}}\n')
    shown = shell.kata("sessions", "tree", "shelf")
    assert shown.code == 0
    assert sorted(line.split(":")[0] for line in shown.stderr.splitlines()) == ["warning", "warning"]
    assert "\x1b" not in shown.stderr
    assert str(file_of(shell, corrupt)) in shell.kata("sessions", "tree", corrupt).refused(11)
    assert "upgrade kata" in shell.kata("sessions", "tree", newer).refused(11)
    assert shell.kata("sessions", "fork", corrupt).refused(11)
    assert file_of(shell, corrupt).read_bytes().endswith(b" my diary\n")


def test_se11_t4_stop_ends_a_running_run_and_frees_its_session(tmp_path: Path) -> None:
    """While it runs the session is refused naming the process; stop ends it, twice is as good as once."""
    shell = Shell(tmp_path)
    process = shell.start(*MOCK, "Make save atomic", *shell.faults(latency_ms=60_000), "--format", "jsonl")
    seen = b""
    for line, kind in events_of(process):
        seen += line
        if kind == "attempt.started":
            break
    run_id = json.loads(seen.splitlines()[0])["run_id"]
    in_use = shell.kata("sessions", "rename", f"s-{run_id}", "shelf").refused(11)
    assert f"the session s-{run_id} is in use by process {process.pid} on " in in_use
    assert f"kata sessions stop s-{run_id}" in in_use
    stopped = shell.kata("sessions", "stop", f"s-{run_id}")
    assert stopped.text == f"{run_id}  interrupted  stopped process {process.pid}\n"
    assert finish(process, seen).code == 128 + signal.SIGTERM
    assert shell.kata("sessions", "stop", "last").text == f"{run_id}  interrupted  it was not running\n"
    document = shell.kata("sessions", "stop", run_id, "--json").document
    assert document == {
        "schema": "kata.stop/v1",
        "run_id": run_id,
        "status": "interrupted",
        "pid": None,
        "is_killed": False,
    }
    assert shell.kata("sessions", "rename", f"s-{run_id}", "shelf").code == 0


def test_a_run_that_was_deleted_leaves_its_place_in_the_tree(tmp_path: Path) -> None:
    """The tree says missing, the next run says so too and goes on."""
    shell = Shell(tmp_path)
    shell.kata(*MOCK, "--session", "shelf", "Make save atomic")
    shell.kata(*MOCK, "-c", "Also sync the directory")
    for path in sorted(shell.runs[0].rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    shell.runs[0].rmdir()
    assert [entry["status"] for entry in tree_of(shell)["entries"]] == ["missing", "completed"]
    ended = shell.kata(*MOCK, "-c", "Also log it")
    assert ended.code == 0
    assert "there is no run" in ended.stderr
