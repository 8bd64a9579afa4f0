"""P-6: the context of a large tree, cold and warm, against git over the same tree in the same run.

    python benchmarks/context.py [--files 50000] [--rounds 3]

Times are medians; CPU is that of the process and its children, for a machine where others are at work too.
Cold: no index; warm: a different goal, and 10 files changed since. The tree is made of words with Zipf
frequencies, about 6 kB a file.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kata_cli.context.gather import gather
from kata_cli.context.query import ContextQuery

COLD_GOAL = "repair kentolin and mildexra when the sorvaken is empty"
WARM_GOAL = "let panrake refuse a tokenvor without gridexmo"
SYLLABLES = "ra ken to mil sor ba dex lin pa que vor stan gri mo fle tu va ke".split()  # noqa: SIM905
CHANGED_FILES = 10


class Taken(NamedTuple):
    """What one action takes."""

    wall_s: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "tree")
        make_tree(root, options.files)
        measure(root, Path(folder, "cache"), options.rounds)


def make_tree(root: Path, count: int) -> None:
    """A committed repository of so many files, the same on every machine."""
    chance = random.Random(7)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(20_000)]
    words[3_000:3_006] = ["kentolin", "mildexra", "sorvaken", "panrake", "tokenvor", "gridexmo"]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    lines = [" ".join(chance.choices(words, weights, k=chance.randint(4, 9))) for _ in range(20_000)]
    for number in range(count):
        path = (
            root
            / f"pkg{number % 50:02d}"
            / f"mod{number // 50 % 40:02d}"
            / f"{words[number % 20_000]}_{number}.py"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(chance.choices(lines, k=int(chance.lognormvariate(4.2, 0.8)))) + "\n")
    git(root, "init", "--quiet")
    git(root, "config", "gc.auto", "0")  # a collection in the background would take part in the race
    git(root, "add", "--all")
    git(root, "-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "--quiet", "-m", "tree")


def measure(root: Path, cache: Path, rounds: int) -> None:
    """Print one line per goal: floor, figure, ratio."""
    plain = words_of(COLD_GOAL)[:1]
    grep = median(lambda: git(root, "grep", "-c", *plain), rounds)
    asked = [part for word in words_of(COLD_GOAL) for part in ("-e", word)]
    grep_goal = median(lambda: git(root, "grep", "-c", "-i", "-F", *asked), rounds)
    cold = median(lambda: ask(root, cache, COLD_GOAL), rounds, before=lambda: shutil.rmtree(cache, True))
    status = median(lambda: git(root, "status"), rounds)
    warm = median(lambda: ask(root, cache, WARM_GOAL), rounds, before=lambda: change(root))
    print(f"{'what':<42}{'floor s':>9}{'figure s':>10}{'ratio':>7}{'goal':>7}{'CPU ratio':>11}")
    line("cold / git grep -c WORD", grep, cold, 3)
    line("cold / git grep -c -i -e each goal word", grep_goal, cold, 3)
    line(f"warm, {CHANGED_FILES} files changed / git status", status, warm, 2)


def line(name: str, floor: Taken, figure: Taken, goal: float) -> None:
    ratios = f"{figure.wall_s / floor.wall_s:>7.1f}{'<= ' + str(goal):>7}{figure.cpu_s / floor.cpu_s:>11.1f}"
    print(f"{name:<42}{floor.wall_s:>9.2f}{figure.wall_s:>10.2f}{ratios}")


def words_of(goal: str) -> list[str]:
    return [word for word in goal.split() if len(word) > 6]


def ask(root: Path, cache: Path, goal: str) -> None:
    found = gather(ContextQuery(goal=goal, cwd=root, root=root, cache_dir=cache), lambda text: text)
    assert found.files
    assert not found.diagnostics


def change(root: Path) -> None:
    for path in sorted(root.glob("pkg00/mod00/*.py"))[:CHANGED_FILES]:
        path.write_text(path.read_text() + "changed\n")


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, stdout=subprocess.DEVNULL)


def median(action: Callable[[], None], rounds: int, before: Callable[[], None] = lambda: None) -> Taken:
    """The medians of some rounds, after one that is not counted."""
    taken = []
    for _ in range(rounds + 1):
        before()
        start = now()
        action()
        end = now()
        taken.append(Taken(end.wall_s - start.wall_s, end.cpu_s - start.cpu_s))
    walls, cpus = zip(*taken[1:], strict=True)
    return Taken(statistics.median(walls), statistics.median(cpus))


def now() -> Taken:
    return Taken(time.perf_counter(), sum(os.times()[:4]))


if __name__ == "__main__":
    main()
