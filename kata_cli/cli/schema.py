"""`kata schema`: the JSON Schema of every document that kata reads or writes."""

from __future__ import annotations

from typing import Annotated

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="Which one; without it all are listed.",
        show_default=False,
        autocompletion=complete.schemas,
    ),
]


def schema(name: Name = None, as_json: o.Json = False) -> None:
    """Print a JSON Schema of a document, or list them."""
    from kata_cli.app.schemas import json_schema, list_schemas

    if name is not None:
        _put_schema(json_schema(name), as_json=as_json)
        return
    listed = list_schemas()
    if as_json:
        shell.put_json(listed)
        return
    width = max(len(row.name) for row in listed.schemas)
    for row in listed.schemas:
        shell.put(f"{row.name:<{width}}  {row.about}\n")


def _put_schema(schema: dict[str, object], *, as_json: bool) -> None:
    """For a program in one line, else indented."""
    if as_json:
        shell.put_json(schema)
        return
    import msgspec

    shell.put(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n")
