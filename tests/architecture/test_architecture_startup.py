"""What a command loads: nothing heavy before it is needed, seen in `sys.modules` of a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"anthropic", "openai", "pydantic", "httpx2", "httpx", "rich", "starlette"}

SPEC = "### Requirement: Gate\nThe gate SHALL open.\n#### Scenario: Open\n- WHEN asked\n- THEN it opens\n"

COMMANDS = [
    ("--help",),
    ("run", "--help"),
    ("sessions", "list"),
    ("workflows", "check", "spec"),
    ("config", "show"),
    ("spec", "lint", "spec.md"),
    ("schema", "result"),
    ("models", "list", "--mode", "mock"),
    ("run", "--mode", "mock", "-q", "Add a flag"),
]


def loaded_by(arguments: tuple[str, ...], home: Path) -> set[str]:
    """The top-level modules that are loaded when a command is about to end."""
    program = (
        "import sys\n"
        "from kata_cli.cli import shell\n"
        "from kata_cli.cli.main import run_command\n"
        f"code = shell.close(run_command({list(arguments)!r}))\n"
        "assert code == 0, code\n"
        "sys.stderr.write('LOADED ' + ' '.join(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_no_sdk_is_loaded_without_a_provider(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Help, listings and mock runs load neither an SDK nor pydantic, nor rich where nothing is drawn."""
    (tmp_path / "spec.md").write_text(SPEC)
    assert loaded_by(arguments, tmp_path) & HEAVY == set()


def test_help_needs_no_event_loop(tmp_path: Path) -> None:
    """Parsing and printing help costs the command framework and nothing else."""
    assert "asyncio" not in loaded_by(("--help",), tmp_path)


def test_the_version_is_answered_before_any_import(tmp_path: Path) -> None:
    """`kata --version` loads no module of kata but the package itself."""
    program = (
        "import sys; sys.argv = ['kata', '--version']\n"
        "from kata_cli.__main__ import main\nmain()\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    kata = {name for name in done.stdout.split() if name.startswith("kata_cli")}
    assert kata == {"kata_cli", "kata_cli.__main__"}
