"""What is asked of this room: the goal, where to look, and how much may be taken."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be read and sent.

    `max_tokens` is what tree files may fill, `max_named_tokens` what the user may name: it is sent whole.
    `max_file_bytes` bounds files of the tree (bigger ones are left out), `max_named_bytes` those named with
    `-f` and stdin (bigger ones are an error). `max_files` counts tree files; `exclude` holds globs relative
    to the root.
    """

    max_tokens: int = 24_000
    max_named_tokens: int = 200_000
    max_file_bytes: int = 200_000
    max_named_bytes: int = 1_048_576
    max_files: int = 24
    exclude: tuple[str, ...] = ()


class ContextQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One question to the project.

    `root` is the tree to look through (None: no tree), `files` are paths or globs relative to `cwd`,
    `cache_dir` is where the index may be kept (None: it lives in memory for this call).
    """

    goal: str
    cwd: Path
    root: Path | None = None
    files: tuple[str, ...] = ()
    stdin_text: str = ""
    limits: Limits = Limits()
    cache_dir: Path | None = None

    @property
    def reads_files(self) -> bool:
        """Whether there is anything to look for on the disk."""
        return self.root is not None or bool(self.files)
