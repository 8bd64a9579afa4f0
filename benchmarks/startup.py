"""P-1: how long the commands take that wait for nobody, against the interpreter and its CLI framework.

    python benchmarks/startup.py [--rounds 15]

Floors: F0 is `python -c pass`, F1 is `python -c "import typer"`. Medians in ms of whole processes, taken in
turns. The script that pip 23 and older write for `kata` imports `re`, which alone is more than half of F0:
so `--version` is measured through a script as newer installers write it too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from table import Row, Sample, fresh_env, installed_kata, interleaved, process, show

FILES = 200
FUNCTIONS = 30
PLAIN_SCRIPT = "import sys\nfrom kata_cli.__main__ import main\nsys.exit(main())\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree, script = Path(folder, "tree"), Path(folder, "kata")
        make_tree(tree)
        script.write_text(PLAIN_SCRIPT)
        show(rows(interleaved(commands(tree, script, Path(folder, "home")), options.rounds)))


def make_tree(root: Path) -> None:
    """A repository of 200 modules, none of them committed."""
    for number in range(FILES):
        path = root / f"pkg{number % 10}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        functions = (
            f"def retry_{number}_{part}(request, limit):\n    return request.send(limit + {part})\n\n\n"
            for part in range(FUNCTIONS)
        )
        path.write_text(f'"""Requests of part {number}."""\n\n\n' + "".join(functions))
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "--all"], check=True)


def commands(tree: Path, script: Path, home: Path) -> dict[str, Callable[[], Sample]]:
    kata, python = installed_kata(), sys.executable
    argvs = {
        "F0": [python, "-c", "pass"],
        "F1": [python, "-c", "import typer"],
        "version": [*kata, "--version"],
        "version, plain script": [python, str(script), "--version"],
        "help": [*kata, "--help"],
        "sessions": [*kata, "sessions", "list"],
        "mock": [*kata, "run", "--mode", "mock", "--quiet", "retry a request that timed out"],
    }
    return {name: partial(process, argv, fresh_env(home), tree) for name, argv in argvs.items()}


def rows(taken: dict[str, Sample]) -> list[Row]:
    f0, f1 = taken["F0"], taken["F1"]
    compared = [
        ("kata --version / F0", f0, taken["version"], 1.5),
        ("kata --version, script of a newer installer / F0", f0, taken["version, plain script"], 1.5),
        ("kata --help / F1", f1, taken["help"], 1.5),
        ("kata sessions list / F1", f1, taken["sessions"], 2.5),
        (f"kata run --mode mock, {FILES} files / F1", f1, taken["mock"], 4.0),
    ]
    wall = [Row(f"{name}, wall ms", a.wall_s * 1e3, b.wall_s * 1e3, goal) for name, a, b, goal in compared]
    cpu = [Row(f"{name}, CPU ms", a.cpu_s * 1e3, b.cpu_s * 1e3) for name, a, b, _ in compared]
    return wall + cpu


if __name__ == "__main__":
    main()
