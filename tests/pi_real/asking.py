"""Requests to `PiProvider` with a real Pi behind it. As a program it asks one and waits for its answer."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kata_cli.core.events import Event, ReplyFailed, ReplyFinished
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi.options import LiveOptions, PiOptions
from kata_cli.providers.pi import PiProvider
from kata_cli.providers.pi_live import LivePiProvider
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


def pids() -> list[int]:
    """All processes, as Linux tells them."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    return [pid for pid in pids() if _parent_of(pid) == parent]


def _parent_of(pid: int) -> int | None:
    """Who started a process; None for one that is gone, reaped or not."""
    try:
        # The name in parentheses may hold spaces; state and parent follow it.
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def command_of(pid: int) -> list[str]:
    """The words that a process was started with; none for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


def are_gone(pidfds: list[int], within_s: float = 0.5) -> bool:
    """Whether processes end soon; their descriptors are closed."""
    deadline_s = time.monotonic() + within_s
    waiting = set(pidfds)
    while waiting and (rest_s := deadline_s - time.monotonic()) > 0:
        waiting -= set(select.select(list(waiting), [], [], rest_s)[0])
    for pidfd in pidfds:
        os.close(pidfd)
    return not waiting


def asking_process(place: Place, tools: str = "read", kind: str = "single") -> dict[str, Any]:
    """How a process of its own is started that asks one request; a `live` one then rests, and says so."""
    paths = [str(path) for path in (place.pi, place.agent_dir, place.project)]
    root = Path(__file__).parents[2]
    environment = {**place.env, "PYTHONPATH": f"{root}:{root / 'tests'}"}
    return {"args": [sys.executable, "-m", "pi_real.asking", *paths, tools, kind], "env": environment}


def environment_of(pid: int) -> dict[str, str]:
    """The variables that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if entry)


async def main(pi: str, agent_dir: str, project: str, tools: str, kind: str) -> None:
    """Ask once; a live provider is then kept open until this process is killed."""
    place = (Path(pi), Path(agent_dir), Path(project), dict(os.environ))
    chosen = options(*place, tools=tuple(tools.split(",")))
    if kind == "single":
        await listen(PiProvider(chosen, Timeouts()), request())
        return
    live = LiveOptions(directory_of=lambda task: chosen.cwd, max_instances=1)
    provider = LivePiProvider(chosen, Timeouts(), live)
    answered(await listen(provider, request()))
    print("at rest", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
