"""P-9: what a store of 100,000 runs costs the commands about past work, against the same with ten.

    python benchmarks/sessions.py [--runs 100000] [--rounds 7]

Each run of the store is a copy of one real mock run with an id, a time, a goal, a word and a session of its
own; the files that need not differ are hard links. Medians in ms of whole processes, taken in turns.
`rebuild` is the first listing, the first search and the first look for a session after the index was
deleted, in seconds, with the goal in place of a floor.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
from table import Row, Sample, fresh_env, installed_kata, interleaved, process, show

from kata_cli.core.records import RunRecord
from kata_cli.core.session import RunEntry, SessionHeader
from kata_cli.store.session_file import encode_line

FEW = 10
RUN = ("run", "--mode", "mock", "--quiet", "--no-stdin", "--no-context", "-w", "quick")
REBUILD_GOAL_S = 60.0
MAX_LINKS = 10_000  # ext4 allows 65,000 to one file
START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        project.mkdir()
        stores = {count: Path(folder, str(count)) for count in (FEW, options.runs)}
        model = real_run(project, Path(folder, "home"))
        for count, state in stores.items():
            make_store(state, model, count)
        show(rebuild(project, stores[options.runs]) + compare(project, stores, options.rounds))


def real_run(project: Path, home: Path) -> Path:
    """The directory of a mock run with the specialists' answers."""
    argv = [*installed_kata(), "run", "--mode", "mock", "--quiet", "--no-stdin", "make save atomic"]
    subprocess.run(argv, env=fresh_env(home), cwd=project, check=True, stdout=subprocess.DEVNULL)
    return max((home / ".local/state/kata/runs").glob("[0-9]*"))


def make_store(state: Path, model: Path, count: int) -> None:
    """A state directory with `count` runs, a minute apart."""
    record = msgspec.json.decode((model / "run.json").read_bytes(), type=RunRecord)
    draft = (model / "spec.md").read_text()
    runs = state / "runs"
    runs.mkdir(parents=True)
    for number in range(count):
        if number % MAX_LINKS == 0:
            linked = state / f"model{number}"
            shutil.copytree(model, linked)
        moment = START + timedelta(minutes=number)
        path = runs / f"{moment:%Y%m%d-%H%M%S}-{number:06d}"
        path.mkdir(mode=0o700)
        (path / "tasks").mkdir(mode=0o700)
        for name in ("events.jsonl", "exchanges.jsonl", *tasks_of(linked)):
            os.link(linked / name, path / name)
        (path / "spec.md").write_text(f"{draft}\nnumber{number}\n")
        (path / "run.json").write_bytes(msgspec.json.encode(copied(record, path.name, moment)))
        add_session(state, f"name{number}", record.project, path.name)


def add_session(state: Path, name: str, project: str, run_id: str) -> None:
    at = f"{START:%Y-%m-%dT%H:%M:%S}.000Z"
    header = SessionHeader(id=f"s-{run_id}", ts=at, name=name, project=project)
    lines = [encode_line(header), encode_line(RunEntry(id="e1", run_id=run_id, ts=at))]
    folder = state / "sessions"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / f"s-{run_id}.jsonl").write_bytes(b"".join(lines))


def tasks_of(run: Path) -> list[str]:
    return [f"tasks/{entry.name}" for entry in (run / "tasks").iterdir()]


def copied(record: RunRecord, run_id: str, moment: datetime) -> RunRecord:
    at = f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
    return msgspec.structs.replace(
        record, run_id=run_id, session_id=f"s-{run_id}", goal=f"goal {run_id}", created_at=at, updated_at=at
    )


def rebuild(project: Path, state: Path) -> list[Row]:
    """What the first listing and the first search take, and both together."""
    listing = kata(project, state, "sessions", "list")
    searching = kata(project, state, "sessions", "search", "number7")
    finding = kata(project, state, "sessions", "tree", "name7")
    figures = {
        "rebuild by the first listing, wall s": listing.wall_s,
        "rebuild by the first search after it, wall s": searching.wall_s,
        "rebuild by the first look for a session, wall s": finding.wall_s,
        "rebuild, all three, wall s": listing.wall_s + searching.wall_s + finding.wall_s,
        "rebuild, all three, CPU s": listing.cpu_s + searching.cpu_s + finding.cpu_s,
    }
    return [Row(what, REBUILD_GOAL_S, figure, 1.0) for what, figure in figures.items()]


def compare(project: Path, stores: dict[int, Path], rounds: int) -> list[Row]:
    few, many = stores
    commands = {
        "sessions list": ("sessions", "list"),
        "sessions list --status failed": ("sessions", "list", "--status", "failed"),
        "sessions list --all --offset (half)": ("sessions", "list", "--all", "--offset", "half"),
        "sessions list --session": ("sessions", "list", "--session", "name7"),
        "sessions show last": ("sessions", "show", "last"),
        "sessions show (end of an id)": ("sessions", "show", "000007"),
        "sessions search (a word of one run)": ("sessions", "search", "number7"),
        "sessions search (a word of all runs)": ("sessions", "search", "atomic"),
        "sessions tree": ("sessions", "tree", "name7"),
        "sessions export": ("sessions", "export", "last"),
        "run --session": (*RUN, "--session", "name7", "x"),
        "run -c": (*RUN, "-c", "x"),
    }
    taken = interleaved(
        {
            f"{name} {count}": partial(
                kata, project, state, *(str(count // 2) if part == "half" else part for part in argv)
            )
            for name, argv in commands.items()
            for count, state in stores.items()
        },
        rounds,
    )
    return [
        row(name, taken[f"{name} {few}"], taken[f"{name} {many}"], unit)
        for name in commands
        for unit in UNITS
    ]


UNITS: dict[str, Callable[[Sample], float]] = {
    "wall ms": lambda sample: sample.wall_s * 1e3,
    "CPU ms": lambda sample: sample.cpu_s * 1e3,
}


def row(name: str, few: Sample, many: Sample, unit: str) -> Row:
    figure = UNITS[unit]
    return Row(f"{name}, {unit}", figure(few), figure(many), 1.3 if unit == "wall ms" else None)


def kata(project: Path, state: Path, *arguments: str) -> Sample:
    argv = [*installed_kata(), *arguments, "--home", str(state)]
    return process(argv, fresh_env(state), project)


if __name__ == "__main__":
    main()
