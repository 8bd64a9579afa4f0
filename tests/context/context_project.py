"""A real git repository to gather context from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from kata_cli.context.gather import gather
from kata_cli.context.query import ContextQuery, Limits
from kata_cli.core.events import ContextGathered

COMMIT = (
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@localhost",
    "-c",
    "commit.gpgsign=false",
    "commit",
    "-qm",
    "x",
)


def git(root: Path, *arguments: str) -> str:
    """Run git in a directory and return what it prints."""
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return done.stdout


class Project:
    """A directory below a test's own, with the files it was given."""

    def __init__(self, root: Path, is_git: bool = True) -> None:
        self.root = root
        root.mkdir(parents=True)
        if is_git:
            git(root, "init", "-q")

    def write(self, path: str, text: str | bytes = "text\n") -> Path:
        """Write one file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def commit(self) -> None:
        """Commit all there is."""
        git(self.root, "add", "-A")
        git(self.root, *COMMIT)

    def gather(
        self,
        goal: str = "parser",
        *,
        files: tuple[str, ...] = (),
        stdin_text: str = "",
        cache_dir: Path | None = None,
        limits: Limits | None = None,
        redact: Callable[[str], str] = str,
    ) -> ContextGathered:
        """Gather the context of the whole project."""
        query = ContextQuery(
            goal=goal,
            cwd=self.root,
            root=self.root,
            files=files,
            stdin_text=stdin_text,
            cache_dir=cache_dir,
            limits=limits or Limits(),
        )
        return gather(query, redact)


def paths(found: ContextGathered) -> list[str]:
    """The files of a context, each once, in order."""
    return list(dict.fromkeys(file.path for file in found.files))
