"""A machine for the tests of `kata doctor`, in good or bad health."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kata_cli.app.check import Check
from kata_cli.app.doctor import DoctorReport, examine
from kata_cli.app.options import Common
from kata_cli.core.errors import Exit
from servers.vendor import VendorServer

KEY = "no-usual-form-0123456789-canary"


class Patient:
    """An empty home, a project, and a PATH with one folder of its own."""

    def __init__(self, root: Path, env: pytest.MonkeyPatch) -> None:
        self.home, self.project, self.bin = root / "home", root / "project", root / "bin"
        for folder in (self.home, self.project / ".git", self.bin):
            folder.mkdir(parents=True)
        for name in list(os.environ):
            env.delenv(name)
        self._env = env
        self.set(HOME=str(self.home), PATH=f"{self.bin}:/usr/bin:/bin", SHELL="/bin/bash", NO_PROXY="*")
        env.chdir(self.project)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._env.setenv(name, value)

    def program(self, name: str, script: str, folder: Path | None = None) -> Path:
        """A shell script on the PATH."""
        path = (folder or self.bin) / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def config(self, text: str, name: str = "config.toml") -> Path:
        path = self.home / ".config" / "kata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    def examine(self, **options: Any) -> DoctorReport:
        """The report; its failure must agree with it."""
        report, failure = examine(Common(**options))
        assert (failure is None) is (report.status != "error")
        assert report.exit_code == (Exit.OK if failure is None else failure.exit)
        return report

    def check(self, name: str, about: str = "", **options: Any) -> Check:
        """The one row of a name."""
        rows = [row for row in self.examine(**options).checks if (row.name, row.about) == (name, about)]
        assert len(rows) == 1, rows
        return rows[0]

    def serve(self, server: VendorServer) -> None:
        """The vendor as the provider of both its kinds."""
        self.set(ANTHROPIC_BASE_URL=server.base_url, ANTHROPIC_API_KEY=KEY)


MOCK: dict[str, Any] = {"flags": {"runtime_mode": "mock"}}
PI: dict[str, Any] = {"flags": {"runtime_mode": "pi"}}
