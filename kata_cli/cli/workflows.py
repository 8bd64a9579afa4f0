"""`kata workflows`: the built-in ones and your own."""

from __future__ import annotations

from typing import Annotated

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli.groups import CONTEXT, KataCommand, group
from kata_cli.cli.options import Json, option

app = group("workflows", "List, show and check workflow files.")

Name = Annotated[
    str, typer.Argument(help="A name or a path.", show_default=False, autocompletion=complete.workflows)
]
GraphFormat = Annotated[str, option("--format", help="How to draw it.", metavar="terminal|mermaid")]


@app.command("list", cls=KataCommand, context_settings=CONTEXT)
def list_(as_json: Json = False) -> None:
    """The workflows that a bare name reaches."""
    from kata_cli.app.workflows import list_workflows

    listed = list_workflows()
    if as_json:
        shell.put_json(listed)
        return
    width = max(len(row.name) for row in listed.workflows)
    for row in listed.workflows:
        shell.put(f"{row.name:<{width}}  {row.description}  ({row.source})\n")


@app.command(cls=KataCommand, context_settings=CONTEXT)
def show(name: Name) -> None:
    """Print a workflow file, as a start for your own."""
    from kata_cli.app.workflows import find_workflow

    shell.put(find_workflow(name).text)


@app.command(cls=KataCommand, context_settings=CONTEXT)
def check(name: Name, as_json: Json = False) -> None:
    """Check a workflow file; the first mistake is named with file, line and key."""
    from kata_cli.app.workflows import check_workflow
    from kata_cli.output.figures import plural

    checked = check_workflow(name)
    if as_json:
        shell.put_json(checked)
    else:
        shell.put(f"{checked.name}: {plural(checked.tasks, 'task')}, no mistake\n")


@app.command(cls=KataCommand, context_settings=CONTEXT)
def graph(name: Name, format: GraphFormat = "terminal") -> None:
    """Draw the graph of a workflow's tasks."""
    from kata_cli.app.workflows import draw, find_workflow

    shell.put(draw(find_workflow(name).workflow, format))
