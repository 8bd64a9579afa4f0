"""Runs whose journal was damaged: it is told wherever they are shown, and no draft of theirs is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.shell import QUICK, Shell


def _cut(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:1500])


def _spoil_a_line(journal: Path) -> None:
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:2], b"garbage", *lines[3:]]))


@pytest.fixture(params=[_cut, _spoil_a_line], ids=["cut", "garbage"])
def damaged(tmp_path: Path, request: pytest.FixtureRequest) -> Shell:
    """A completed run of the session `d` with half a journal."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK, "--session", "d").code == 0
    harm: Callable[[Path], None] = request.param
    harm(shell.runs[0] / "events.jsonl")
    return shell


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("show", "last"),
        ("show", "last", "--json"),
        ("show", "last", "--events"),
        ("show", "last", "--html", "run.html"),
        ("export", "--format", "zip", "-o", "run.zip"),
        ("export",),
    ],
    ids=" ".join,
)
def test_s2_a_damaged_journal_is_told(damaged: Shell, arguments: tuple[str, ...]) -> None:
    """What is known is shown, with a warning on stderr."""
    ended = damaged.kata("sessions", *arguments)
    assert ended.code == 0
    assert "warning: " in ended.stderr
    assert "journal" in ended.stderr


def test_s2_a_sound_journal_is_not_warned_of(tmp_path: Path) -> None:
    """Neither that of a run that completed nor that of one that failed."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    assert shell.kata(*QUICK, *shell.faults("invalid_auth")).code == 4
    for arguments in (("list",), ("show",), ("show", "--events"), ("export",)):
        assert shell.kata("sessions", *arguments).stderr == ""


@pytest.mark.parametrize("chosen", [("-c",), ("--session", "d")], ids=" ".join)
def test_s2_a_run_does_not_begin_anew_where_a_draft_cannot_be_read(
    damaged: Shell, chosen: tuple[str, ...]
) -> None:
    """The run is named with a way to its draft, nothing is asked of a model, and no run is made."""
    run_id = damaged.runs[0].name
    told = damaged.kata(*QUICK, *chosen).refused(11)
    assert f"the run {run_id}" in told
    assert f"hint: kata sessions show {run_id}" in told
    assert len(damaged.runs) == 1


def test_s2_the_draft_of_a_damaged_run_can_be_revised(damaged: Shell) -> None:
    """What the hint says works: a copy of its `spec.md` becomes revision 2."""
    damaged.write("spec.md", (damaged.runs[0] / "spec.md").read_bytes())
    assert damaged.kata(*QUICK, "--revise", "spec.md").code == 0
    assert "revision: 2\n" in (damaged.project / "spec.md").read_text()


def test_f4_runs_can_be_deleted_from_a_full_disk(tmp_path: Path) -> None:
    """Where no file can get a byte, `rm` and `prune` still delete."""
    shell = Shell(tmp_path)
    for _ in range(3):
        assert shell.kata(*QUICK).code == 0
    removed = shell.bash(f"ulimit -f 0; kata sessions rm {shell.runs[0].name}")
    assert (removed.code, len(shell.runs)) == (0, 2), removed.stderr
    pruned = shell.bash("ulimit -f 0; kata sessions prune --keep 0 --yes")
    assert (pruned.code, shell.runs) == (0, []), pruned.stderr


def test_an_export_is_written_where_the_ledger_cannot_be(tmp_path: Path) -> None:
    """The file is there and exit 0 says so; the next export does not take it for its own."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    (shell.home / ".local/state/kata/outputs").write_text("no directory")
    written = shell.kata("sessions", "export", "-o", "run.md")
    assert (written.code, "needs --force" in written.stderr) == (0, True), written.stderr
    assert (shell.project / "run.md").read_bytes() == shell.kata("sessions", "export").stdout
    assert "--force" in shell.kata("sessions", "export", "-o", "run.md").refused(2)


def test_a_run_writes_its_result_where_the_ledger_cannot_be(tmp_path: Path) -> None:
    """`-o` of a run has its draft, with a warning."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    (shell.home / ".local/state/kata/outputs").write_text("no directory")
    ended = shell.kata(*QUICK, "-o", "spec.md")
    assert (ended.code, "needs --force" in ended.stderr) == (0, True), ended.stderr
    assert (shell.project / "spec.md").read_bytes() == (shell.runs[-1] / "spec.md").read_bytes()
