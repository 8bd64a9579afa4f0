"""A clone of this repository, made by scripts/setup as far as its scripts can tell, with an empty home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
AUTHOR = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
LAST_CHANGED = "CHANGELOG.md"


class Done(msgspec.Struct, frozen=True):
    """How a script ended; `output` is stdout and stderr as a person sees them, `stdout` the result alone."""

    code: int
    output: str
    stdout: str


class Checkout:
    """The files as they are now, in a repository with two commits of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.path = folder / "kata"
        self.home.mkdir()
        self._copy()
        self._commit()
        self._set_up()

    def bash(self, script: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Done:
        """Run a script as a person would in a shell of the clone."""
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{script}"],
            cwd=self.path,
            env={**self._env(), **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stderr + done.stdout, done.stdout)

    def _env(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8"}

    def _copy(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for name in filter(None, listed.decode().split("\0")):
            source, target = ROOT / name, self.path / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
                target.chmod(source.stat().st_mode & 0o777)

    def _commit(self) -> None:
        self._git("init", "--quiet")
        self._git("add", "--all", ".", f":!{LAST_CHANGED}")
        self._git(*AUTHOR, "commit", "--quiet", "--message", "Lay the core")
        self._git("add", "--all")
        self._git(*AUTHOR, "commit", "--quiet", "--message", "Say what changed")

    def _git(self, *args: str) -> None:
        subprocess.run(["git", *args], cwd=self.path, env=self._env(), check=True, capture_output=True)

    def _set_up(self) -> None:
        """What scripts/setup would leave behind, from the environment that runs the tests."""
        venv = self.path / ".venv"
        venv.mkdir()
        (venv / "bin").symlink_to(Path(sys.executable).parent)
        made_from = [f"{self.path}\n"] + [
            (self.path / name).read_text() for name in ("requirements.lock", "pyproject.toml")
        ]
        (venv / "made-from").write_text("".join(made_from))
