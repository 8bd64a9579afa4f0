"""P-7 and P-8: what kata's client adds to a real Pi, against a bare script on the same `pi --mode rpc`.

    python benchmarks/pi.py [--rounds 3] [--prompts 20] [--version 0.87.1]

It takes the Pi that `scripts/pi` installs, and a model on loopback that answers at once. P-7 is the time from
nothing to eight agents that have answered, at once or as the pool starts them. P-8 is one prompt to an agent
that is idle, from the request to the last event, and what a kB of a long answer costs the client, whatever
Pi itself makes of it; the least of some prompts counts. Last, eight agents that wait at once for a vendor of
500 ms. All other figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from loopback import vendor
from table import Row, show

from kata_cli.core.events import ReplyFinished
from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi import home as homes
from kata_cli.pi.binary import version_of
from kata_cli.pi.options import PiOptions, Purpose
from kata_cli.pi.pool import Pool
from kata_cli.pi.start import argv, start
from kata_cli.providers.pi import PiProvider

CACHE = Path(os.environ.get("KATA_PI_CACHE") or Path(__file__).parents[1] / ".cache" / "pi")
ENDS = {"0.74.2": "agent_end", "0.87.1": "agent_settled"}  # the last event of a run
AGENTS = 8
TOKEN_BYTES = 1_000
SIZES_KB = (1, 10, 100)
DELAY_S = 0.5
PATIENCE_S = 60.0
# Longer than eight new sessions take, so that every prompt meets an agent that is idle.
PAUSE_S = 0.3
LINE_BYTES = 16 * 2**20

PROMPT = "go"

Pick = Callable[[Iterable[float]], float]
Pair = tuple[float, float]  # of the bare script, and of kata


class Taken(NamedTuple):
    """Milliseconds on the clock, and of this process, which is the client in both cases."""

    wall_ms: Pair
    cpu_ms: Pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="starts of eight agents")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--version", choices=ENDS, help="only this one")
    options = parser.parse_args()
    wanted = [options.version] if options.version else list(ENDS)
    found = [version for version in wanted if (CACHE / version / "pi").exists()]
    if not found:
        print("there is no Pi to measure; scripts/pi installs it")
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        vendors = {f"{size}kb": vendor(tokens=size, token_bytes=TOKEN_BYTES) for size in SIZES_KB}
        vendors["late"] = vendor(delay_s=DELAY_S)
        urls = {name: stack.enter_context(serving) for name, serving in vendors.items()}
        measured = []
        for version in found:
            place = prepared(Path(folder, version), version, urls)
            measured += asyncio.run(rows(version, place, options.rounds, options.prompts))
        show(measured)


def prepared(root: Path, version: str, urls: dict[str, str]) -> PiOptions:
    """A project, and an agent directory in which every vendor is a provider with one model."""
    project, agent_dir = root / "project", root / "agent"
    for folder in (project, agent_dir):
        folder.mkdir(parents=True)
    providers = {
        name: {
            "baseUrl": f"{url}/v1",
            "api": "openai-completions",
            "apiKey": "none",
            "models": [{"id": "m", "contextWindow": 10**7, "maxTokens": 10**6}],
        }
        for name, url in urls.items()
    }
    (agent_dir / "models.json").write_bytes(msgspec.json.encode({"providers": providers}))
    return PiOptions(
        cwd=project,
        environ={"PATH": os.environ["PATH"], "HOME": str(root)},
        binary=str(CACHE / version / "pi"),
        agent_dir=agent_dir,
        max_instances=AGENTS,
        start_s=PATIENCE_S,
        command_s=PATIENCE_S,
    )


async def rows(version: str, options: PiOptions, rounds: int, prompts: int) -> list[Row]:
    """All comparisons of one version."""
    ready = await in_turns(
        rounds, statistics.median, lambda: bare_ready_ms(options), lambda: kata_ready_ms(options)
    )
    warmed = {size: await warm(options, f"{size}kb", version, prompts) for size in SIZES_KB}
    live = await at_once(options, version, rounds)
    return [
        Row(f"{version}: {AGENTS} agents ready / bare script, ms", *ready.wall_ms, 1.15),
        Row(
            f"{version}: a warm prompt / bare client, ms",
            *warmed[SIZES_KB[0]].wall_ms,
            3.0,
            is_difference=True,
        ),
        Row(f"{version}: bare client, 100 kB / 10 kB, CPU us per kB", *per_kb(warmed, 0)),
        Row(f"{version}: kata, 100 kB / 10 kB, CPU us per kB", *per_kb(warmed, 1), 2.0),
        Row(f"{version}: {AGENTS} live agents at once / bare, ms", *live.wall_ms),
    ]


def per_kb(warmed: dict[int, Taken], which: int) -> Pair:
    """What a kB costs the client in a middling and in a long answer, in microseconds of CPU."""
    _, *longer = SIZES_KB
    middling, long = (warmed[size].cpu_ms[which] * 1e3 / size for size in longer)
    return middling, long


async def in_turns(rounds: int, pick: Pick, *measures: Callable[[], Awaitable[float]]) -> Taken:
    """Two measures of agents that are idle, taken in turns after one turn that is not counted."""
    taken: list[list[tuple[float, float]]] = [[] for _ in measures]
    for _ in range(rounds + 1):
        for measure, samples in zip(measures, taken, strict=True):
            await asyncio.sleep(PAUSE_S)
            started_s = time.process_time()
            wall_ms = await measure()
            samples.append((wall_ms, (time.process_time() - started_s) * 1e3))
    bare, kata = ([pick(figures) for figures in zip(*samples[1:], strict=True)] for samples in taken)
    return Taken((bare[0], kata[0]), (bare[1], kata[1]))


async def bare_ready_ms(options: PiOptions) -> float:
    """Eight processes, all started at once."""
    started_s = time.perf_counter()
    all_of_them = await asyncio.gather(*(Bare.start(options) for _ in range(AGENTS)))
    took_ms = passed_ms(started_s)
    await asyncio.gather(*(bare.stop() for bare in all_of_them))
    return took_ms


async def kata_ready_ms(options: PiOptions) -> float:
    """Eight agents of a pool, the version asked once beside them, as `PiProvider` does it."""
    started_s = time.perf_counter()
    binary = Path(options.binary)
    version = asyncio.create_task(version_of(binary, homes.environment(options), PATIENCE_S))
    pool = Pool(lambda purpose: start(binary, version, purpose, options), AGENTS)
    await asyncio.gather(*(pool.acquire(Purpose("")) for _ in range(AGENTS)))
    took_ms = passed_ms(started_s)
    await pool.aclose()
    return took_ms


async def warm(options: PiOptions, provider: str, version: str, prompts: int) -> Taken:
    """One prompt to an agent that waits for it."""
    bare = await Bare.start(options, "--provider", provider, "--model", "m")
    kata = PiProvider(options, Timeouts())
    try:
        return await in_turns(
            prompts, min, lambda: bare.answered_ms(version), lambda: answered_ms(kata, provider)
        )
    finally:
        await asyncio.gather(kata.aclose(), bare.stop())


async def at_once(options: PiOptions, version: str, rounds: int) -> Taken:
    """Eight prompts to eight agents, whose vendor takes its time for each."""
    starts = (Bare.start(options, "--provider", "late", "--model", "m") for _ in range(AGENTS))
    bares = await asyncio.gather(*starts)
    kata = PiProvider(options, Timeouts())

    async def all_of(asked: list[Awaitable[float]]) -> float:
        return max(await asyncio.gather(*asked))

    try:
        return await in_turns(
            rounds,
            statistics.median,
            lambda: all_of([bare.answered_ms(version) for bare in bares]),
            lambda: all_of([answered_ms(kata, "late") for _ in range(AGENTS)]),
        )
    finally:
        await asyncio.gather(kata.aclose(), *(bare.stop() for bare in bares))


async def answered_ms(kata: PiProvider, provider: str) -> float:
    """One request through kata's client. Raises `RuntimeError` when it is not answered."""
    model = ModelRef(provider, "m")
    request = Request(task="bench", model=model, messages=(Message("user", PROMPT),))
    started_s = time.perf_counter()
    events = [event async for event in kata.stream(request)]
    took_ms = passed_ms(started_s)
    if isinstance(events[-1], ReplyFinished):
        return took_ms
    raise RuntimeError(f"no answer: {events[-1]}")


def passed_ms(started_s: float) -> float:
    return (time.perf_counter() - started_s) * 1e3


class Bare:
    """A process of Pi and the least that a client of it can do: whole lines, no limits, no checks."""

    def __init__(self, options: PiOptions, process: asyncio.subprocess.Process, home: Path) -> None:
        self._options = options
        self._process = process
        self._home = home

    @classmethod
    async def start(cls, options: PiOptions, *args: str) -> Bare:
        """A process that has answered its first command."""
        home = homes.make(options.agent_dir)
        process = await asyncio.create_subprocess_exec(
            *argv(Path(options.binary), options, home),
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=options.cwd,
            env=homes.child_environment(options, {}, home),
            limit=LINE_BYTES,
        )
        bare = cls(options, process, home)
        await bare.ask("get_state", "response")
        return bare

    async def ask(self, command: str, last: str, **fields: Any) -> list[dict[str, Any]]:
        """Write a command; all records up to the first of a type."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode({"type": command, **fields}) + b"\n")
        seen = []
        async for line in self._process.stdout:
            seen.append(msgspec.json.decode(line))
            if seen[-1]["type"] == last:
                break
        return seen

    async def answered_ms(self, version: str) -> float:
        """One prompt, and then a new session, whose time is not counted."""
        started_s = time.perf_counter()
        await self.ask("prompt", ENDS[version], message=PROMPT)
        took_ms = passed_ms(started_s)
        await self.ask("new_session", "response")
        return took_ms

    async def stop(self) -> None:
        """Close stdin and wait."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        homes.remove(self._home)


if __name__ == "__main__":
    main()
