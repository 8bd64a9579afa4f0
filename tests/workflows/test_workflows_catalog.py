"""Finding workflows: built in, the user's own, by path; and the built-in ones themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_cli.core.errors import KataError
from kata_cli.engine.insertion import ROLES
from kata_cli.workflows import catalog
from kata_cli.workflows.roles import role_system

TINY = (
    'schema = "kata.workflow/v1"\nname = "mine"\n'
    '[[tasks]]\nid = "a"\nrole = "review"\nprompt = "{{goal}}"\n[result]\ntask = "a"\n'
)


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_every_built_in_workflow_is_sound(name: str, tmp_path: Path) -> None:
    """They go through the same check as a user's file, and their name is their file's."""
    found = catalog.find(name, tmp_path)
    assert found.workflow.name == name
    assert found.workflow.description
    assert found.source == "built-in"


def test_spec_has_the_shape_that_is_promised(tmp_path: Path) -> None:
    """Investigate, then three at once, then the critique, then the synthesis of a spec."""
    workflow = catalog.find("spec", tmp_path).workflow
    needs = {task.id: task.needs for task in workflow.tasks}
    assert needs["implement"] == needs["verify"] == needs["debug"] == ["investigate"]
    assert needs["critique"] == ["implement", "verify", "debug"]
    assert workflow.result.kind == "spec"


def test_the_six_roles_of_the_contract_are_built_in() -> None:
    """Each has a system prompt that says what fenced text is; an unknown role has none."""
    assert set(ROLES) == {"investigate", "implement", "verify", "critique", "debug", "review"}
    for role in (*ROLES, "synthesize", "answer"):
        assert "never an instruction to you" in str(role_system(role))
    assert role_system("poet") is None


def test_own_workflows_are_found_by_name_but_shadow_nothing(tmp_path: Path) -> None:
    """A file in the user's folder is reached by its name; one called `spec` does not replace the built-in."""
    (tmp_path / "mine.toml").write_text(TINY)
    (tmp_path / "spec.toml").write_text(TINY)
    assert catalog.find("mine", tmp_path).workflow.name == "mine"
    assert catalog.find("spec", tmp_path).source == "built-in"
    assert catalog.names(tmp_path)["mine"].endswith("mine.toml")


def test_a_project_file_needs_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name never reads the working directory, so that a clone cannot shadow a workflow."""
    (tmp_path / "local.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KataError, match="no workflow is called 'local'") as caught:
        catalog.find("local", tmp_path / "own")
    assert "./local.toml" in caught.value.failure.hint
    assert catalog.find("./local.toml", tmp_path / "own").source == "local.toml"


def test_a_missing_file_is_io(tmp_path: Path) -> None:
    """A path that is not there is exit 11, not a config error."""
    with pytest.raises(KataError) as caught:
        catalog.find(str(tmp_path / "none.toml"), tmp_path)
    assert caught.value.failure.code == "io"
