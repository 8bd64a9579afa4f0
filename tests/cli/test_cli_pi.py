"""Mode pi through the installed program, with an executable that speaks Pi's protocol in Pi's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import Shell
from fake_pi.fakes import FakePi

ASK = ("run", "--no-stdin", "--mode", "pi", "-w", "ask", "Say hello.")


@pytest.fixture
def pi(tmp_path: Path) -> FakePi:
    place = tmp_path / "pi"
    place.mkdir()
    return FakePi(place)


def test_the_answer_of_an_agent_is_the_result(tmp_path: Path, pi: FakePi) -> None:
    """The text of the agent's last message is on stdout, the run is recorded, no process is left."""
    shell = Shell(tmp_path)
    ended = shell.kata(*ASK, "-m", "fake/m", env={"KATA_PI_BINARY": str(pi.binary)})
    assert ended.code == 0, ended.stderr
    assert ended.text.strip()
    assert (shell.last_run["runtime_mode"], shell.last_run["model"]) == ("pi", "fake/m")
    assert pi.is_gone()


def test_an_agent_that_gives_no_document_gives_no_draft(tmp_path: Path, pi: FakePi) -> None:
    """A specialist that gives no document is `invalid_output`: nothing is made up in pi mode either."""
    shell = Shell(tmp_path)
    ended = shell.kata(
        "run",
        "--no-stdin",
        "--mode",
        "pi",
        "-w",
        "quick",
        "-m",
        "fake/m",
        "x",
        env={"KATA_PI_BINARY": str(pi.binary)},
    )
    assert "synthesize" in ended.refused(9)
    assert pi.is_gone()


@pytest.mark.parametrize(
    ("arguments", "env", "code", "told"),
    [
        ((), {}, 4, "ANTHROPIC_API_KEY"),
        (("-m", "fake/m"), {"KATA_PI_BINARY": "/nowhere/pi"}, 5, "/nowhere/pi"),
        (("-m", "fake/m"), {"KATA_PI_BINARY": "./pi"}, 5, "relative"),
        (("-m", "fake/m"), {"CI": "true"}, 2, "--allow-agent"),
    ],
    ids=["no key", "not installed", "relative", "in CI"],
)
def test_what_pi_mode_needs_is_said(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], code: int, told: str
) -> None:
    """A key or a model, a Pi at an absolute place, and in CI a word of its own."""
    assert told in Shell(tmp_path).kata(*ASK, *arguments, env=env).refused(code)


def test_in_ci_an_agent_may_be_let_in(tmp_path: Path, pi: FakePi) -> None:
    """`--allow-agent` is that word."""
    env = {"CI": "true", "KATA_PI_BINARY": str(pi.binary)}
    assert Shell(tmp_path).kata(*ASK, "-m", "fake/m", "--allow-agent", env=env).code == 0


def test_f55_a_pi_in_the_project_is_not_run(tmp_path: Path) -> None:
    """F55, P8: neither `./pi` nor an empty entry of PATH makes a clone's program Pi."""
    shell = Shell(tmp_path)
    planted = shell.write("pi", "#!/bin/sh\ntouch ran\n")
    Path(planted if planted is not None else shell.project / "pi").chmod(0o755)
    ended = shell.kata(*ASK, "-m", "fake/m", env={"PATH": f":.:{shell.project}:/usr/bin:/bin"})
    ended.refused(5)
    assert not (shell.project / "ran").exists()


def test_models_are_those_that_pi_reports(tmp_path: Path, pi: FakePi) -> None:
    """`models list --mode pi` shows Pi's own list and nothing else."""
    listed = Shell(tmp_path).kata(
        "models", "list", "--mode", "pi", "--json", env={"KATA_PI_BINARY": str(pi.binary)}
    )
    assert listed.code == 0, listed.stderr
    assert "fake/m" in [f"{model['provider']}/{model['id']}" for model in listed.document["models"]]
    assert pi.is_gone()


def test_the_doctor_sees_the_pi_that_a_run_would_use(tmp_path: Path, pi: FakePi) -> None:
    """One row per check; Pi's row has its path and version."""
    ended = Shell(tmp_path).kata("doctor", "--mode", "mock", "--json", env={"KATA_PI_BINARY": str(pi.binary)})
    assert ended.code == 0, ended.stderr
    rows = {check["name"]: check for check in ended.document["checks"]}
    assert rows["pi"]["path"] == str(pi.binary)
    assert {"git", "store", "disk", "clock"} <= set(rows)
