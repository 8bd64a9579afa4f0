"""P-10: a batch of many lines against a mock provider that answers after 50 ms.

    python benchmarks/batch.py [--lines 10000] [--jobs 200]

The ideal is `jobs` lines every 50 ms. A short batch beside the long one tells the start-up, which is taken
off both, and the peak of memory after its lines, from which the growth is reckoned. Every line is a run with
a journal, a session and about fourteen syncs: the second row is a bare script that writes and syncs as often
with as many threads, for what the disk alone would allow.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path

from table import Row, Sample, fresh_env, installed_kata, process, show

LATENCY_S = 0.05
FEW = 100
SYNCS = 14
THREADS = 32
SYNCED_LINES = 1_000


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
        synced_ms = syncs_s(home) / SYNCED_LINES * lines * 1e3
        show(
            [
                Row(f"{lines} lines, {options.jobs} at once / ideal, wall ms", ideal_ms, took_ms, 1 / 0.7),
                Row(f"{lines} lines / {SYNCS} bare syncs each, wall ms", synced_ms, took_ms),
                Row("CPU ms of a line", 0.0, (many.cpu_s - few.cpu_s) / lines * 1e3),
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


def syncs_s(home: Path) -> float:
    """Seconds in which the disk takes the syncs of `SYNCED_LINES` lines from as many threads."""

    def write(number: int) -> None:
        for turn in range(SYNCED_LINES * SYNCS // THREADS):
            fd = os.open(home / f"sync-{number}-{turn}", os.O_CREAT | os.O_WRONLY)
            os.write(fd, b"x" * 1_000)
            os.fsync(fd)
            os.close(fd)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
