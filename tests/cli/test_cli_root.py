"""The root command: what it lists is what it loads."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from cli.shell import Shell
from kata_cli.cli.commands import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_root_says_of_a_command_what_it_says_of_itself(name: str) -> None:
    """The help of the root is written without loading the command, and in the same words."""
    assert COMMANDS[name]().get_short_help_str(200) == inspect.getdoc(COMMANDS[name])


def test_a_mistyped_command_names_the_nearest(tmp_path: Path) -> None:
    """One line, exit 2, and the command that was meant."""
    assert "sessions" in Shell(tmp_path).kata("sesions").refused(2)


def test_help_loads_no_command() -> None:
    """`kata --help` imports none of the modules that declare options."""
    told = "import sys; from kata_cli.cli.main import run_command as run"
    code = f"{told}; run(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "kata_cli.cli.root" in done.stdout
    assert "kata_cli.cli.options" not in done.stdout
