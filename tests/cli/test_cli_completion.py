"""What a shell is offered at <TAB>: names from local data, asked through the real protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import MOCK, QUICK, Ended, Shell


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Two runs, one in a session with a name, a list of models, and a workflow of the user's own."""
    shell = Shell(tmp_path_factory.mktemp("completion"))
    assert shell.kata(*QUICK).code == 0
    assert shell.kata(*MOCK, "-w", "ask", "--session", "shelf", "What is it?").code == 0
    assert shell.kata("models", "list", "--mode", "mock").code == 0
    own = shell.home / ".config/kata/workflows"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text("")
    (own / "not for a shell; $(id).toml").write_text("")
    return shell


def asked(shell: Shell, *words: str, **env: str) -> Ended:
    """kata's answer to bash; the last word is the one that is being typed."""
    return shell.kata(
        env={
            "_KATA_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(("kata", *words)),
            "COMP_CWORD": str(len(words)),
            **env,
        }
    )


def offered(shell: Shell, *words: str, **env: str) -> list[str]:
    """What bash is offered; nothing else is ever printed."""
    answer = asked(shell, *words, **env)
    assert (answer.code, answer.stderr) == (0, "")
    return answer.text.split()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("run", "--mode", ""), ["native", "pi", "mock"]),
        (("run", "--format", "j"), ["json", "jsonl"]),
        (("run", "--thinking", "m"), ["minimal", "medium", "max"]),
        (("run", "--color", "a"), ["auto", "always"]),
        (("run", "--provider", ""), ["anthropic", "openai"]),
        (("run", "-m", ""), ["mock/mock-1"]),
        (("run", "--provider", "mock", "-m", ""), ["mock-1"]),
        (("run", "--fallback", "mock/"), ["mock/mock-1"]),
        (("models", "show", "mo"), ["mock/mock-1"]),
        (("run", "-w", ""), ["mine", "spec", "quick", "ask", "review"]),
        (("workflows", "show", "s"), ["spec"]),
        (("workflows", "graph", "spec", "--format", ""), ["terminal", "mermaid"]),
        (("sessions", "list", "--status", "c"), ["completed"]),
        (("auth", "login", "o"), ["openai"]),
        (("schema", "dif"), ["diff"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("run", "-o", ""), []),
    ],
    ids=lambda value: " ".join(value),
)
def test_values_are_offered(shell: Shell, words: tuple[str, ...], names: list[str]) -> None:
    """Choices and local names go on from what was begun; what a shell would misread is left out."""
    assert offered(shell, *words) == names


@pytest.mark.parametrize(
    ("name", "answer"),
    [("complete_zsh", '"mock/mock-1"'), ("complete_fish", "mock/mock-1\n")],
)
def test_other_shells(shell: Shell, name: str, answer: str) -> None:
    """zsh and fish are offered the same names, each in its own form."""
    asked = {"_TYPER_COMPLETE_ARGS": "kata run -m ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert answer in shell.kata(env={"_KATA_COMPLETE": name, **asked}).text


def test_runs_and_sessions(shell: Shell) -> None:
    """Where a run is taken, sessions by name, their ids and the runs are offered, the newest first."""
    runs = [run.name for run in shell.runs][::-1]
    everything = offered(shell, "sessions", "show", "")
    assert everything[:2] == ["last", "shelf"]
    assert [name for name in everything if name in runs] == runs
    assert offered(shell, "sessions", "show", "s-") == [f"s-{run}" for run in runs]
    assert offered(shell, "run", "--session", "she") == ["shelf"]
    assert offered(shell, "run", "--resume", "2") == runs
    assert offered(shell, "sessions", "rm", runs[0][:18]) == [
        name for name in runs if name[:18] == runs[0][:18]
    ]
    elsewhere = offered(shell, "sessions", "show", "--home", str(shell.home / "other"), "")
    assert elsewhere == ["last"]


def test_at_most_fifty_runs(tmp_path: Path) -> None:
    """Of a store with many runs the newest 50 are offered, and foreign names never."""
    shell = Shell(tmp_path)
    runs = shell.home / ".local/state/kata/runs"
    for number in range(120):
        (runs / f"20261121-{number:06d}-aaaaaa").mkdir(parents=True)
    (runs / "999; rm -rf").mkdir()
    names = offered(shell, "run", "--resume", "2")
    assert (len(names), names[0]) == (50, "20261121-000119-aaaaaa")


def test_whatever_is_wrong_nothing_is_offered(tmp_path: Path) -> None:
    """A broken config, damaged files and a store that cannot be listed give fewer names and no message."""
    shell = Shell(tmp_path)
    state, cache = shell.home / ".local/state/kata", shell.home / ".cache/kata/models"
    (state / "sessions").mkdir(parents=True)
    cache.mkdir(parents=True)
    damaged = "s-20261121-000000-aaaaaa"
    (state / f"sessions/{damaged}.jsonl").write_bytes(b"\xff\n")
    (state / "runs").write_text("no directory")
    (cache / "models-0.json").write_text("{")
    assert offered(shell, "sessions", "show", "") == ["last", damaged]
    assert offered(shell, "run", "-m", "") == []
    shell.write("kata.toml", "= broken")
    assert offered(shell, "run", "--provider", "") == []
    assert offered(shell, "run", "--mode", "n") == ["native"]


def test_nothing_is_written_or_asked(tmp_path: Path) -> None:
    """Completing makes no file, and asks no provider even where there is a key and no list of models."""
    shell = Shell(tmp_path)
    env = {"ANTHROPIC_API_KEY": "sk-x-long-enough", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    assert offered(shell, "run", "-m", "", **env) == []
    assert offered(shell, "sessions", "show", "", **env) == ["last"]
    assert list(shell.home.iterdir()) == []
