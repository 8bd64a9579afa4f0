"""What `kata workflows` needs: the catalogue with descriptions, and drawings of a graph."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from kata_cli.config.paths import find_paths
from kata_cli.core.errors import KataError
from kata_cli.core.text import neutral, one_line
from kata_cli.workflows import catalog
from kata_cli.workflows.model import Workflow, levels

MAX_INDENT = 20  # a chain of thousands would be megabytes of blanks


class WorkflowRow(msgspec.Struct, kw_only=True):
    """One line of `kata workflows list`; `source` is `built-in` or a path."""

    name: str
    description: str
    source: str


class WorkflowList(msgspec.Struct, kw_only=True):
    """The workflows that a bare name reaches (`kata.workflows/v1`)."""

    schema: str = "kata.workflows/v1"
    workflows: list[WorkflowRow]


class WorkflowCheck(msgspec.Struct, kw_only=True):
    """A workflow without a mistake (`kata.workflow-check/v1`); `tasks` is their number."""

    schema: str = "kata.workflow-check/v1"
    name: str
    tasks: int
    is_valid: bool = True


def list_workflows() -> WorkflowList:
    """Every workflow that a bare name reaches. A broken file of the user's own is listed with its mistake."""
    return WorkflowList(
        workflows=[
            WorkflowRow(name=name, description=_description(name), source=source)
            for name, source in catalog.names(_own_folder()).items()
        ]
    )


def check_workflow(name: str) -> WorkflowCheck:
    """What a workflow without a mistake is. Raises `KataError` for the first mistake."""
    workflow = find_workflow(name).workflow
    return WorkflowCheck(name=workflow.name, tasks=len(workflow.tasks))


def find_workflow(name: str) -> catalog.Found:
    """A workflow by name or path. Raises `KataError`."""
    return catalog.find(name, _own_folder())


def draw(workflow: Workflow, format: str) -> str:
    """The graph as text. Raises `KataError` usage for an unknown format."""
    if format == "mermaid":
        return _mermaid(workflow)
    if format == "terminal":
        return neutral(_waves(workflow))
    raise KataError("usage", f"--format: expected terminal or mermaid, got {format!r}")


def _own_folder() -> Path:
    return find_paths(os.environ).config / "workflows"


def _description(name: str) -> str:
    try:
        return one_line(find_workflow(name).workflow.description, 100)
    except KataError as error:
        return one_line(f"broken: {error.failure.message}", 200)


def _waves(workflow: Workflow) -> str:
    """One line per task, indented by the wave it starts in."""
    rows = []
    for depth, wave in enumerate(levels(workflow.tasks)):
        for task in wave:
            after = f"  after {', '.join(task.needs)}" if task.needs else ""
            mark = f"  -> {workflow.result.kind}" if task.id == workflow.result.task else ""
            rows.append(f"{'  ' * min(depth, MAX_INDENT)}{task.id} [{task.role}]{after}{mark}\n")
    return "".join(rows)


def _mermaid(workflow: Workflow) -> str:
    lines = ["flowchart TD"]
    lines += [f'  {_node(task.id)}["{task.id}"]' for task in workflow.tasks]
    lines += [f"  {_node(need)} --> {_node(task.id)}" for task in workflow.tasks for need in task.needs]
    lines.append(f'  {_node(workflow.result.task)} --> result(["{workflow.result.kind}"])')
    return "\n".join(lines) + "\n"


def _node(task_id: str) -> str:
    """A name that is no keyword of Mermaid (`end` is one)."""
    return f"t_{task_id.replace('-', '_')}"
