"""What `kata doctor` finds on machines in good and in bad health."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kata_cli.app.check import Check, Machine
from kata_cli.app.checks_machine import check_clock, check_completion
from kata_cli.app.checks_programs import ask_version
from kata_cli.app.checks_setup import LOW_FREE_BYTES, MIN_FREE_BYTES, disk_row
from kata_cli.app.doctor import MACHINE_CHECKS, SITE_CHECKS, DoctorReport, examine
from kata_cli.app.options import Common
from kata_cli.core.clock import FixedClock, SystemClock, parse_stamp
from kata_cli.core.errors import Exit, Failure, KataError
from servers.vendor import Models, Status, VendorServer

KEY = "no-usual-form-0123456789-canary"


class Patient:
    """An empty home, a project, and a PATH with one folder of its own."""

    def __init__(self, root: Path, env: pytest.MonkeyPatch) -> None:
        self.home, self.project, self.bin = root / "home", root / "project", root / "bin"
        for folder in (self.home, self.project / ".git", self.bin):
            folder.mkdir(parents=True)
        for name in list(os.environ):
            env.delenv(name)
        self._env = env
        self.set(HOME=str(self.home), PATH=f"{self.bin}:/usr/bin:/bin", SHELL="/bin/bash", NO_PROXY="*")
        env.chdir(self.project)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._env.setenv(name, value)

    def program(self, name: str, script: str, folder: Path | None = None) -> Path:
        """A shell script on the PATH."""
        path = (folder or self.bin) / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def config(self, text: str, name: str = "config.toml") -> Path:
        path = self.home / ".config" / "kata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    def examine(self, **options: Any) -> DoctorReport:
        """The report; its failure must agree with it."""
        report, failure = examine(Common(**options))
        assert (failure is None) is (report.status != "error")
        assert report.exit_code == (Exit.OK if failure is None else failure.exit)
        return report

    def check(self, name: str, about: str = "", **options: Any) -> Check:
        """The one row of a name."""
        rows = [row for row in self.examine(**options).checks if (row.name, row.about) == (name, about)]
        assert len(rows) == 1, rows
        return rows[0]

    def serve(self, server: VendorServer) -> None:
        """The vendor as the provider of both its kinds."""
        self.set(ANTHROPIC_BASE_URL=server.base_url, ANTHROPIC_API_KEY=KEY)


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    return Patient(tmp_path, monkeypatch)


MOCK: dict[str, Any] = {"flags": {"runtime_mode": "mock"}}
PI: dict[str, Any] = {"flags": {"runtime_mode": "pi"}}


def test_a_mock_run_needs_nothing(patient: Patient) -> None:
    """On a bare machine mode mock is in good health: every check has its row, none is an error."""
    report = patient.examine(**MOCK)
    expected = {*MACHINE_CHECKS, *SITE_CHECKS} - {"models"}
    assert {row.name for row in report.checks} == expected
    assert (report.status, report.exit_code, report.runtime_mode) == ("warning", 0, "mock")
    assert all(parse_stamp(row.checked_at) <= parse_stamp(report.checked_at) for row in report.checks)
    assert not list(patient.home.iterdir())


def test_every_row_that_is_not_ready_says_what_to_type(patient: Patient) -> None:
    """A finding without a remedy helps nobody."""
    rows = patient.examine(**PI).checks
    assert [row.name for row in rows if row.status != "ready" and not row.remedy] == []


def test_the_document_names_its_fields_as_documented(patient: Patient) -> None:
    """`available`, `auth`, `version`, `path`, `checked_at` and `remedy` are in each row of the JSON."""
    document = msgspec.to_builtins(patient.examine(**MOCK))
    assert document["schema"] == "kata.doctor/v1"
    fields = "name about status available detail version path auth remedy checked_at"
    assert all(list(row) == fields.split() for row in document["checks"])


def test_without_a_key_a_native_run_would_fail(patient: Patient) -> None:
    """No key at all is an error of the provider that a run would ask, with both ways on."""
    row = patient.check("provider")
    assert (row.status, row.is_available) == ("error", False)
    assert "ANTHROPIC_API_KEY" in row.remedy
    assert "--mode mock" in row.remedy


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


def test_settings_that_cannot_be_read_are_the_one_finding(patient: Patient) -> None:
    """A broken file is named with its line; what depends on settings is not guessed at."""
    path = patient.config('provider = "openai"\nmodle = "x"\n')
    report = patient.examine()
    row = patient.check("config")
    assert {row.name for row in report.checks} == {*MACHINE_CHECKS, "config"}
    assert (row.status, f"{path}:2" in row.detail) == ("error", True)
    assert report.runtime_mode is None


def test_a_wrong_variable_is_a_finding_but_a_wrong_flag_is_a_usage_error(patient: Patient) -> None:
    """What was just typed is refused at once, as every command does."""
    patient.set(KATA_RUNTIME_MODE="pii")
    assert "KATA_RUNTIME_MODE" in patient.check("config").detail
    with pytest.raises(KataError) as caught:
        examine(Common(flags={"runtime_mode": "pii"}))
    assert caught.value.failure.exit == Exit.USAGE


def test_warnings_of_the_settings_are_rows(patient: Patient) -> None:
    """A variable that looks like kata's but is none is worth a look."""
    patient.set(KATA_MODLE="x")
    rows = [row for row in patient.examine(**MOCK).checks if row.name == "config"]
    assert [row.status for row in rows] == ["ready", "warning"]
    assert "KATA_MODLE" in rows[1].detail


def test_the_project_file_and_its_trust(patient: Patient) -> None:
    """A row says whether there is one, and how much it may set."""
    assert patient.check("project", **MOCK).is_available is False
    (patient.project / "kata.toml").write_text('thinking = "low"\n')
    assert patient.check("project", **MOCK).detail.startswith("not trusted")
    assert patient.check("project", **MOCK, trusts_project=True).detail.startswith("trusted")


def test_a_credential_is_named_by_its_source_only(patient: Patient) -> None:
    """Not even the last letters of a key are in the report, whatever a program prints."""
    patient.set(ANTHROPIC_API_KEY=KEY)
    patient.program("pi", f"echo {KEY} >&2; exit 1")
    report = patient.examine(**PI)
    told = msgspec.json.encode(report).decode()
    row = next(row for row in report.checks if row.about == "anthropic")
    assert (row.status, row.detail) == ("ready", "from ANTHROPIC_API_KEY")
    assert KEY[-4:] not in told


def test_f84_a_key_that_others_can_read(patient: Patient) -> None:
    """The file is not used, and its mode stays an error where another source wins."""
    path = patient.config('[anthropic]\napi_key = "stored-key"\n', "credentials.toml")
    path.chmod(0o640)
    assert patient.check("credentials", "anthropic", **MOCK).status == "error"
    patient.set(ANTHROPIC_API_KEY=KEY)
    assert patient.check("credentials", "anthropic", **MOCK).status == "ready"
    row = patient.check("permissions", "credentials.toml", **MOCK)
    assert (row.status, row.remedy) == ("error", f"chmod 600 {path}")
    path.chmod(0o600)
    assert patient.check("permissions", **MOCK).status == "ready"


def test_the_default_model_is_looked_for_in_the_providers_own_list(patient: Patient) -> None:
    """One call per provider with a key tells whether the model still exists."""
    with VendorServer([Models(rows=[{"id": "claude-opus-5-5"}, {"id": "other"}])]) as server:
        patient.serve(server)
        row = patient.check("models", "anthropic/claude-opus-5-5")
        assert (row.status, row.detail) == ("ready", "one of 2 models it lists")
        assert [seen.path for seen in server.requests] == ["/v1/models"]


def test_a_model_that_the_provider_does_not_list(patient: Patient) -> None:
    """A run would fail, so it is an error; the list is one command away."""
    with VendorServer([Models(rows=[{"id": "other"}])]) as server:
        patient.serve(server)
        row = patient.check("models", "anthropic/claude-opus-5-5")
    assert (row.status, row.is_available) == ("error", False)
    assert row.remedy == "kata models list --provider anthropic"


def test_f29_a_key_that_the_provider_refuses(patient: Patient) -> None:
    """The free call finds it before a run does."""
    with VendorServer([Status(status=401, error_type="authentication_error", message="no")]) as server:
        patient.serve(server)
        assert patient.check("models", "anthropic/claude-opus-5-5").status == "error"


def test_a_provider_that_no_run_would_ask_is_a_warning(patient: Patient) -> None:
    """What is wrong with the others does not fail the check."""
    with VendorServer([Models(rows=[{"id": "claude-opus-5-5"}])]) as server:
        patient.serve(server)
        patient.set(OPENAI_BASE_URL=server.openai_url)
        report = patient.examine()
    found = {row.about: row.status for row in report.checks if row.name == "models"}
    assert found == {"anthropic/claude-opus-5-5": "ready", "openai/gpt-5.5": "warning"}
    assert report.exit_code == 0


@pytest.mark.parametrize("mode", ["mock", "pi"])
def test_only_native_mode_asks_vendors(patient: Patient, mode: str) -> None:
    """Mock mode never touches the network, and in mode pi the models are Pi's."""
    with VendorServer([]) as server:
        patient.serve(server)
        report = patient.examine(flags={"runtime_mode": mode})
        assert server.accepted == 0
    assert ("models" in [row.name for row in report.checks]) is (mode == "pi")


def test_the_store_counts_its_runs(patient: Patient) -> None:
    """Runs are counted, and what a dead process left is a warning."""
    runs = patient.home / "state" / "runs"
    (runs / "20261121-054412-k3f9q2").mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (runs / f".tmp-{dead.pid}-abc123").write_text("")
    (runs / f".tmp-{os.getpid()}-abc123").write_text("")
    flags = {"runtime_mode": "mock", "home": str(patient.home / "state")}
    runs.chmod(0o755)
    assert patient.check("permissions", "runs", flags=flags).status == "warning"
    assert patient.check("store", flags=flags).detail == "1 run"
    assert patient.check("store", "leftovers", flags=flags).detail.startswith("1 temporary file")
    assert sorted(path.name[:5] for path in runs.iterdir()) == [".tmp-", ".tmp-", "20261"]


def test_f16_a_store_that_cannot_be_written(patient: Patient) -> None:
    """A file where the directory should be is an error that names it."""
    (patient.home / "file").write_text("")
    flags = {"runtime_mode": "mock", "home": str(patient.home / "file" / "state")}
    row = patient.check("store", flags=flags)
    assert (row.status, row.detail) == ("error", f"{patient.home / 'file'} is no directory")


def test_a_check_that_cannot_be_made_is_a_row(patient: Patient) -> None:
    """What the system refuses in one check does not end the others."""
    (patient.home / "gone").symlink_to("nowhere")
    flags = {"runtime_mode": "mock", "home": str(patient.home / "gone")}
    row = patient.check("disk", flags=flags)
    assert (row.status, row.is_available, "No such file" in row.detail) == ("error", False, True)


@pytest.mark.parametrize(
    ("free_bytes", "status"),
    [
        (0, "error"),
        (MIN_FREE_BYTES - 1, "error"),
        (MIN_FREE_BYTES, "warning"),
        (LOW_FREE_BYTES - 1, "warning"),
        (LOW_FREE_BYTES, "ready"),
    ],
)
def test_how_much_room_is_enough(free_bytes: int, status: str) -> None:
    """Little room is a warning, hardly any an error."""
    row = disk_row(Path("/"), free_bytes)
    assert (row.status, bool(row.remedy)) == (status, status != "ready")


@pytest.mark.parametrize(("epoch_s", "status"), [(0.0, "error"), (1_795_000_000.0, "ready"), (9e9, "error")])
def test_a_clock_that_cannot_be_right(epoch_s: float, status: str) -> None:
    """A year before kata, or far ahead, is an error."""
    assert [row.status for row in check_clock(Machine(env={}, clock=FixedClock(epoch_s)))] == [status]


def completion(shell: str, home: Path) -> Check:
    """The row about the completion of a shell."""
    rows: Iterator[Check] = check_completion(
        Machine(env={"SHELL": f"/bin/{shell}", "HOME": str(home)}, clock=SystemClock())
    )
    return next(rows)


@pytest.mark.parametrize(
    ("shell", "name", "text"),
    [
        ("bash", ".local/share/bash-completion/completions/kata", "complete"),
        ("bash", ".bashrc", 'eval "$(kata completion bash)"'),
        ("zsh", ".zfunc/_kata", "#compdef kata"),
        ("fish", ".config/fish/completions/kata.fish", "complete"),
    ],
)
def test_completion_is_a_hint(tmp_path: Path, shell: str, name: str, text: str) -> None:
    """Missing completion is no finding; the hint goes away once it is installed."""
    row = completion(shell, tmp_path)
    assert (row.status, row.is_available) == ("ready", False)
    assert f"kata completion {shell}" in row.remedy
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    row = completion(shell, tmp_path)
    assert (row.is_available, row.path, row.remedy) == (True, str(path), "")


def test_a_shell_without_completion(tmp_path: Path) -> None:
    """Another shell is told which ones there are scripts for."""
    assert "bash, zsh and fish" in completion("nu", tmp_path).detail


def test_the_failure_names_the_checks_and_the_first_remedy(patient: Patient) -> None:
    """The last two lines of the command: what was found, and what to type next."""
    failure = examine(Common(**PI))[1]
    assert isinstance(failure, Failure)
    assert (failure.exit, failure.message) == (Exit.FINDINGS, "2 checks found an error: pi, models")
    assert "npm install" in failure.hint
