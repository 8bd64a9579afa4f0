"""Requests to `PiProvider` with a real Pi behind it. As a program it asks one and waits for its answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kata_cli.core.events import Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi.options import PiOptions
from kata_cli.providers.pi import PiProvider
from pi_real.installed import TIMEOUT_S, Place
from servers.adapters import listen


def request(text: str = "What is the answer?", **changes: Any) -> Request:
    """A request to the model of the loopback vendor."""
    model = ModelRef("vendor", changes.pop("model", "served-1"))
    return Request(task="look", model=model, messages=(Message("user", text),), **changes)


def options(pi: Path, agent_dir: Path, project: Path, environ: dict[str, str], **changes: Any) -> PiOptions:
    """Options that use the login and the models of an agent directory."""
    return PiOptions(
        cwd=project,
        environ=environ,
        binary=str(pi),
        agent_dir=agent_dir,
        start_s=TIMEOUT_S,  # a loaded machine is no fault of Pi's
        command_s=TIMEOUT_S,
        **changes,
    )


@asynccontextmanager
async def provided(place: Place, **changes: Any) -> AsyncIterator[PiProvider]:
    """The provider of a place, closed at the end."""
    environ = changes.pop("environ", place.env)
    provider = PiProvider(options(place.pi, place.agent_dir, place.project, environ, **changes), Timeouts())
    try:
        yield provider
    finally:
        await provider.aclose()


def ask(place: Place, asked: Request | None = None, **changes: Any) -> list[Event]:
    """All events of one request."""

    async def main() -> list[Event]:
        async with provided(place, **changes) as provider:
            return await listen(provider, asked or request())

    return asyncio.run(main())


def answered(events: list[Event]) -> ReplyFinished:
    """The last event, which must be a reply."""
    assert isinstance(events[-1], ReplyFinished), events[-1]
    return events[-1]


def failed(events: list[Event]) -> ReplyFailed:
    """The last event, which must be a failure."""
    assert isinstance(events[-1], ReplyFailed), events[-1]
    return events[-1]


def children(parent: int) -> list[int]:
    """The processes that a process has started, as Linux tells them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold spaces; state and parent follow it.
            state, owner = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(owner) == parent and state != "Z":
            found.append(int(stat.parent.name))
    return found


def environment_of(pid: int) -> dict[str, str]:
    """The variables that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if entry)


async def main(pi: str, agent_dir: str, project: str) -> None:
    """Ask once."""
    import os

    provider = PiProvider(options(Path(pi), Path(agent_dir), Path(project), dict(os.environ)), Timeouts())
    await listen(provider, request())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
