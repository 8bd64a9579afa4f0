"""Where a command stands."""

from __future__ import annotations

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
