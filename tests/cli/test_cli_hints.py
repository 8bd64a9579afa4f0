"""A hint is a command, or words, that work where they are given and get the caller on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from cli.shell import MOCK, QUICK, Shell, signal_at
from cli.test_cli_spec import SOUND


@pytest.mark.parametrize(("name", "value"), [("KATA_JOBS", "x"), ("KATA_RUNTIME_MODE", "mok")])
def test_a_bad_variable_is_to_be_unset(tmp_path: Path, name: str, value: str) -> None:
    """Every command refuses the variable, `config show` too: only without it does anything go on."""
    shell = Shell(tmp_path)
    for command in (("run", "goal"), ("config", "show")):
        assert f"hint: unset {name}" in shell.kata(*command, env={name: value}).refused(2)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("sessions list --home=", "kata sessions list --help"),
        ("sessions search --limit 0 x", "kata sessions search --help"),
        ("sessions list --limit 0", "kata sessions list --help"),
        ("run --jobs x goal", "kata run --help"),
        ("sessions list --status complete", "did you mean completed?"),
        ("sessions list --status bogus", "queued, running"),
    ],
)
def test_a_bad_option_points_to_its_own_command(tmp_path: Path, words: str, hint: str) -> None:
    """Usage without a better hint names the help of the command that was typed."""
    told = Shell(tmp_path).kata(*words.split()).refused(2)
    assert hint in told.splitlines()[1]


def test_only_a_config_file_can_be_left_out(tmp_path: Path) -> None:
    """`--isolated` helps against `kata.toml`; a workflow or credentials file has to be mended."""
    shell = Shell(tmp_path)
    shell.write("w.toml", "= broken")
    assert "mend the file" in shell.kata(*MOCK, "-w", "./w.toml", "goal").refused(3)
    path = shell.home / ".config/kata/credentials.toml"
    path.parent.mkdir(parents=True)
    path.write_text("= broken")
    path.chmod(0o600)
    for args in (("--mode", "mock", "-w", "./w.toml"), ("--mode", "native")):
        told = shell.kata("run", "--no-stdin", *args, "goal").refused(3)
        assert "mend the file" in told
        assert "--isolated" not in told.splitlines()[1]
    shell.write("kata.toml", "= broken")
    assert "--isolated" in shell.kata(*MOCK, "goal").refused(3)
    assert shell.kata(*MOCK, "--isolated", "goal").code == 0


def test_a_stopped_run_is_gone_on_with(tmp_path: Path) -> None:
    """A signal leads to --resume, which then works; of an ephemeral run there is nothing to resume."""
    shell = Shell(tmp_path)
    slow = shell.faults(latency_ms=60_000)
    kept = signal_at(shell.start(*QUICK, *slow, "--format", "jsonl"), signal.SIGINT, "attempt.started")
    hint = f"kata run --resume {shell.runs[0].name}"
    assert kept.error["remediation"] == hint
    assert shell.bash(f"{hint} --no-stdin").code == 0
    process = shell.start(*QUICK, *slow, "--format", "jsonl", "--ephemeral")
    gone = signal_at(process, signal.SIGINT, "attempt.started")
    assert "--resume" not in gone.error["remediation"]


@pytest.mark.parametrize("kind", ["run.started", "context.gathered", "task.started"])
def test_resuming_is_proposed_exactly_where_it_works(tmp_path: Path, kind: str) -> None:
    """Stopped before its context was read, a run has nothing to go on from, and does not say so."""
    shell = Shell(tmp_path)
    slow = shell.faults(latency_ms=60_000)
    ended = signal_at(shell.start(*QUICK, *slow, "--format", "jsonl"), signal.SIGINT, kind)
    resumed = shell.kata("run", "--resume", "last", "--no-stdin")
    assert (resumed.code == 0) == ("--resume" in ended.error["remediation"])


def test_a_deadline_leads_to_more_time(tmp_path: Path) -> None:
    """What was done before the deadline is kept, and the hint says how to go on for longer."""
    shell = Shell(tmp_path)
    ended = shell.kata(*QUICK, *shell.faults(latency_ms=60_000), "--timeout", "1")
    assert f"hint: kata run --resume {shell.runs[0].name} --timeout 2" in ended.refused(124)


def test_a_stopped_batch_is_gone_on_with(tmp_path: Path) -> None:
    """A deadline of a batch leads to --resume-batch."""
    shell = Shell(tmp_path)
    shell.write("in.jsonl", '{"id": "a", "goal": "Make save atomic"}\n')
    slow = shell.faults(latency_ms=60_000)
    ended = shell.kata("batch", "in.jsonl", "--mode", "mock", "-w", "quick", *slow, "--timeout", "1")
    assert "--resume-batch" in ended.refused(124)


def test_a_page_has_no_o(tmp_path: Path) -> None:
    """`sessions show --html FILE` has --force, and no -o that its hint could name."""
    shell = Shell(tmp_path)
    assert shell.kata(*QUICK).code == 0
    told = shell.kata("sessions", "show", "last", "--html", "README.md").refused(2)
    assert "-o" not in told.split()


def test_a_citation_is_no_matter_for_lint(tmp_path: Path) -> None:
    """A draft that lint has nothing against, and that no test cites: the hint is about tests."""
    shell = Shell(tmp_path)
    shell.write("sound.md", SOUND)
    told = shell.kata("spec", "trace", "sound.md", "--tests", "tests/**").refused(10)
    assert "lint" not in told.splitlines()[1]
    shell.write("broken.md", SOUND.replace("- AC-001: `pytest -q`\n", ""))
    assert "kata spec lint broken.md" in shell.kata("spec", "trace", "broken.md").refused(10)


@pytest.mark.parametrize("words", ["models list", "auth status --check", "doctor"])
def test_a_provider_that_cannot_be_reached(tmp_path: Path, words: str) -> None:
    """Commands that only list models have no --fallback to name."""
    shell = Shell(tmp_path)
    env = {"ANTHROPIC_API_KEY": "some-key", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    ended = shell.kata(*words.split(), env=env)
    assert ended.code in (6, 10)
    assert "refused the connection" in ended.stderr + ended.text
    assert "--fallback" not in ended.stderr + ended.text
