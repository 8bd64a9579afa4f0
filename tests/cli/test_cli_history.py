"""Runs that go on from earlier ones: `-c`, `--session`, `--revise`, `--ephemeral`."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from cli.shell import EPOCH, MOCK, QUICK, Shell, finish, signal_at

NEXT = (*MOCK, "-w", "quick", "Retry the load")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def requests_of(shell: Shell) -> str:
    """All that the newest run sent to the model."""
    lines = (shell.runs[-1] / "exchanges.jsonl").read_bytes().splitlines()
    return "\n".join(json.loads(line)["request"]["messages"][0]["text"] for line in lines)


def document_of(shell: Shell, *args: str | Path) -> Any:
    """The result document of a run."""
    ended = shell.kata(*args, "--json")
    assert ended.code == 0, ended.stderr
    return ended.document


def test_a_continued_run_revises_the_draft_of_the_session(shell: Shell) -> None:
    """`-c` joins this project's last session: ids are kept, the revision counts on, the goal is added."""
    first = document_of(shell, *QUICK)
    second = document_of(shell, *NEXT, "-c")
    assert second["session_id"] == first["session_id"]
    before, after = first["result"]["document"], second["result"]["document"]
    assert (before["revision"], after["revision"]) == (1, 2)
    assert after["id"] == before["id"]
    assert after["requirements"][: len(before["requirements"])] == before["requirements"]
    assert any("load" in entry["text"] for entry in after["requirements"][len(before["requirements"]) :])


def test_a_text_run_sees_the_goals_and_results_before_it(shell: Shell) -> None:
    """A workflow that answers in text is shown the earlier goal and draft, fenced."""
    document_of(shell, *QUICK)
    document_of(shell, *MOCK, "-w", "ask", "What did we plan?", "-c")
    sent = requests_of(shell)
    assert "Make save atomic" in sent
    assert "REQ-001" in sent


def test_a_project_continues_its_own_session_only(shell: Shell, tmp_path: Path) -> None:
    """The last session of another project is not this one's."""
    document_of(shell, *QUICK)
    other = tmp_path / "other"
    other.mkdir()
    told = shell.kata(*NEXT, "-c", cwd=other).refused(2)
    assert "session" in told


def test_a_name_begins_a_session_and_finds_it_again(shell: Shell) -> None:
    """SE-07: `--session NAME` groups runs; so does the id that it stands for."""
    first = document_of(shell, *QUICK, "--session", "storage")
    second = document_of(shell, *NEXT, "--session", "storage")
    third = document_of(shell, *NEXT, "--session", first["session_id"])
    assert first["session_id"] == second["session_id"] == third["session_id"]
    assert third["result"]["document"]["revision"] == 3


@pytest.mark.parametrize("name", ["../../etc", "a" * 300, "a/b", "s-20200101-000000-aaaaaa", "a\nb", ""])
def test_f1_a_bad_name_is_refused_before_anything_is_made(shell: Shell, name: str) -> None:
    """Traversal, length and unknown ids are usage errors, and no run exists afterwards."""
    shell.kata(*QUICK, "--session", name).refused(2)
    assert shell.runs == []


def test_last_is_the_same_run_for_every_command(shell: Shell) -> None:
    """Which changed last, not which began last: `show`, `stop`, `--replay` and `--resume` agree."""
    slow = shell.home.parent / "slow.toml"
    slow.write_text("latency_ms = 15000\n")
    running = shell.start(*QUICK, "--scenario", str(slow), "--format", "jsonl")
    assert running.stdout is not None
    seen = running.stdout.readline()
    newer = document_of(shell, *QUICK)["run_id"]
    running.terminate()
    finish(running, seen)
    last = shell.kata("sessions", "list", "--json").document["runs"][0]["run_id"]
    assert last != newer
    assert shell.kata("sessions", "show", "last", "--json").document["run_id"] == last
    assert shell.kata("sessions", "stop", "last", "--json").document["run_id"] == last
    resumed = shell.kata(*MOCK, "--resume", "last")
    assert f"the run {newer} " not in resumed.stderr
    assert f'resumes":"{last}' in (shell.runs[-1] / "events.jsonl").read_text()


def test_f1_a_directory_whose_name_is_not_utf8_is_refused(shell: Shell, tmp_path: Path) -> None:
    """The journal could not name it: exit 11 with the name in escapes, and no run is there afterwards."""
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff"))
    odd.mkdir()
    assert "d\\xff" in shell.kata(*QUICK, cwd=odd).refused(11)
    lines = b'{"goal": "Make save atomic"}\n'
    assert shell.kata("batch", "-", "--mode", "mock", cwd=odd, stdin=lines).code != 1
    assert shell.runs == []
    assert shell.kata("sessions", "list", cwd=odd).code == 0


def test_s1_a_secret_is_no_name(shell: Shell) -> None:
    """A session's name is kept as it is, so one that looks like a key is refused and not repeated."""
    secret = "ghp_" + "a1B2" * 9
    assert secret not in shell.kata(*QUICK, "--session", secret).refused(2)
    assert not any(secret.encode() in path.read_bytes() for path in shell.home.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("goal", "slug"),
    [
        ("Größe der Übersicht ändern", "größe-der-übersicht-ändern"),
        ("缓存模型列表并显示给用户", "缓存模型列表并显示给用户"),
        ("¿¡!?", "spec"),
        ("Use ghp_" + "a1B2" * 9 + " for CI", "use-redacted-github-token-for-ci"),
        ("Rotate AKIAIOSFODNN7EXAMPLE now", "rotate-redacted-aws-key-now"),
    ],
)
def test_s1_the_id_of_a_draft_comes_from_the_words_of_the_redacted_goal(
    shell: Shell, goal: str, slug: str
) -> None:
    """Letters of any script make the id; a secret in the goal does not."""
    assert document_of(shell, *MOCK, "-w", "quick", goal)["result"]["document"]["id"] == slug


def test_continue_and_session_exclude_each_other(shell: Shell) -> None:
    """Two answers to one question are refused."""
    assert "--session" in shell.kata(*QUICK, "-c", "--session", "x").refused(2)


def test_ru16_a_session_in_use_names_its_owner(shell: Shell) -> None:
    """A second run in a session that is at work is refused with exit 11 and leaves no run behind."""
    slow = shell.home.parent / "slow.toml"
    slow.write_text("latency_ms = 15000\n")
    running = shell.start(*QUICK, "--session", "busy", "--scenario", str(slow), "--format", "jsonl")
    assert running.stdout is not None
    running.stdout.readline()
    try:
        told = shell.kata(*NEXT, "--session", "busy").refused(11)
        assert str(running.pid) in told
        assert len(shell.runs) == 1
    finally:
        running.terminate()
        finish(running)


def test_a_revised_file_keeps_what_its_reader_wrote(shell: Shell) -> None:
    """`--revise` reads the edited draft, keeps ids and edits, writes the next revision back."""
    draft = shell.project / "spec.md"
    shell.kata(*QUICK, "-o", "spec.md")
    edited = draft.read_text().replace("- [ ] T-001", "- [x] T-001").replace("SHALL", "SHALL always", 1)
    draft.write_text(edited)
    draft.chmod(0o600)
    ended = shell.kata(*NEXT, "--revise", "spec.md")
    assert (ended.code, ended.stdout) == (0, b"")
    after = draft.read_text()
    assert "revision: 2" in after
    assert "SHALL always" in after
    assert "- [x] T-001" in after
    assert draft.stat().st_mode & 0o777 == 0o600


def test_a_draft_behind_a_link_is_revised_where_it_is(shell: Shell) -> None:
    """The link stays a link, the file it points to gets the next revision."""
    shell.kata(*QUICK, "-o", "real.md")
    (shell.project / "link.md").symlink_to("real.md")
    assert shell.kata(*NEXT, "--revise", "link.md").code == 0
    assert (shell.project / "link.md").is_symlink()
    assert "revision: 2" in (shell.project / "real.md").read_text()


def test_a_revision_can_go_to_another_file(shell: Shell) -> None:
    """With `-o` the revision is written there and the draft stays as it was."""
    shell.kata(*QUICK, "-o", "spec.md")
    before = (shell.project / "spec.md").read_bytes()
    assert shell.kata(*NEXT, "--revise", "spec.md", "-o", "next.md").code == 0
    assert (shell.project / "spec.md").read_bytes() == before
    assert "revision: 2" in (shell.project / "next.md").read_text()


def test_a_file_that_changes_meanwhile_is_left_alone(shell: Shell) -> None:
    """Whoever edits the draft during the run loses nothing: exit 11, and the revision is in the run."""
    shell.kata(*QUICK, "-o", "spec.md")
    slow = shell.home.parent / "slow.toml"
    slow.write_text("latency_ms = 700\n")
    running = shell.start(*NEXT, "--revise", "spec.md", "--scenario", str(slow), "--format", "jsonl")
    assert running.stdout is not None
    seen = running.stdout.readline()
    with (shell.project / "spec.md").open("a") as file:
        file.write("\nmine\n")
    ended = finish(running, seen)
    assert ended.code == 11
    assert (shell.project / "spec.md").read_text().endswith("\nmine\n")
    assert "revision: 2" in (shell.runs[-1] / "spec.md").read_text()


@pytest.mark.parametrize(
    ("text", "code"),
    [("no draft\n", 2), ("", 2), ("\0", 11), (None, 11)],
    ids=["prose", "empty", "nul", "none"],
)
def test_what_is_no_draft_cannot_be_revised(shell: Shell, text: str | None, code: int) -> None:
    """A file that is not there, or no draft, is refused before the first request."""
    if text is not None:
        shell.write("spec.md", text)
    shell.kata(*NEXT, "--revise", "spec.md").refused(code)
    assert shell.runs == []


def test_a_text_workflow_revises_no_draft(shell: Shell) -> None:
    """`ask` has no draft to give back."""
    shell.kata(*QUICK, "-o", "spec.md")
    assert "draft" in shell.kata(*MOCK, "-w", "ask", "Why?", "--revise", "spec.md").refused(2)


def test_an_ephemeral_run_leaves_nothing_but_its_result(shell: Shell) -> None:
    """No run, no session, no file; the result comes out all the same."""
    ended = shell.kata(*QUICK, "--ephemeral", "-o", "spec.md")
    assert ended.code == 0
    assert "# " in (shell.project / "spec.md").read_text()
    state = shell.home / ".local/state/kata"
    assert [path for path in state.rglob("*") if path.is_file() and "outputs" not in path.parts] == []
    assert os.listdir(state / "runs") == []


def test_an_ephemeral_run_names_no_path_that_is_gone(shell: Shell) -> None:
    """Neither the document nor the last line points to what was deleted."""
    ended = shell.kata(*QUICK, "--ephemeral", "--json")
    assert (ended.document["result"]["path"], ended.document["session_id"]) == (None, None)
    assert ".tmp-" not in ended.stderr


def test_an_ephemeral_run_sees_a_session_without_joining_it(shell: Shell) -> None:
    """With `-c` it revises the session's draft, and the session stays as it was."""
    document_of(shell, *QUICK)
    assert document_of(shell, *NEXT, "-c", "--ephemeral")["result"]["document"]["revision"] == 2
    assert document_of(shell, *NEXT, "-c")["result"]["document"]["revision"] == 2


def test_what_a_killed_ephemeral_run_left_is_swept_by_the_next(shell: Shell) -> None:
    """A run that could not clean up after itself does not stay for ever."""
    slow = shell.home.parent / "slow.toml"
    slow.write_text("latency_ms = 15000\n")
    running = shell.start(*QUICK, "--ephemeral", "--scenario", str(slow), "--format", "jsonl")
    signal_at(running, signal.SIGKILL, "plan.created")
    runs = shell.home / ".local/state/kata/runs"
    assert len(os.listdir(runs)) == 1
    document_of(shell, *QUICK)
    assert [name for name in os.listdir(runs) if name.startswith(".tmp")] == []


def test_under_a_fixed_time_a_session_begins_anew(shell: Shell) -> None:
    """The same inputs give the same run and the same session; the finished ones are replaced."""
    one = shell.kata(*QUICK, "--json", env=EPOCH).document
    two = shell.kata(*QUICK, "--json", env=EPOCH).document
    assert one == two
    assert len(shell.runs) == 1
