"""What a person sees on stderr while a run goes on: a plain log, or nothing. The live one is in `human`."""

from __future__ import annotations

from typing import Protocol

from kata_cli.core.events import (
    AttemptFailed,
    ContextGathered,
    Recorded,
    RunFinished,
    TaskFinished,
    TaskStarted,
)
from kata_cli.core.records import RunRecord
from kata_cli.core.text import one_line
from kata_cli.output import lines
from kata_cli.output.console import Writer

HEARTBEAT_S = 30.0


class Screen(Protocol):
    """Shows progress. `pause` gives the terminal over to result text, for good."""

    def show(self, batch: list[Recorded], record: RunRecord) -> None: ...

    def tick(self, record: RunRecord, now_s: float) -> None: ...

    def say(self, line: str) -> None: ...

    def pause(self) -> None: ...


class Quiet:
    """Shows nothing but what is said outright."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def show(self, batch: list[Recorded], record: RunRecord) -> None:
        """Show nothing."""

    def tick(self, record: RunRecord, now_s: float) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        self._writer.write(f"{line}\n".encode("utf-8", "backslashreplace"))

    def pause(self) -> None:
        """Nothing is on the terminal."""


class Log(Quiet):
    """One plain line per change and a heartbeat every 30 s; the form for pipes and CI."""

    def __init__(self, writer: Writer, *, is_verbose: bool = False) -> None:
        super().__init__(writer)
        self._is_verbose = is_verbose
        self._spoke_s: float | None = None

    def show(self, batch: list[Recorded], record: RunRecord) -> None:
        for recorded in batch:
            for line in self._lines(recorded, record):
                self.say(line)
                self._spoke_s = None

    def tick(self, record: RunRecord, now_s: float) -> None:
        if self._spoke_s is None:
            self._spoke_s = now_s
        if now_s - self._spoke_s >= HEARTBEAT_S:
            self._spoke_s = now_s
            line = lines.heartbeat(record)
            if line:
                self.say(line)

    def _lines(self, recorded: Recorded, record: RunRecord) -> list[str]:
        match recorded.event:
            case ContextGathered() as event:
                more = event.diagnostics if self._is_verbose else []
                return [lines.header(record), *(one_line(f"context: {line}", lines.WIDTH) for line in more)]
            case TaskStarted(task=name):
                return [f"{name} started"]
            case AttemptFailed() as event:
                return [lines.attempt_line(event)]
            case TaskFinished(task=name):
                return [lines.task_line(record.task(name))]
            case RunFinished() as finished:
                return lines.warning_lines(finished)
        return []
