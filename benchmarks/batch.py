"""P-10: a batch of many lines against a mock provider that answers after 50 ms.

    python benchmarks/batch.py [--lines 10000] [--jobs 200]

The ideal is `jobs` lines every 50 ms. A short batch beside the long one tells the start-up, which is taken
off both, and the peak of memory after its lines, from which the growth is reckoned. The rows with a bare
script tell what the ideal leaves out: every line is a run with a directory, a journal and a session of its
own, and the script does nothing but make these files, with the same syncs and from as many threads.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from table import Row, Sample, fresh_env, installed_kata, process, show

LATENCY_S = 0.05
FEW = 100
THREADS = 8
BARE_LINES = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "scenario.toml").write_text(f"latency_ms = {LATENCY_S * 1e3:g}\n")
        few, many = (run_batch(home, count, options.jobs) for count in (FEW, options.lines))
        lines = options.lines - FEW
        ideal_ms = lines / options.jobs * LATENCY_S * 1e3
        took_ms = (many.wall_s - few.wall_s) * 1e3
        bare = bare_lines(home)
        show(
            [
                Row(f"{lines} lines, {options.jobs} at once / ideal, wall ms", ideal_ms, took_ms, 1 / 0.7),
                Row("the bare script / ideal, wall ms", ideal_ms, bare.wall_s * lines * 1e3),
                Row(f"{lines} lines / the bare script, wall ms", bare.wall_s * lines * 1e3, took_ms),
                Row(
                    "a line / one of the bare script, CPU ms",
                    bare.cpu_s * 1e3,
                    (many.cpu_s - few.cpu_s) / lines * 1e3,
                ),
                Row(f"peak MB of {options.lines} / {FEW} lines", few.rss_mb, many.rss_mb, 50, True),
            ]
        )


def run_batch(home: Path, count: int, jobs: int) -> Sample:
    """A whole batch in a store of its own. Raises `RuntimeError` when a line fails."""
    asked = ({"id": f"l{number}", "goal": f"Why is part {number} slow?"} for number in range(count))
    (home / f"{count}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    argv = [*installed_kata(), "batch", f"{count}.jsonl", "--mode", "mock", "-w", "ask", "--no-context", "-q"]
    argv += ["--scenario", "scenario.toml", "-j", str(jobs), "--home", str(home / f"state{count}")]
    return process(argv, fresh_env(home), home)


class Bare(msgspec.Struct, frozen=True):
    """What a line costs when nothing but its files is made."""

    wall_s: float
    cpu_s: float


def bare_lines(home: Path) -> Bare:
    """Make the files of `BARE_LINES` lines from `THREADS` threads."""
    store = home / "bare"
    for name in ("runs", "sessions"):
        (store / name).mkdir(parents=True)
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        for made in [pool.submit(make_line, store, f"s{number}") for number in range(BARE_LINES)]:
            made.result()
    return Bare(
        (time.perf_counter() - started_s) / BARE_LINES, (time.process_time() - started_cpu_s) / BARE_LINES
    )


def make_line(store: Path, name: str) -> None:
    """The files of one line, in the order and with the syncs of a run of workflow `ask`."""
    run, session = f"{store}/runs/{name}", f"{store}/sessions/{name}"
    os.mkdir(run)
    sync(f"{store}/runs")
    owner, journal = opened(f"{run}/owner", 40), opened(f"{run}/events.jsonl", 0)
    sync(run)
    session_owner = opened(f"{session}.owner", 40)
    write(f"{session}.jsonl", 300, is_durable=True)
    sync(f"{store}/sessions")
    os.write(journal, bytes(3_000))
    for size in (1_000, 500):
        os.write(journal, bytes(size))
        os.fdatasync(journal)
    os.mkdir(f"{run}/tasks")
    for file, size in (("tasks/answer.md", 300), ("exchanges.jsonl", 1_000), ("run.json", 2_500)):
        write(f"{run}/{file}", size)
    for path in (f"{run}/owner", f"{session}.owner"):
        os.unlink(path)
    for fd in (owner, journal, session_owner):
        os.close(fd)


def write(path: str, size: int, *, is_durable: bool = False) -> None:
    """A file that is there whole or not at all."""
    fd = opened(f"{path}.tmp", size)
    if is_durable:
        os.fsync(fd)
    os.close(fd)
    os.rename(f"{path}.tmp", path)


def opened(path: str, size: int) -> int:
    """A new file with so many bytes."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, bytes(size))
    return fd


def sync(directory: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


if __name__ == "__main__":
    main()
