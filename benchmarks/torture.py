"""Kills runs at random moments, resumes them, and counts what was lost, torn, asked twice or left behind.

    python benchmarks/torture.py [--kills 100] [--seed 20261121] [--seconds 3600]

About a second each; `--kills 1000` is what a release has to stand. Half of the signals are SIGKILL, the
others SIGINT and SIGTERM; a run may be ended more than once before it comes to its end. Every row but the
first two has to be zero; exit 1 when one is not.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.torture import Chain

TESTS = Path(__file__).parent.parent / "tests"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--seconds", type=float, default=3_600.0, help="end earlier, after this time")
    options = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    chains = _tortured(options.kills, random.Random(options.seed), time.monotonic() + options.seconds)
    broken = [line for chain in chains for line in chain.broken]
    _show(chains, broken)
    print("\n".join(broken[:20]))
    return 1 if broken else 0


def _tortured(kills: int, moments: random.Random, until_s: float) -> list[Chain]:
    from faults.torture import JOBS, arena, result_of, tortured

    chains: list[Chain] = []
    while sum(len(chain.ended) for chain in chains) < kills and time.monotonic() < until_s:
        with tempfile.TemporaryDirectory() as folder:  # a store of its own per round: looking stays cheap
            shell = arena(Path(folder))
            for job in JOBS:
                whole = result_of(shell, job)
                chains += [tortured(shell, job, whole, moments) for _ in range(5)]
    return chains


def _show(chains: list[Chain], broken: list[str]) -> None:
    ended = [stage for chain in chains for stage in chain.ended]
    kinds = Counter(line.partition(": ")[2].partition(" ")[0] for line in broken)
    rows = {
        "processes ended by a signal": len(ended),
        "of these resumed to the end": sum(len(chain.ended) for chain in chains if not chain.broken),
        "events lost after they were shown": sum("lost" in line for line in broken),
        "journals torn": sum("torn" in line for line in broken),
        "finished tasks asked again": kinds["asked"],
        "results that differ": sum("differs" in line for line in broken),
        "budgets passed": sum("budget" in line for line in broken),
        "chains that did not come to their end": sum("chain ended" in line for line in broken),
        "temporary files left": sum("was left" in line for line in broken),
    }
    for what, count in rows.items():
        print(f"{what:<44}{count:>7,}")


if __name__ == "__main__":
    sys.exit(main())
