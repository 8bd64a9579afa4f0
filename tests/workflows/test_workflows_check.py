"""Workflow files: what is accepted, and how each mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_cli.core import toml
from kata_cli.core.errors import KataError
from kata_cli.workflows.check import check
from kata_cli.workflows.model import Workflow, find_cycle, levels

GOOD = """
schema = "kata.workflow/v1"
name = "risks"
[vars.area]
required = true
[[tasks]]
id = "look"
role = "investigate"
prompt = "What bears on {{goal}} in {{vars.area}}? {{context}}"
[[tasks]]
id = "risks"
role = "debug"
needs = ["look"]
prompt = "Failure modes, given {{ tasks.look.output }}"
[result]
task = "risks"
"""


def parsed(text: str, folder: Path | None = None) -> Workflow:
    return check(toml.decode(text.encode(), Path("w.toml")), folder=folder)


def test_a_good_file_is_read_whole() -> None:
    """Tasks keep their order; what is left out has its default."""
    workflow = parsed(GOOD)
    assert [task.id for task in workflow.tasks] == ["look", "risks"]
    assert workflow.result.kind == "text"
    assert workflow.fields_of(workflow.tasks[0])["on_failure"] == "stop"


MISTAKES = [
    ('name = "risks"', 'nmae = "risks"', "w.toml:3: nmae: unknown key. did you mean name?"),
    ('role = "debug"', 'rloe = "debug"', "unknown key. did you mean role?"),
    ('id = "risks"', 'id = "look"', "two tasks are called 'look'"),
    ('id = "risks"', 'id = "Ri sks"', "'Ri sks' is not an id"),
    ('needs = ["look"]', 'needs = ["lok"]', "needs 'lok', which is no task. did you mean look?"),
    ('needs = ["look"]', "needs = []", "'look' is not in the task's needs"),
    ('needs = ["look"]', 'needs = ["look", "risks"]', "in a circle: risks -> risks"),
    ("{{vars.area}}", "the code", "variable 'area' is not used by any task"),
    ("{{vars.area}}", "{{vars.area}} {{vars.aera}}", "undefined variable {{vars.aera}}. did you mean area?"),
    ("{{goal}}", "{{gaol}}", "unknown placeholder {{gaol}}"),
    ('task = "risks"', 'task = "riks"', "no task 'riks'"),
    ('role = "debug"', 'role = "poet"', "role 'poet' is not built in"),
    ('role = "debug"', 'role = "debug"\nmax_tokens = 0', "expected at least 1"),
    ('role = "debug"', 'role = "debug"\nthinking = "deep"', "expected one of off"),
    ('role = "debug"', 'role = "debug"\ntimeout = "soon"', "expected a duration"),
    ('role = "debug"', 'role = "debug"\ntemperature = "hot"', "expected `float | null`"),
    ('schema = "kata.workflow/v1"', 'schema = "kata.workflow/v2"', "expected one of kata.workflow/v1"),
    ('role = "debug"', 'role = "debug"\noutput = "xml"', "expected one of text, json"),
    ('task = "risks"', 'task = "risks"\nkind = "json"', 'needs output = "json" for a JSON result'),
    ('role = "debug"', 'role = "debug"\ntemperature = 99.0', "expected a number from 0 to 2"),
    ('role = "debug"', 'role = "debug"\ntemperature = inf', "expected a number from 0 to 2"),
    ("required = true", 'type = "int"\ndefault = "a"', "'a' is not of type int"),
    ("required = true", "choices = []", "expected at least one choice"),
    ("[result]\n", "[result\n", "not TOML"),
    ("required = true", 'required = true\ndefault = "x"', "is required, so it has no default"),
    ("required = true", 'default = "x"\nchoices = ["y"]', "is not one of the choices"),
]


@pytest.mark.parametrize(("good", "bad", "told"), MISTAKES, ids=[mistake[2][:40] for mistake in MISTAKES])
def test_a_mistake_is_named_with_its_place(good: str, bad: str, told: str) -> None:
    """Every rule has a file that breaks it: exit 3 with file, key and what was expected."""
    with pytest.raises(KataError) as caught:
        parsed(GOOD.replace(good, bad))
    assert caught.value.failure.code == "config"
    assert caught.value.failure.message.startswith("w.toml")
    assert told in caught.value.failure.message


def test_a_file_without_tasks_is_no_workflow() -> None:
    """An empty list of tasks is said to be one."""
    text = 'schema = "kata.workflow/v1"\nname = "x"\ntasks = []\n[result]\ntask = "a"\n'
    with pytest.raises(KataError, match="at least one"):
        parsed(text)


def test_a_file_without_its_tables_is_told_as_a_whole() -> None:
    """What is missing at the top has no key to point at."""
    with pytest.raises(KataError) as caught:
        parsed('schema = "kata.workflow/v1"\nname = "x"\n')
    assert caught.value.failure.message == "w.toml: object missing required field `tasks`"


def test_a_system_file_is_read_below_the_folder_only(tmp_path: Path) -> None:
    """`system = "@file"` reads beside the workflow; a path that leads out is refused."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "critic.md").write_text("Be strict.")
    (tmp_path / "secret").write_text("not yours")
    text = GOOD.replace('role = "debug"', 'role = "critic"\nsystem = "@critic.md"')
    assert parsed(text, tmp_path / "w").tasks[1].system == "Be strict."
    with pytest.raises(KataError, match="outside the workflow's own folder"):
        parsed(text.replace("@critic.md", "@../secret"), tmp_path / "w")
    (tmp_path / "w" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(KataError, match="outside the workflow's own folder"):
        parsed(text.replace("@critic.md", "@link"), tmp_path / "w")


def test_a_cycle_is_found_wherever_it_begins() -> None:
    """The path of the cycle is given, first id again at its end; a graph without one gives nothing."""
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert find_cycle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_a_long_chain_is_no_problem() -> None:
    """Ten thousand tasks in a row neither overflow the search for cycles nor the waves."""
    chain = {f"t{index}": [f"t{index - 1}"] if index else [] for index in range(10_000)}
    assert find_cycle(chain) == []


def test_waves_hold_what_may_run_at_once() -> None:
    """A task stands in the wave after the last of its needs."""
    assert [[task.id for task in wave] for wave in levels(parsed(GOOD).tasks)] == [["look"], ["risks"]]
