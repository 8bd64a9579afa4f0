"""Each example is run as a person would run it, through the installed program, in mock mode."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from docs.checkout import ROOT, Checkout

EXAMPLES = ROOT / "examples"
LABEL = "*Mock mode: derived from the material by fixed rules; no model was asked.*"
DIFF = """\
diff --git a/store.py b/store.py
--- a/store.py
+++ b/store.py
@@ -1,2 +1,4 @@
 def load(path):
+    # TODO: check the path
+    return eval(open(path).read())
"""
HISTORY = "- Add a cache of models\n- Mend the order of events\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clone of this repository with an empty home."""
    return Checkout(tmp_path_factory.mktemp("examples"))


def run(checkout: Checkout, command: str, stdin: str | None = None) -> dict[str, Any]:
    """The result document of a run in mock mode that has to succeed."""
    done = checkout.bash(f"kata run --mode mock --json {command}", stdin=stdin)
    assert done.code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["runtime_mode"] == "mock"
    assert document["status"] == "completed"
    return document


def text_of(document: dict[str, Any]) -> str:
    """The text of a result, which says that no model was asked."""
    text = str(document["result"]["text"])
    assert text.startswith(LABEL)
    return text


def statuses(document: dict[str, Any]) -> dict[str, str]:
    """How each task ended."""
    return {task["id"]: task["status"] for task in document["tasks"]}


def test_risks_reports_on_the_area_named(checkout: Checkout) -> None:
    """The risk report cites the files that were named and what both colleagues said of them."""
    named = "-f 'kata_cli/store/*.py' --no-context --var area=store"
    document = run(checkout, f'-w examples/risks.toml {named} "Find what could lose data in the journal"')
    text = text_of(document)
    assert "kata_cli/store/journal.py" in text
    assert "From breaks" in text
    assert "From notices" in text
    assert set(statuses(document).values()) == {"completed"}


def test_risks_needs_an_area(checkout: Checkout) -> None:
    """Without its variable the workflow is refused before anything is asked."""
    done = checkout.bash('kata run --mode mock -w examples/risks.toml "Find what could lose data"')
    assert done.code == 2
    assert "area" in done.output


def test_diff_review_finds_what_is_wrong_in_a_diff(checkout: Checkout) -> None:
    """The verdict names the defects of the diff on stdin with file and line, and the missing test."""
    command = '--no-context -w examples/diff-review.toml "Is this ready to merge?"'
    document = run(checkout, command, stdin=DIFF)
    text = text_of(document)
    assert "`store.py:3`: text is executed as code" in text
    assert "`store.py:2`: work is left open" in text
    assert "code changes and no test does" in text
    assert statuses(document)["verdict"] == "completed"


def test_review_of_a_diff_in_one_line(checkout: Checkout) -> None:
    """The built-in reviewer gives the same findings in one call."""
    document = run(checkout, '--no-context -w review "Review this change"', stdin=DIFF)
    assert "`store.py:3`: text is executed as code" in text_of(document)
    assert len(document["tasks"]) == 1


def test_release_notes_hold_the_history(checkout: Checkout) -> None:
    """Every line of the history is in the notes."""
    command = '--no-context -w examples/release-notes.toml --var version=1.1 "Release notes"'
    text = text_of(run(checkout, command, stdin=HISTORY))
    assert "- Add a cache of models\n- Mend the order of events" in text


def test_release_notes_know_their_readers(checkout: Checkout) -> None:
    """An audience that is none of the choices is refused with the choices."""
    command = 'kata run --mode mock -w examples/release-notes.toml --var audience=nobody "Notes"'
    done = checkout.bash(command, stdin=HISTORY)
    assert done.code == 2
    assert "operators" in done.output


def test_council_compares_two_answers(checkout: Checkout) -> None:
    """The chair tells what both advisers said; each was asked on its own."""
    document = run(checkout, '-w examples/council.toml "SQLite for the journal?"')
    text = text_of(document)
    assert "Said by more than one" in text
    assert "SQLite for the journal?" in text
    needs = {task["id"]: task["needs"] for task in document["tasks"]}
    assert needs == {"first": [], "second": [], "compare": ["first", "second"]}


def test_council_asks_two_vendors(checkout: Checkout) -> None:
    """With real models the two answers come from different vendors."""
    env = {"ANTHROPIC_API_KEY": "a" * 20, "OPENAI_API_KEY": "o" * 20, "KATA_PROVIDER": "openai"}
    command = 'kata run --json --dry-run --no-context -w examples/council.toml "Which?"'
    done = checkout.bash(command, env=env)
    assert done.code == 0, done.output
    models = {task["id"]: task["model"].partition("/")[0] for task in json.loads(done.stdout)["tasks"]}
    assert models == {"first": "anthropic", "second": "openai", "compare": "openai"}


def test_council_goes_on_when_a_member_fails(checkout: Checkout, tmp_path: Path) -> None:
    """One adviser down leaves a comparison that is told so."""
    scenario = tmp_path / "first-fails.toml"
    scenario.write_text('[[faults]]\ntask = "first"\nkind = "task_failed"\ntimes = 9\n')
    document = run(
        checkout, f'-w examples/council.toml --scenario {scenario} "Should the journal be SQLite?"'
    )
    assert statuses(document) == {"first": "failed", "second": "completed", "compare": "completed"}


def test_flaky_scenario_is_got_through(checkout: Checkout) -> None:
    """A run under the flaky scenario retries, repairs, and ends with a draft."""
    command = '--scenario examples/scenarios/flaky.toml "Add a --since option to kata sessions list"'
    document = run(checkout, command)
    attempts = {task["id"]: task["attempts"] for task in document["tasks"]}
    assert attempts["investigate"] == 2
    assert attempts["verify"] == 3
    assert document["result"]["document"]["requirements"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_example_explains_itself(path: Path, checkout: Checkout) -> None:
    """A workflow says at its top how it is run, is called like its file, and has no mistake."""
    text = path.read_text()
    top = text.partition('schema = "kata.workflow/v1"')[0]
    assert all(line.startswith("#") for line in top.splitlines())
    assert re.search(rf"kata run .*examples/{path.name}", top)
    assert tomllib.loads(text)["name"] == path.stem
    done = checkout.bash(f"kata workflows check examples/{path.name}")
    assert done.code == 0, done.output
