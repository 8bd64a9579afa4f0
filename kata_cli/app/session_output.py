"""What a command makes, into a file that the user names."""

from __future__ import annotations

from pathlib import Path

from kata_cli.app.options import Common
from kata_cli.app.result import OutputFile
from kata_cli.app.state import open_state
from kata_cli.core.errors import KataError


def write_output(options: Common, name: str, data: bytes, *, is_forced: bool) -> list[str]:
    """Write a file whole or not at all; what kata did not write there stays, unless forced. Warnings.

    Raises `KataError`: io for the place, usage for the content.
    """
    if not name:
        raise KataError("usage", "the name of the file is empty", "name a file")
    output = OutputFile(Path(name), open_state(options).directory / "outputs")
    output.check(is_forced=is_forced)
    return output.write(data)
