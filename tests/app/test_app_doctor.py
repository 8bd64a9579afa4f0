"""What `kata doctor` finds on machines in good and in bad health."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.doctor_patient import KEY, MOCK, PI, Patient
from kata_cli.app.check import Check, Machine
from kata_cli.app.checks_machine import check_clock, check_completion
from kata_cli.app.checks_setup import LOW_FREE_BYTES, MIN_FREE_BYTES, disk_row
from kata_cli.app.doctor import MACHINE_CHECKS, SITE_CHECKS, examine
from kata_cli.app.options import Common
from kata_cli.core.clock import FixedClock, SystemClock, parse_stamp
from kata_cli.core.errors import Exit, Failure, KataError
from servers.vendor import Models, Status, VendorServer


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    return Patient(tmp_path, monkeypatch)


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
