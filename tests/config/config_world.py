"""A user and a project on disk: what the tests of settings and credentials start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.resolve import Resolved, resolve
from kata_cli.core.errors import Failure, KataError


class World:
    """A home directory with a config file, and a repository with a `kata.toml` and a folder below it."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.project = root / "project"
        self.below = self.project / "src" / "deep"
        self.below.mkdir(parents=True)
        (self.project / ".git").mkdir()
        self.config = self.home / ".config" / "kata"
        self.config.mkdir(parents=True)
        self.env = {"HOME": str(self.home)}

    @property
    def user_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def project_file(self) -> Path:
        return self.project / "kata.toml"

    def user(self, text: str) -> None:
        self.user_file.write_text(text)

    def says(self, text: str) -> None:
        """Write the project's file."""
        self.project_file.write_text(text)

    def stored(self, text: str, mode: int = 0o600) -> Path:
        """Write the credentials file."""
        path = self.config / "credentials.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    def resolve(
        self, flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None, **options: Any
    ) -> Resolved:
        return resolve(flags or {}, self.env | dict(env or {}), self.below, **options)

    def finder(
        self, env: Mapping[str, str] | None = None, key_file: Path | None = None, **options: Any
    ) -> CredentialFinder:
        resolved = self.resolve(env=env)
        return CredentialFinder(self.env | dict(env or {}), resolved.paths, resolved, key_file, **options)

    def refusal(self, *args: Any, **options: Any) -> Failure:
        """The failure that resolving ends in."""
        with pytest.raises(KataError) as caught:
            self.resolve(*args, **options)
        return caught.value.failure
