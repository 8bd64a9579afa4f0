"""Where a command stands."""

from __future__ import annotations

import os
from pathlib import Path

from kata_cli.core.errors import KataError


def working_directory() -> Path:
    """The working directory, absolute. Raises `KataError` io when it was removed under the shell."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise KataError(
            "io", "the working directory no longer exists", "cd to a directory that does"
        ) from None


def check_recordable(directory: Path) -> None:
    """Refuse a place for a run that its journal, which is UTF-8, could not name. Raises `KataError` io."""
    try:
        str(directory).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(directory).decode("utf-8", "backslashreplace")
        raise KataError(
            "io", f"the name of the working directory is not UTF-8: {shown}", "rename the directory"
        ) from None
