"""The commands beside `run`, each through the installed program."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from cli.shell import MOCK, QUICK, Shell
from kata_cli import __version__
from servers.vendor import Models, Reply, Status, VendorServer

ROOT = Path(__file__).parents[2]
HELP = [
    (),
    ("run",),
    ("batch",),
    ("models",),
    ("models", "list"),
    ("models", "show"),
    ("models", "add"),
    ("auth",),
    ("auth", "status"),
    ("auth", "login"),
    ("auth", "logout"),
    ("sessions",),
    ("sessions", "list"),
    ("sessions", "show"),
    ("sessions", "search"),
    ("sessions", "export"),
    ("sessions", "stats"),
    ("sessions", "rm"),
    ("sessions", "prune"),
    ("workflows",),
    ("workflows", "list"),
    ("workflows", "show"),
    ("workflows", "check"),
    ("workflows", "graph"),
    ("config",),
    ("config", "show"),
    ("spec",),
    ("spec", "lint"),
    ("spec", "fmt"),
    ("spec", "trace"),
    ("spec", "diff"),
    ("schema",),
    ("completion",),
]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell for the tests that change nothing in it."""
    return Shell(tmp_path_factory.mktemp("commands"))


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help(shell: Shell, words: tuple[str, ...], snapshot: SnapshotAssertion) -> None:
    """--help of every command is as recorded, on stdout, with exit 0; -h says the same for the root."""
    ended = shell.kata(*words, "--help", env={"COLUMNS": "110"})
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.text.rstrip("\n") + "\n" == snapshot
    if not words:
        assert shell.kata("-h", env={"COLUMNS": "110"}).stdout == ended.stdout
        assert shell.kata(env={"COLUMNS": "110"}).stdout == ended.stdout


def test_version(shell: Shell) -> None:
    """--version prints one line, however it is reached."""
    assert shell.kata("--version").text == f"kata {__version__}\n"
    assert shell.bash("python3 -c 'import sys' && kata --version").text == f"kata {__version__}\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("workflow",), "workflows"),
        (("rnu", "goal"), "run"),
        (("auth", "stats"), "status"),
        (("run", "--modle", "x", "goal"), "--mode"),
        (("sessions", "--limt", "3"), "--limit"),
        (("completion", "bsh"), "bash"),
        (("workflows", "graph", "spec", "--format", "dot"), "mermaid"),
        (("sessions", "list", "--status", "done"), "completed"),
        (("sessions", "list", "--limit", "0"), "at least 1"),
        (("sessions", "show", "--request"), "--task"),
        (("run", "--format", "yaml", "goal"), "jsonl"),
        (("run", "--var", "area", "goal"), "name=value"),
        (("--bogus",), "--bogus"),
        (("run", "--timeout"), "--timeout"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_usage_errors(shell: Shell, args: tuple[str, ...], says: str) -> None:
    """An unknown command, flag or choice is exit 2 with what was probably meant and the help to read."""
    assert says in shell.kata(*args).refused(2)


def test_a_group_runs_its_first_command(shell: Shell) -> None:
    """A group that is called empty, or with an option first, runs its first command."""
    assert shell.kata("workflows").stdout == shell.kata("workflows", "list").stdout
    assert shell.kata("workflows", "--json").document["workflows"][0]["name"] == "spec"
    assert shell.kata("config", "--json").document["schema"] == "kata.settings/v1"
    assert shell.kata("sessions", "--all").code == 0
    assert shell.kata("auth").text.startswith("runtime mode native (default)\n")


def test_workflows(tmp_path: Path) -> None:
    """A built-in workflow can be shown, changed, checked, drawn and run; the user's own go by name."""
    shell = Shell(tmp_path)
    for name in ("spec", "quick", "ask", "review"):
        shown = shell.kata("workflows", "show", name).stdout
        shell.write(f"{name}.toml", shown)
        assert "no mistake" in shell.kata("workflows", "check", f"./{name}.toml").text
        assert shell.kata("workflows", "graph", f"./{name}.toml").stdout == (
            shell.kata("workflows", "graph", name).stdout
        )
    own = shell.home / ".config/kata/workflows"
    own.mkdir(parents=True)
    (own / "mine.toml").write_bytes((shell.project / "ask.toml").read_bytes())
    (own / "broken.toml").write_text("name = ")
    shell.write("thing.toml", "x = 1")
    rows = {row["name"]: row for row in shell.kata("workflows", "list", "--json").document["workflows"]}
    assert rows["mine"]["source"] == str(own / "mine.toml")
    assert rows["broken"]["description"].startswith("broken: ")
    assert shell.kata(*MOCK, "-w", "mine", "goal").code == 0
    assert "./thing.toml" in shell.kata(*MOCK, "-w", "thing", "goal").refused(2)
    assert shell.kata("workflows", "graph", "spec", "--format", "mermaid").text.startswith("flowchart TD\n")
    assert shell.kata("workflows", "check", "absent.toml").refused(11)


HEAD = 'schema = "kata.workflow/v1"\nname = "w"\n'
TASK = '[[tasks]]\nid = "a"\nrole = "review"\nprompt = "{{goal}}"\n'
RESULT = '[result]\ntask = "a"\n'
BROKEN = {
    "syntax": ("schema = \n", r"w\.toml:1", "not TOML"),
    "no schema": (TASK + RESULT, r"w\.toml", "schema"),
    "newer": (HEAD.replace("v1", "v9") + TASK + RESULT, r"w\.toml:1", "schema"),
    "unknown key": (HEAD + "promt = 1\n" + TASK + RESULT, r"w\.toml:3", "promt"),
    "unknown task key": (HEAD + TASK + 'promt = "x"\n' + RESULT, r"w\.toml:\d", "prompt"),
    "wrong type": (HEAD + TASK + "needs = 3\n" + RESULT, r"w\.toml:\d", "needs"),
    "unknown task": (HEAD + TASK + 'needs = ["b"]\n' + RESULT, r"w\.toml:\d", "'b'"),
    "cycle": (HEAD + TASK + 'needs = ["a"]\n' + RESULT, r"w\.toml:\d", "a -> a"),
    "undefined": (HEAD + TASK.replace("goal", "vars.x") + RESULT, r"w\.toml:\d", "vars.x"),
    "unused": (HEAD + "[vars.x]\n" + TASK + RESULT, r"w\.toml:3", "not used"),
    "output": (HEAD + TASK.replace("goal", "tasks.b.output") + RESULT, r"w\.toml:\d", "needs"),
    "bad id": (HEAD + TASK.replace('"a"', '"../a"') + RESULT, r"w\.toml:\d", "../a"),
    "twice": (HEAD + TASK + TASK + RESULT, r"w\.toml:\d", "two tasks"),
    "role": (HEAD + TASK.replace("review", "poet") + RESULT, r"w\.toml:\d", "poet"),
    "no result": (HEAD + TASK + RESULT.replace('"a"', '"z"'), r"w\.toml:\d", "'z'"),
    "no tasks": (HEAD + "tasks = []\n" + RESULT, r"w\.toml:3", "at least one"),
    "system outside": (HEAD + TASK + 'system = "@../../secret"\n' + RESULT, r"w\.toml:\d", "outside"),
    "f81 brackets": ("x = " + "[" * 5000, r"w\.toml:1", "nested"),
    "f81 key": (".".join("a" * 5000) + " = 1", r"w\.toml:1", "parts"),
    "f81 size": ("# " + "x" * 1_100_000, r"w\.toml", "1048576"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_f3_f81_broken_workflows(shell: Shell, name: str) -> None:
    """F3, F81: every mistake in a workflow file is exit 3 with file, line and what was expected."""
    text, where, says = BROKEN[name]
    shell.write("w.toml", text)
    told = shell.kata("workflows", "check", "./w.toml").refused(3)
    assert re.search(where, told), told
    assert says in told, told


def test_models_of_a_vendor(tmp_path: Path) -> None:
    """`models list` follows the pages of the provider's own list, keeps it, and asks again on --refresh."""
    shell = Shell(tmp_path)
    rows: list[dict[str, Any]] = [{"id": f"model-{number}", "type": "model"} for number in range(7)]
    with VendorServer([Models(rows=rows, page_size=3)]) as server:
        env = {"ANTHROPIC_BASE_URL": server.base_url}
        args = ("models", "list", "--provider", "anthropic")
        first = shell.kata(*args, "--json", env=env).document
        assert [model["id"] for model in first["models"]] == [row["id"] for row in rows]
        assert (first["provider"], first["is_cached"], len(server.requests)) == ("anthropic", False, 3)
        second = shell.kata(*args, env=env)
        assert len(second.text.splitlines()) == 7
        assert second.text.startswith("anthropic/model-0")
        assert "cached" in second.stderr
        assert len(server.requests) == 3
        assert not shell.kata(*args, "--refresh", "--json", env=env).document["is_cached"]
        assert len(server.requests) == 6
    told = shell.kata(*args, "--refresh", env=env).refused(6)
    assert server.host in told
    mock = shell.kata("models", "--mode", "mock", "--json").document
    assert [(model["id"], model["is_default"]) for model in mock["models"]] == [("mock-1", True)]


def test_models_refused(tmp_path: Path) -> None:
    """A refused key is exit 4 in both forms; without any key the hint names the variable."""
    shell = Shell(tmp_path)
    with VendorServer([Status(status=401, message="no such key")]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": "wrong-key-of-mine"}
        assert "401" in shell.kata("models", "list", "--provider", "openai", env=env).refused(4)
        failed = shell.kata("models", "list", "--provider", "openai", "--json", env=env)
        checked = shell.kata("auth", "status", "--check", "--provider", "openai", env=env)
    assert (failed.code, failed.error["code"], failed.stdout) == (4, "invalid_auth", b"")
    assert "401" in checked.refused(4)
    assert "ANTHROPIC_API_KEY" in shell.kata("models").refused(4)
    assert "opnai" in shell.kata("models", "--provider", "opnai").refused(2)


def test_auth_status(tmp_path: Path) -> None:
    """Each provider has its source, masked key and what it shadows; the status says if a run could go."""
    shell = Shell(tmp_path)
    shell.kata("auth", "status").refused(4)
    env = {"ANTHROPIC_API_KEY": "sk-ant-a-long-secret-WXYZ", "KATA_ANTHROPIC_API_KEY": "kata-own-secret-ABCD"}
    told = shell.kata("auth", "status", env=env)
    assert told.code == 0
    row = next(line for line in told.text.splitlines() if "anthropic" in line)
    assert row.startswith("* anthropic")
    for part in ("KATA_ANTHROPIC_API_KEY", "…ABCD", "api.anthropic.com", "shadows ANTHROPIC_API_KEY"):
        assert part in row
    assert "secret" not in told.text
    document = shell.kata("auth", "--json", env=env).document
    assert (document["chosen"], document["error"]) == ("anthropic", None)
    assert "secret" not in json.dumps(document)
    assert shell.kata("auth", "status", "--provider", "openai", env=env).code == 4
    assert shell.kata("auth", "status", "--mode", "mock").code == 0
    blank = shell.kata("auth", "--json", env={"ANTHROPIC_API_KEY": "  "})
    assert (blank.code, blank.document["chosen"]) == (4, None)


def test_sessions(tmp_path: Path) -> None:
    """A run is found as last, by id, prefix, suffix and session; what was sent and answered can be read."""
    shell = Shell(tmp_path)
    assert "kata run" in shell.kata("sessions", "show", "last").refused(2)
    for goal in ("First goal", "Second goal"):
        assert shell.kata(*QUICK[:-1], goal).code == 0
    ids = [run.name for run in shell.runs]
    listed = shell.kata("sessions", "list", "--json").document["runs"]
    assert [row["run_id"] for row in listed] == ids[::-1]
    assert [row["title"] for row in listed] == ["Second goal", "First goal"]
    assert len(shell.kata("sessions", "list", "--limit", "1").text.splitlines()) == 1
    assert shell.kata("sessions", "list", "--status", "failed").text == ""
    elsewhere = shell.kata("sessions", "list", cwd=shell.home)
    assert (elsewhere.text, "--all" in elsewhere.stderr) == ("", True)
    assert len(shell.kata("sessions", "list", "--all", cwd=shell.home).text.splitlines()) == 2
    for name in ("last", ids[1], ids[1][-6:], f"s-{ids[1]}"):
        assert shell.kata("sessions", "show", name, "--json").document["run_id"] == ids[1], name
    shown = shell.kata("sessions", "show", ids[0]).text
    assert all(part in shown for part in ("First goal", "mock (flag)", "queued", "completed", "synthesize"))
    reply = shell.kata("sessions", "show", "last", "--task", "synthesize", "--reply").text
    assert "Second goal" in reply
    assert "Second goal" in shell.kata("sessions", "show", "--task", "synthesize", "--request").text


@pytest.mark.parametrize(
    "name",
    ["nope", "../../../etc", "/etc/passwd", "20", "", "..", "a" * 300, "last/..", "20261121-000000-aaaaaa"],
)
def test_f1_sessions_that_do_not_exist(shell: Shell, name: str) -> None:
    """F1: what names no run is exit 2 with a hint, and never becomes a path."""
    told = shell.kata("sessions", "show", "--", name).refused(2)
    assert len(told) < 600


def test_sessions_names_the_nearest(tmp_path: Path) -> None:
    """An id with a typing mistake is answered with the nearest one; an ambiguous part with its runs."""
    shell = Shell(tmp_path)
    for goal in ("one", "two"):
        assert shell.kata(*QUICK[:-1], goal).code == 0
    first = shell.runs[0].name
    wrong = first[:-1] + ("0" if first[-1] != "0" else "1")
    assert first in shell.kata("sessions", "show", wrong).refused(2)
    assert "give more" in shell.kata("sessions", "show", "20").refused(2)


def test_config_show(tmp_path: Path) -> None:
    """Every setting has its value and where it comes from; mistakes in variables are warnings."""
    shell = Shell(tmp_path)
    shell.write("kata.toml", "jobs = 3\n")
    env = {"KATA_IDLE_TIMEOUT": "7s", "KATA_JOBZ": "1"}
    shown = shell.kata("config", "show", env=env)
    assert shown.code == 0
    assert re.search(r"^jobs +3  \(project: .*kata\.toml:1", shown.text, re.M)
    assert re.search(r"^idle_timeout +7  \(env: KATA_IDLE_TIMEOUT\)", shown.text, re.M)
    assert "KATA_JOBZ" in shown.stderr
    assert "KATA_JOBS" in shown.stderr
    rows = {row["name"]: row for row in shell.kata("config", "--json", env=env).document["settings"]}
    assert rows["jobs"]["origin"] == "project"
    isolated = shell.kata("config", "show", "--isolated", "--json").document["settings"]
    assert {row["origin"] for row in isolated} == {"default"}


@pytest.mark.parametrize(("name", "file"), [("bash", "kata.bash"), ("zsh", "_kata"), ("fish", "kata.fish")])
def test_completion_files(shell: Shell, name: str, file: str) -> None:
    """The completion scripts in the repository are those that kata prints."""
    assert shell.kata("completion", name).stdout == (ROOT / "completions" / file).read_bytes()


BASH = """
source <(kata completion bash)
words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kata_completion kata; echo "${COMPREPLY[@]}"; }
words kata ru
words kata run --mo
words kata workflows s
"""
FISH = """
kata completion fish | source
complete -C "kata ru"; complete -C "kata run --mo"; complete -C "kata workflows s"
"""


def test_completion_in_bash(shell: Shell) -> None:
    """bash completes commands, subcommands and options from the sourced script."""
    assert shell.bash(BASH).text.splitlines() == ["run", "--mode --model", "show"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_completion_in_fish(shell: Shell) -> None:
    """fish completes the same, with the help beside it."""
    ended = shell.run(["fish", "-c", FISH], env={"PATH": shell.path})
    assert [line.split("\t")[0] for line in ended.text.split("\n") if "\t" in line] == [
        "run",
        "--mode",
        "--model",
        "show",
    ]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_completion_in_zsh(shell: Shell) -> None:
    """zsh can load the script, and kata answers its question."""
    script = "autoload -Uz compinit && compinit -u && source <(kata completion zsh) && print $_comps[kata]"
    assert shell.run(["zsh", "-fc", script], env={"PATH": shell.path}).text == "_kata_completion\n"
    env = {"_KATA_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "kata run --mo"}
    assert '"--model":' in shell.kata(env=env).text


def test_a_reply_never_reaches_a_listing_raw(tmp_path: Path) -> None:
    """X1: names of models come from outside too, and are shown escaped."""
    with VendorServer(
        [Models(rows=[{"id": "m\x1b[31m\u202e", "display_name": "\x9b1mx"}]), Reply()]
    ) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        listed = Shell(tmp_path).kata("models", "--provider", "openai", env=env)
    assert listed.code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", listed.text)
