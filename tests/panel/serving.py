"""The real `kata serve` in a process of its own, with sessions put into its store beforehand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kata_cli.core.session import Entry, MessageEntry
from kata_cli.store.sessions import SessionStore

PROGRAM = Path(sys.executable).parent / "kata"
END_S = 10.0
TS = "2026-11-21T10:00:00.000Z"


def session_id(number: int) -> str:
    """A session id; equal numbers give equal ids."""
    return f"s-20261121-{number:06d}-abcdef"


def conversation(texts: Iterable[str]) -> list[MessageEntry]:
    """Messages of a user and an assistant in turn, as a path of a session's tree."""
    entries = []
    for number, text in enumerate(texts, 1):
        role: Any = "user" if number % 2 else "assistant"
        parent = f"e{number - 1}" if number > 1 else None
        entries.append(MessageEntry(id=f"e{number}", parent=parent, ts=TS, role=role, text=text))
    return entries


class Serving:
    """`kata serve` on a port of its own while the `with` block lasts, over a home below `root`."""

    def __init__(self, root: Path, *options: str, **env: str) -> None:
        self.home, self.workspace = root / "home", root / "workspace"
        for folder in (self.home, self.workspace):
            folder.mkdir()
        self._options = options
        self._env = env
        self._port = "0"
        self.url = self.token = ""

    def seed(self, number: int, entries: Sequence[Entry]) -> str:
        """Put a session into the store; its id."""
        store = SessionStore(self.state)
        created = store.create(session_id(number), project=str(self.workspace), ts=TS, entries=entries)
        created.close()
        return session_id(number)

    @property
    def state(self) -> Path:
        """The directory of its sessions and its token."""
        return self.home / ".local/state/kata"

    def start(self) -> None:
        """Serve; a second time on the same port."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", **self._env}
        argv = [str(PROGRAM), "serve", "--json", "--port", self._port, *self._options]
        self._process = subprocess.Popen(argv, env=env, cwd=self.workspace, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.url = told["url"]
        self._port = self.url.rpartition(":")[2]
        self.token = Path(told["token_file"]).read_text().strip()

    def stop(self) -> None:
        """Stop as an administrator would."""
        self._process.terminate()
        with self._process:
            self._process.wait(END_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def mock_service(root: Path, tokens_per_s: float) -> Serving:
    """A service in mock mode whose answers come at this pace."""
    scenario = root / "scenario.toml"
    scenario.write_text(f"latency_ms = 50\ntokens_per_s = {tokens_per_s}\n")
    return Serving(root, "--mode", "mock", "--scenario", str(scenario))
