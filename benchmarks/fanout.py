"""P-4 and P-5: many independent tasks of 500 ms at once, and what the journal adds to them.

    python benchmarks/fanout.py [--rounds 2]

P-4 runs whole processes with `--jobs` equal to the number of tasks, against the mock provider and against a
vendor on loopback that answers after 500 ms. The time is that of the run's own journal, from `plan.created`
to the last `task.finished`, less what a run of one task takes beyond its 500 ms: the start-up, of which the
SDK's import is most. The floor is the 500 ms; and, for what a machine makes of it, a bare script that asks
as often at once through the same SDK. P-5 runs the same tasks inside this process, with the journal and with
one that drops every line, and takes the least of some rounds. All other figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

import msgspec
from loopback import vendor
from oneshot import provider
from table import Row, fresh_env, installed_kata, process, show

from kata_cli.app.recorder import Lines, Recorder
from kata_cli.core.clock import SystemClock, parse_stamp
from kata_cli.core.errors import Failure
from kata_cli.core.events import PlanCreated, TaskFinished
from kata_cli.core.messages import ModelRef
from kata_cli.core.ports import Credential, Endpoint, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.core.stop import Stop
from kata_cli.core.toml import read
from kata_cli.engine import run as engine
from kata_cli.engine.plan import Plan
from kata_cli.providers.mock import MockProvider
from kata_cli.providers.mock.scenario import Scenario
from kata_cli.providers.service import Policy, ProviderService
from kata_cli.store.journal import Journal, read_journal
from kata_cli.workflows.check import check

TASK_MS = 500
TASK_S = TASK_MS / 1000
FEW, MANY = 50, 1_000
JOURNAL_TURNS = 3
# The goal is a multiple of the 500 ms.
RUNS = (("mock", FEW, None), ("mock", MANY, 1.2), ("native", FEW, 1.3), ("native", MANY, 3.5))
API = "chat"

BARE = """
import asyncio, openai
async def ask(client):
    asked = [{{"role": "user", "content": "go"}}]
    chunks = await client.chat.completions.create(model="m", messages=asked, stream=True)
    return [chunk async for chunk in chunks]
async def main():
    async with openai.AsyncOpenAI(base_url={base!r} + "/v1", api_key="k", max_retries=0) as client:
        await asyncio.gather(*(ask(client) for _ in range({count})))
asyncio.run(main())
"""
RSS_MB = 160


class Figures(msgspec.Struct, frozen=True):
    """One run: from the plan to the last end of a task, its whole process, and its peak of memory."""

    run_ms: float
    whole_ms: float
    cpu_ms: float
    rss_mb: float


class Dropped:
    """A journal that keeps nothing."""

    def append(self, lines: list[bytes], *, is_durable: bool = True) -> None:
        """Drop the lines."""


class Counted(Journal):
    """A journal that counts its syncs."""

    syncs = 0

    def append(self, lines: list[bytes], *, is_durable: bool = True) -> None:
        self.syncs += is_durable
        super().append(lines, is_durable=is_durable)


class NoCredentials:
    """Mock mode looks for none."""

    def find(self, endpoint: Endpoint) -> Credential | Failure:
        return Failure(code="missing_auth", message="there is none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, vendor(delay_s=TASK_S) as base_url:
        home = Path(folder)
        write_inputs(home, base_url)
        rows = []
        for mode, count, goal in RUNS:
            pairs = [(run_once(home, mode, 1), run_once(home, mode, count)) for _ in range(options.rounds)]
            one, every = median([one for one, _ in pairs]), median([every for _, every in pairs])
            rows += run_rows(f"{mode}, {count} tasks", one, every, goal)
        spread_ms = every.run_ms - one.run_ms + TASK_MS
        rows.append(Row(f"native, {MANY} tasks / bare SDK, wall ms", bare_ms(home, base_url), spread_ms))
        show([*rows, *journal_rows(home, options.rounds)])


def write_inputs(home: Path, base_url: str) -> None:
    (home / "scenario.toml").write_text(f"latency_ms = {TASK_MS}\n")
    for count in (1, FEW, MANY):
        (home / f"fan{count}.toml").write_text(workflow(count))
    settings = home / ".config" / "kata" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(provider(API, base_url))


def workflow(count: int) -> str:
    """So many tasks that need nothing of each other."""
    head = 'schema = "kata.workflow/v1"\nname = "fan"\n[result]\ntask = "t0"\nkind = "text"\n'
    task = '[[tasks]]\nid = "t{}"\nrole = "answer"\nprompt = "{{{{goal}}}}"\n'
    return head + "".join(task.format(number) for number in range(count))


def run_rows(name: str, one: Figures, every: Figures, goal: float | None) -> list[Row]:
    """A run of many tasks against one of a single task, from which the start-up is known."""
    return [
        Row(f"{name} / {TASK_MS} ms, wall ms", TASK_MS, every.run_ms - one.run_ms + TASK_MS, goal),
        Row(f"{name}, whole process / one task, wall ms", one.whole_ms, every.whole_ms),
        Row(f"{name}, whole process / one task, CPU ms", one.cpu_ms, every.cpu_ms),
        Row(f"{name}, peak MB / {RSS_MB} MB", RSS_MB, every.rss_mb, 1.0),
    ]


def bare_ms(home: Path, base_url: str) -> float:
    """The same requests by a bare script, without its start-up."""
    one, every = (
        process([sys.executable, "-c", BARE.format(base=base_url, count=count)], fresh_env(home), home).wall_s
        for count in (1, MANY)
    )
    return (every - one) * 1e3 + TASK_MS


def median(runs: list[Figures]) -> Figures:
    names = Figures.__struct_fields__
    return Figures(*(statistics.median(getattr(run, name) for run in runs) for name in names))


def run_once(home: Path, mode: str, count: int) -> Figures:
    """A whole process, timed by its own journal. Raises `RuntimeError` when a task failed."""
    state = home / "state"
    argv = [*installed_kata(), "run", "-w", f"./fan{count}.toml", "-j", str(count), "--no-context", "-q"]
    choice = ["--mode", "mock", "--scenario", "scenario.toml"] if mode == "mock" else ["-m", f"{API}/m"]
    sample = process([*argv, *choice, "--home", str(state), "go"], fresh_env(home), home)
    recorded = read_journal(next(state.glob("runs/*/events.jsonl"))).recorded
    shutil.rmtree(state)
    started = next(parse_stamp(entry.ts) for entry in recorded if isinstance(entry.event, PlanCreated))
    ends = [entry for entry in recorded if isinstance(entry.event, TaskFinished)]
    if failed := [entry.event for entry in ends if getattr(entry.event, "status", "") != "completed"]:
        raise RuntimeError(f"{len(failed)} of {count} tasks did not complete: {failed[0]}")
    return Figures(
        (max(parse_stamp(entry.ts) for entry in ends) - started) * 1e3,
        sample.wall_s * 1e3,
        sample.cpu_s * 1e3,
        sample.rss_mb,
    )


def journal_rows(home: Path, rounds: int) -> list[Row]:
    """P-5, in turns. The least counts: a few per cent drown in what else the machine does."""
    dropped, kept, syncs = [], [], []
    planned = plan()
    for number in range(JOURNAL_TURNS * rounds):
        dropped.append(timed(planned, Dropped()))
        journal = Counted.create(home / f"{number}.jsonl")
        assert isinstance(journal, Counted)
        kept.append(timed(planned, journal))
        syncs.append(journal.syncs)
        journal.close()
    floor, figure = (min(taken) * 1e3 for taken in (dropped, kept))
    name = f"journal on, {MANY} tasks, {statistics.median(syncs):g} syncs / null sink"
    return [Row(f"{name}, ms", floor, figure, 1.03)]


def timed(planned: Plan, journal: Lines) -> float:
    started_s = time.perf_counter()
    asyncio.run(record_all(planned, journal))
    return time.perf_counter() - started_s


async def record_all(planned: Plan, journal: Lines) -> None:
    """The engine, the service, the mock and the recorder, as a run puts them together."""
    recorder = Recorder("bench", journal, Redactor(), SystemClock())
    async with aclosing(engine.run(planned, mock_service(), {}, stop=Stop())) as batches:
        async for batch in batches:
            recorder.take(batch)
    assert all(task.status == "completed" for task in recorder.record.tasks)


def plan() -> Plan:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(workflow(MANY))
        file.flush()
        flow = check(read(Path(file.name)))
    models = {task.id: ModelRef("mock", "mock-1") for task in flow.tasks}
    return Plan(workflow=flow, goal="go", models=models, jobs=MANY, runtime_mode="mock")


def mock_service() -> ProviderService:
    scenario = Scenario(latency_ms=TASK_MS)
    return ProviderService(
        policy=Policy(mode="mock", mode_source="flag", timeouts=Timeouts()),
        endpoints={},
        credentials=NoCredentials(),
        clock=SystemClock(),
        on_secret=lambda secret: None,
        connect=lambda endpoint, credential, timeouts: MockProvider(endpoint, credential, timeouts, scenario),
    )


if __name__ == "__main__":
    main()
