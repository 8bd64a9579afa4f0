"""The progress of a batch on stderr: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import msgspec

from kata_cli.core.messages import Usage
from kata_cli.core.text import one_line
from kata_cli.output.console import Writer, columns
from kata_cli.output.figures import count, dollars, seconds
from kata_cli.output.lines import WIDTH
from kata_cli.output.screen import HEARTBEAT_S, Quiet

_CLEAR = b"\r\x1b[2K"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a batch is. `total` is None where nobody knows how many lines there are.

    `passed_on` of the `ended` lines cost no time, so they are not part of the rate.
    """

    ended: int
    failed: int
    running: int
    passed_on: int
    total: int | None
    elapsed_s: float
    usage: Usage


def progress_line(progress: Progress) -> str:
    """`38 of 100 lines · 3 failed · 8 running · 2.4/s · 26 s left · 23k tokens · $0.21`."""
    of = f" of {progress.total}" if progress.total is not None else ""
    parts = [f"{progress.ended}{of} lines"]
    parts += [f"{progress.failed} failed"] if progress.failed else []
    parts += [f"{progress.running} running"] if progress.running else []
    parts += _pace(progress)
    if progress.usage.total:
        parts.append(f"{count(progress.usage.total)} tokens")
    parts.append(dollars(progress.usage.cost_usd))
    return " · ".join(part for part in parts if part)


def _pace(progress: Progress) -> list[str]:
    own = progress.ended - progress.passed_on
    if not own or progress.elapsed_s <= 0:
        return []
    per_s = own / progress.elapsed_s
    told = f"{per_s:.1f}/s" if per_s >= 1 else f"{per_s * 60:.1f}/min"
    if progress.total is None or progress.total <= progress.ended:
        return [told]
    return [told, f"{seconds((progress.total - progress.ended) / per_s)} left"]


class Board(Quiet):
    """What a batch says on stderr; this one shows no progress."""

    def progress(self, progress: Progress, now_s: float) -> None:
        """Show nothing."""

    def note(self, line: str) -> None:
        """Something about a single line."""

    def close(self, progress: Progress) -> None:
        """Nothing is on the terminal."""


class LogBoard(Board):
    """Plain lines: each failed line, and a heartbeat every 30 s."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self._spoke_s: float | None = None

    def note(self, line: str) -> None:
        self.say(one_line(line, WIDTH))

    def progress(self, progress: Progress, now_s: float) -> None:
        if self._spoke_s is None:
            self._spoke_s = now_s
        if now_s - self._spoke_s >= HEARTBEAT_S:
            self._spoke_s = now_s
            self.say(progress_line(progress))

    def close(self, progress: Progress) -> None:
        self.say(f"{progress_line(progress)} · {seconds(progress.elapsed_s)}")


class LiveBoard(LogBoard):
    """One line that is drawn anew on each tick, below what is said about single lines."""

    def say(self, line: str) -> None:
        self._writer.write(_CLEAR)
        super().say(line)

    def progress(self, progress: Progress, now_s: float) -> None:
        line = progress_line(progress)[: columns(2) - 1]
        self._writer.write(_CLEAR + line.encode())
