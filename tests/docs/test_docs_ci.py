"""The CI examples do what they say: their kata commands run in mock mode, on hostile input."""

from __future__ import annotations

import json
import re
from functools import partial
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest

from cli.shell import Ended, Shell
from docs.checkout import ROOT

GITHUB = (ROOT / "examples/ci/github.yml").read_text()
GITLAB = (ROOT / "examples/ci/gitlab.yml").read_text()
TITLE = "Add a cache\"; touch hacked; $(touch hacked) `touch hacked` '"
BODY = "::error::x\n\n${{ secrets.X }}\n$HOME\n"


def scripts(text: str, key: str) -> list[str]:
    """What stands after a key such as `run:`, or after `-`: in one row, or as an indented block."""
    found = []
    rows = text.split("\n")
    for number, row in enumerate(rows, start=1):
        match = re.match(rf"( *)(?:- )?{key} (.*)$", row)
        if match and match[2] == "|":
            is_inside = partial(is_deeper, len(match[1]))
            found.append(dedent("\n".join(takewhile(is_inside, rows[number:]))))
        elif match:
            found.append(match[2])
    return found


def is_deeper(depth: int, row: str) -> bool:
    return len(row) - len(row.lstrip()) > depth


def kata_scripts(found: list[str]) -> list[str]:
    return [script for script in found if "pip install" not in script]


GITHUB_RUNS = kata_scripts(scripts(GITHUB, "run:"))
GITLAB_RUNS = kata_scripts(
    [row for row in scripts(GITLAB, "-") if row.startswith(("kata ", "mapfile ", "python3 ", "pip "))]
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A repository with a spec that passes and one that does not."""
    shell = Shell(tmp_path)
    draft = shell.kata("run", "--mode", "mock", "--no-stdin", "-w", "quick", "Make save atomic").text
    shell.write("specs/good.md", draft)
    shell.write("specs/deep/bad\none.md", draft.replace("SHALL", "may"))
    shell.write("specs/bad one.md", draft.replace("SHALL", "may"))
    return shell


def run(shell: Shell, script: str, **env: str) -> Ended:
    """A step as a CI job runs it: bash that stops at the first failure, mock mode, no terminal."""
    return shell.bash(f"set -e\n{script}", env={"CI": "true", "KATA_RUNTIME_MODE": "mock", **env})


def test_every_command_is_known_here() -> None:
    """The tests below run all kata commands of both files."""
    assert [script.split("kata ")[-1].split()[0] for script in GITHUB_RUNS] == ["spec", "spec", "run", "spec"]
    assert [script.split()[0] for script in GITLAB_RUNS] == ["mapfile", "python3", "kata", "kata"]


def test_github_lints(shell: Shell) -> None:
    """The pull request is annotated and fails; the SARIF report is written either way."""
    annotate, report = GITHUB_RUNS[:2]
    done = run(shell, annotate)
    assert done.code == 10
    told = {row.partition(",line=")[0] for row in done.text.splitlines() if "KS007" in row}
    assert told == {"::error file=specs/bad one.md", "::error file=specs/deep/bad%0Aone.md"}
    assert run(shell, report).code == 0
    log = json.loads((shell.project / "kata.sarif").read_text())
    assert "KS007" in {result["ruleId"] for result in log["runs"][0]["results"]}


@pytest.mark.parametrize("script", [*GITHUB_RUNS[:2], GITLAB_RUNS[0]], ids=["github", "sarif", "gitlab"])
def test_a_change_may_leave_no_spec(tmp_path: Path, script: str) -> None:
    """A pull request that takes the last spec away is no failure."""
    shell = Shell(tmp_path)
    assert run(shell, script).code == 0
    shell.write("specs/picture.png", b"")
    assert run(shell, script).code == 0


def test_the_package_index_is_not_asked_for_kata() -> None:
    """What is installed is named by a variable: kata is on no package index."""
    installs = [row for row in (GITHUB + GITLAB).splitlines() if "pip install" in row]
    assert len(installs) == 3
    assert all("KATA_SOURCE" in row for row in installs)


def test_github_drafts_from_an_issue(shell: Shell) -> None:
    """The issue is data: what its author wrote is in the goal, and no shell has read it."""
    draft, check = GITHUB_RUNS[2:]
    env = {"GITHUB_ACTIONS": "true", "ISSUE_TITLE": TITLE, "ISSUE_BODY": BODY, "RUNNER_TEMP": str(shell.home)}
    done = run(shell, draft, **env)
    assert done.code == 0, done.stderr
    assert_drafted(shell)
    assert not [row for row in (done.text + done.stderr).splitlines() if row.startswith("::")]
    assert run(shell, check).code == 0


def test_gitlab_lints(shell: Shell) -> None:
    """The job fails with a report that GitLab can show."""
    assert run(shell, GITLAB_RUNS[0]).code == 10
    root = ElementTree.fromstring((shell.project / "kata-junit.xml").read_bytes())
    assert int(root.attrib["failures"]) > 0


def test_gitlab_drafts_from_an_issue(shell: Shell) -> None:
    """The event's file becomes the goal, and no shell has read it."""
    payload = shell.home / "payload"
    payload.write_text(json.dumps({"object_attributes": {"title": TITLE, "description": BODY}}))
    for script in GITLAB_RUNS[1:]:
        done = run(shell, script, TRIGGER_PAYLOAD=str(payload))
        assert done.code == 0, done.stderr
    assert_drafted(shell)


def assert_drafted(shell: Shell) -> None:
    assert 'schema: "kata.spec/v1"' in (shell.project / "draft.md").read_text()
    assert "touch hacked" in shell.last_run["goal"]
    assert not list(shell.project.rglob("hacked"))


def test_no_expression_stands_in_a_script() -> None:
    """GitHub would paste the issue's text into the shell before it runs; it may only fill variables."""
    assert "${{" in GITHUB
    assert not [script for script in GITHUB_RUNS if "${{" in script]


@pytest.mark.parametrize("text", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_the_layout_is_yaml_that_every_parser_reads(text: str) -> None:
    """Two blanks a level, no tabs, and every row outside a block is a comment, a key or an item."""
    block_depth: int | None = None
    for row in filter(None, text.split("\n")):
        depth = len(row) - len(row.lstrip())
        if block_depth is not None and depth > block_depth:
            continue
        block_depth = depth if row.endswith((": |", "- |")) else None
        assert "\t" not in row
        assert depth % 2 == 0
        assert re.match(r" *(?:#|- |(?:- )?[.\w-]+:(?: |$))", row), row
