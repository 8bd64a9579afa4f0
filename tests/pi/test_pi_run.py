"""A whole run of the installed program in mode pi: what its record keeps of the agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.shell import Ended, Shell
from fake_pi.fakes import FakePi

ASK = ("run", "--no-stdin", "--mode", "pi", "-w", "ask")


def asked(shell: Shell, place: Path, *arguments: str, **fake: Any) -> Ended:
    pi = FakePi(place, **fake)
    ended = shell.kata(*ASK, *arguments, "Say hello.", env={"KATA_PI_BINARY": str(pi.binary)})
    assert pi.is_gone()
    return ended


def test_pi_11_what_was_no_record_is_a_warning_of_the_run(tmp_path: Path) -> None:
    """Odd lines are in the document and in the last event, and stderr names the first and their number."""
    shell = Shell(tmp_path)
    ended = asked(shell, tmp_path, "-m", "fake/m", "--json", fault="garbage")
    assert ended.code == 0, ended.stderr
    warnings = ended.document["warnings"]
    assert warnings[0] == "Pi wrote not a record: not json"
    assert len(warnings) > 2
    more = len(warnings) - 1
    assert f"warning: {warnings[0]} (and {more} more warnings in the record)\n" in ended.stderr
    assert shell.last_run["warnings"] == warnings


def test_a_quiet_agent_is_no_warning(tmp_path: Path) -> None:
    """Without odd lines there is nothing to warn of."""
    ended = asked(Shell(tmp_path), tmp_path, "-m", "fake/m", "--json")
    assert (ended.code, ended.document["warnings"]) == (0, [])
    assert "warning" not in ended.stderr


def test_ex_26_the_level_in_force_is_recorded(tmp_path: Path) -> None:
    """What Pi chose by itself is in the run's record and in its row of tasks."""
    shell = Shell(tmp_path)
    assert asked(shell, tmp_path, "-m", "fake/think").code == 0
    assert [task["thinking"] for task in shell.last_run["tasks"]] == ["minimal"]
    assert "thinking minimal" in shell.kata("sessions", "show", "last").text
