"""Whole processes measured side by side, and the table that compares a figure with its floor."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one process took, from its start to its end.

    `first_byte_s` is when its stdout began, `rest_cpu_s` the CPU time it took from then on.
    """

    wall_s: float
    cpu_s: float
    rss_mb: float
    first_byte_s: float
    rest_cpu_s: float


class Row(msgspec.Struct, frozen=True):
    """One comparison: `figure` in the unit that `what` names, `goal` as a multiple of `floor`.

    With `is_difference` the goal bounds figure minus floor instead, and is in the unit of both.
    """

    what: str
    floor: float
    figure: float
    goal: float | None = None
    is_difference: bool = False


def installed_kata() -> list[str]:
    """The console script beside this interpreter, or the module where there is no script."""
    script = Path(sys.executable).with_name("kata")
    return [str(script)] if script.exists() else [sys.executable, "-m", "kata_cli"]


def fresh_env(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a person without settings or keys, with bytecode cached as in any installation."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **(extra or {})}


def process(argv: list[str], env: Mapping[str, str], cwd: Path) -> Sample:
    """Run a command to its end. Raises `RuntimeError` when it fails."""
    started_s = time.perf_counter()
    with subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        fd = child.stdout.fileno()
        has_output = bool(os.read(fd, 65_536))
        first_byte_s, first_cpu_s = time.perf_counter() - started_s, _cpu_s(child.pid)
        while has_output and os.read(fd, 65_536):
            pass
        told = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - started_s
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {child.returncode}: {told.decode()}")
    cpu_s = used.ru_utime + used.ru_stime
    return Sample(
        wall_s=wall_s,
        cpu_s=cpu_s,
        rss_mb=used.ru_maxrss / 1024,
        first_byte_s=first_byte_s,
        rest_cpu_s=cpu_s - first_cpu_s,
    )


def _cpu_s(pid: int) -> float:
    """CPU seconds of another process so far; Linux makes its clock's id from its number."""
    return time.clock_gettime((~pid << 3) | 2)


def interleaved(
    actions: Mapping[str, Callable[[], Sample]],
    rounds: int,
    pick: Callable[[list[float]], float] = statistics.median,
) -> dict[str, Sample]:
    """The medians of each action's samples, taken in turns after one turn that is not counted.

    `pick=min` where small differences count: what else the machine does only ever adds.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            samples[name].append(action())
    return {name: _picked(taken[1:], pick) for name, taken in samples.items()}


def _picked(samples: list[Sample], pick: Callable[[list[float]], float]) -> Sample:
    fields = Sample.__struct_fields__
    return Sample(**{name: pick([getattr(one, name) for one in samples]) for name in fields})


def show(rows: list[Row]) -> None:
    """Print the comparisons as a table."""
    print(f"{'what':<58}{'floor':>9}{'figure':>9}{'ratio':>8}  {'goal':<12}met")
    for row in rows:
        ratio = f"{row.figure / row.floor:.2f}" if row.floor else "-"
        print(f"{row.what:<58}{row.floor:>9.1f}{row.figure:>9.1f}{ratio:>8}  {_goal(row)}", flush=True)


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    if row.is_difference:
        return f"{f'<= +{row.goal:g}':<12}{_met(row.figure - row.floor <= row.goal)}"
    return f"{f'<= {row.goal:g} x':<12}{_met(row.figure <= row.goal * row.floor)}"


def _met(is_met: bool) -> str:
    return "yes" if is_met else "no"
