"""What `kata doctor` finds about the programs that kata starts: Pi, git and those beside them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from app.doctor_patient import KEY, MOCK, PI, Patient
from kata_cli.app.checks_programs import ask_version


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    return Patient(tmp_path, monkeypatch)


def test_f55_pi_is_not_installed(patient: Patient) -> None:
    """Without Pi only mode pi is in trouble, and the way to install it is named."""
    assert patient.check("pi", **MOCK).status == "warning"
    row = patient.check("pi", **PI)
    assert (row.status, row.is_available, row.auth) == ("error", False, "unknown")
    assert "npm install" in row.remedy


@pytest.mark.parametrize("stream", ["1", "2"])
def test_pi_says_its_version_on_either_stream(patient: Patient, stream: str) -> None:
    """The old generation uses stderr."""
    path = patient.program("pi", f"echo 0.74.2 >&{stream}")
    row = patient.check("pi", **PI)
    assert (row.status, row.is_available, row.version, row.path) == ("ready", True, "0.74.2", str(path))


def test_f58_pi_ends_with_a_status(patient: Patient) -> None:
    """A Pi that fails is there, but its status and last words are an error."""
    path = patient.program("pi", "echo 'SyntaxError: no such export' >&2; exit 3")
    row = patient.check("pi", **PI)
    assert (row.status, row.is_available, row.path, row.version) == ("error", True, str(path), None)
    assert "3" in row.detail
    assert "no such export" in row.detail


@pytest.mark.slow
def test_f63_pi_that_never_says_its_version(patient: Patient) -> None:
    """After 4 s it is given up, and the child it started goes with it."""
    patient.program("pi", f"sleep 60 & echo $! > {patient.home}/pid; wait")
    row = patient.check("pi", **PI)
    assert (row.status, row.is_available) == ("error", True)
    assert "within 4 s" in row.detail
    assert row.remedy == f"run {row.path} --version yourself to see why"
    assert_gone(int((patient.home / "pid").read_text()))


def assert_gone(pid: int) -> None:
    """No process of that number runs; one that nobody has reaped yet is gone too."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    assert state.strip() in ("", "Z"), state


def test_pi_is_too_old(patient: Patient) -> None:
    """A Pi from before the oldest tested one is refused with the way to a newer one."""
    patient.program("pi", "echo 0.73.1")
    row = patient.check("pi", **PI)
    assert row.status == "error"
    assert "0.73.1" in row.detail
    assert "latest" in row.remedy


def test_a_pi_of_the_project_is_not_run(patient: Patient) -> None:
    """Neither the working directory nor a relative entry of PATH is searched (P8)."""
    patient.program("pi", f"touch {patient.home}/was-run; echo 9.9.9", folder=patient.project)
    patient.set(PATH=f".:{patient.project}:/usr/bin:/bin")
    assert patient.check("pi", **PI).is_available is False
    assert not (patient.home / "was-run").exists()


def test_probed_programs_see_no_key(patient: Patient) -> None:
    """Who only has to say a version gets neither key nor token."""
    for name in ("pi", "node", "git"):
        patient.program(name, f"env > {patient.home}/{name}.env; echo {name} version 20.9.1")
    patient.set(ANTHROPIC_API_KEY=KEY, GITHUB_TOKEN=KEY)
    patient.examine(**MOCK)
    seen = [(patient.home / f"{name}.env").read_text() for name in ("pi", "node", "git")]
    assert not [text for text in seen if KEY in text or "HOME=" not in text]


@pytest.mark.parametrize(
    ("script", "version", "trouble"),
    [
        ("echo git version 2.39.5", "2.39.5", ""),
        ("echo 'git version 2.39.5 (Apple Git-154)'", "2.39.5", ""),
        ("echo v22.19.0", "22.19.0", ""),
        ("echo hello", None, "names no version but says hello"),
        ("true", None, "names no version but says nothing"),
        ("echo broken >&2; exit 1", None, "ended with status 1 and said broken"),
        ("kill -9 $$", None, "ended with status -9 and said nothing"),
        ("sleep 60", None, "did not say its version within 0.2 s"),
    ],
)
def test_a_program_is_asked_for_its_version(
    patient: Patient, script: str, version: str | None, trouble: str
) -> None:
    """What it says, on which stream it likes, or why there is no version; a timeout is not a failure."""
    path = patient.program("some", script)
    assert ask_version(str(path), os.environ, 0.2 if "sleep" in script else 4.0) == (version, trouble)


def test_a_program_that_cannot_be_started(patient: Patient) -> None:
    """An executable without an interpreter is trouble, not a crash."""
    path = patient.program("some", "true")
    path.write_bytes(b"\x00\x01")
    assert ask_version(str(path), os.environ)[1].startswith("does not start: ")


def test_programs_that_are_missing_are_warnings(patient: Patient) -> None:
    """Nothing ends because git or node is missing, but the user hears what that means."""
    patient.set(PATH=str(patient.bin))
    for name in ("git", "node"):
        row = patient.check(name, **MOCK)
        assert (row.status, row.is_available) == ("warning", False)
