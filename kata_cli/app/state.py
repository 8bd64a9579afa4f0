"""Where the commands about past work look: they need the state directory, and no other setting."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.config.home import find_state
from kata_cli.config.trust import project_root


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The state directory, and the project in which the command was called."""

    directory: Path
    project: str
    warnings: list[str]


def open_state(options: Common) -> State:
    """Where the runs and sessions lie. Raises `KataError`."""
    cwd = working_directory()
    directory, warnings = find_state(options.flags.get("home"), os.environ, cwd)
    return State(directory=directory, project=str(project_root(cwd)), warnings=warnings)
