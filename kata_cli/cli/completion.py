"""`kata completion`: the script that a shell sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from kata_cli.cli import complete, shell
from kata_cli.core.errors import KataError
from kata_cli.core.text import near

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_KATA_COMPLETE"

Shell = Annotated[
    str,
    typer.Argument(
        help="bash, zsh or fish.",
        metavar="SHELL",
        show_default=False,
        autocompletion=complete.choices(SHELLS),
    ),
]


def completion(name: Shell) -> None:
    """Print a completion script; kata itself edits none of your files."""
    shell.put(script(name))


def script(name: str) -> str:
    """The completion script of a shell. Raises `KataError` usage for any other."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if name not in SHELLS:
        known = f"kata completion {'|'.join(SHELLS)}"
        raise KataError("usage", f"no completion for {name!r}", near(name, SHELLS) or known)
    return str(get_completion_script(prog_name="kata", complete_var=VARIABLE, shell=name)) + "\n"


def prepare_completion(env: Mapping[str, str]) -> None:
    """Teach the framework to answer a shell that asks; it does so by itself only with its own options."""
    if VARIABLE in env:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
