"""The fake Pi as a test sees it: an executable on disk, a provider over it, and what it saw."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shlex
import sys
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.core.events import Event
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi.options import LiveOptions, PiOptions
from kata_cli.providers.pi import PiProvider
from kata_cli.providers.pi_live import LivePiProvider
from servers.adapters import listen

PROGRAM = Path(__file__).with_name("pi")
REQUEST = Request(task="look", model=ModelRef("fake", "m"), messages=(Message("user", "Say hello."),))


def asking(**changes: Any) -> Request:
    """The usual request with some of its fields changed."""
    return msgspec.structs.replace(REQUEST, **changes)


class FakePi:
    """One way to misbehave, as an executable of its own below `place`."""

    def __init__(self, place: Path, **fake: Any) -> None:
        self.workspace = place / "workspace"
        self.workspace.mkdir(exist_ok=True)
        self.binary = place / "pi"
        self._log = place / "log.jsonl"
        script = json.dumps({"log": str(self._log), **fake})
        words = [sys.executable, "-I", "-S", str(PROGRAM), "--fake", script]
        self.binary.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        self.binary.chmod(0o755)

    def options(self, **changes: Any) -> PiOptions:
        """Options that run this binary in its workspace."""
        settings = {"cwd": self.workspace, "environ": dict(os.environ), "binary": str(self.binary), **changes}
        return PiOptions(**settings)

    def provider(self, timeouts: Timeouts | None = None, **changes: Any) -> PiProvider:
        """A provider over this binary."""
        return PiProvider(self.options(**changes), timeouts or Timeouts())

    def live(self, *, max_instances: int = 4, **changes: Any) -> LivePiProvider:
        """A live provider over this binary, whose agents work in the workspace."""
        live = LiveOptions(directory_of=lambda task: self.workspace, max_instances=max_instances)
        return LivePiProvider(self.options(**changes), Timeouts(), live)

    def answers(self, *requests: Request, **changes: Any) -> list[list[Event]]:
        """The events of requests, one after the other, of one provider; afterwards nothing is left."""

        async def main() -> list[list[Event]]:
            provider = self.provider(**changes)
            try:
                return [await listen(provider, request) for request in requests or (REQUEST,)]
            finally:
                await provider.aclose()
                assert asyncio.all_tasks() == {asyncio.current_task()}

        found = asyncio.run(main())
        assert self.is_gone()
        return found

    def logged(self, key: str) -> list[Any]:
        """What the processes noted under a key: `pid`, `argv`, `line`, `eof`, `grandchild`."""
        text = self._log.read_text() if self._log.exists() else ""
        return [entry[key] for entry in map(json.loads, text.split("\n")[:-1]) if key in entry]

    def prompts(self) -> list[str]:
        """The texts of all prompts that came, in order."""
        return [line["message"] for line in self.logged("line") if line["type"] == "prompt"]

    def commands(self) -> list[str]:
        """The types of all commands that came, in order."""
        return [line["type"] for line in self.logged("line")]

    def is_gone(self) -> bool:
        """Whether no process of this binary is left, grandchildren included; a killed one takes a moment."""
        return all(map(has_ended, [*self.logged("pid"), *self.logged("grandchild")]))


def has_ended(pid: int, within_s: float = 0.5) -> bool:
    """Whether a process is gone, or goes soon."""
    if not is_running(pid):
        return True
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], within_s)[0])
    finally:
        os.close(pidfd)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
