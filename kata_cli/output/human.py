"""The live display on a terminal: one row per task, drawn on stderr. The only place that imports rich."""

from __future__ import annotations

from typing import IO, Any, cast

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kata_cli.core.events import (
    AttemptFailed,
    ContentDelta,
    ContextGathered,
    Recorded,
    RunFinished,
    TaskFinished,
    TaskStarted,
)
from kata_cli.core.messages import estimate_tokens
from kata_cli.core.records import RunRecord, TaskRecord
from kata_cli.core.text import one_line
from kata_cli.output import lines
from kata_cli.output.console import Writer
from kata_cli.output.figures import count, seconds
from kata_cli.output.screen import Quiet

STYLES = {
    "completed": "green",
    "failed": "bold red",
    "skipped": "yellow",
    "running": "cyan",
    "delegated": "cyan",
    "delegating": "cyan",
    "queued": "dim",
}
RUNNING = ("delegating", "delegated", "running")
MARKS = {"completed": "✓", "failed": "✗", "skipped": "–", "queued": "·"}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MAX_ROWS = 20


class _Stream:
    """A text file for rich that ends in our writer thread."""

    encoding = "utf-8"

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def write(self, text: str) -> int:
        self._writer.write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """The writer thread flushes by itself."""

    def isatty(self) -> bool:
        return True


class LiveScreen(Quiet):
    """State, seconds and tokens of every task, redrawn on each tick."""

    def __init__(self, writer: Writer, *, has_colour: bool, is_verbose: bool = False) -> None:
        super().__init__(writer)
        self._console = Console(
            file=cast(IO[str], _Stream(writer)),
            force_terminal=True,
            no_color=not has_colour,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._is_verbose = is_verbose
        self._is_paused = False
        self._record: RunRecord | None = None
        self._now_s = 0.0
        self._started_s: dict[str, float] = {}
        self._seen_tokens: dict[str, int] = {}

    def show(self, batch: list[Recorded], record: RunRecord) -> None:
        self._record = record
        for recorded in batch:
            self._note(recorded, record)

    def tick(self, record: RunRecord, now_s: float) -> None:
        self._record, self._now_s = record, now_s
        if not self._is_paused and record.tasks:
            if not self._live.is_started:
                self._live.start()
            self._live.update(self._table(record), refresh=True)

    def say(self, line: str) -> None:
        if self._live.is_started and not self._is_paused:
            self._console.print(Text(line), soft_wrap=True)
        else:
            super().say(line)

    def pause(self) -> None:
        if self._is_paused:
            return
        if self._record is not None and self._record.tasks:
            self.tick(self._record, self._now_s)
            # Rows that still run would stand there for ever; what comes next shows that they ended.
            self._live.transient = any(task.status in RUNNING for task in self._record.tasks)
        self._is_paused = True
        self._live.stop()

    def _note(self, recorded: Recorded, record: RunRecord) -> None:
        match recorded.event:
            case ContextGathered() as event:
                self.say(lines.header(record))
                for line in event.diagnostics if self._is_verbose else []:
                    self.say(one_line(f"context: {line}", lines.WIDTH))
            case TaskStarted(task=name):
                self._started_s[name] = self._now_s
            case ContentDelta(task=name, text=text):
                self._seen_tokens[name] = self._seen_tokens.get(name, 0) + estimate_tokens(text)
            case AttemptFailed() as failed:
                self.say(lines.attempt_line(failed))
            case TaskFinished(failure=failure, task=name) if failure is not None:
                self.say(lines.task_line(record.task(name)))
            case RunFinished() as finished:
                for line in lines.warning_lines(finished):
                    self.say(line)

    def _table(self, record: RunRecord) -> Table:
        table = Table.grid(padding=(0, 2))
        rows = [task for task in record.tasks if task.status != "queued" or len(record.tasks) <= MAX_ROWS]
        for task in rows[-MAX_ROWS:]:
            table.add_row(*self._row(task))
        if len(rows) > MAX_ROWS or len(rows) < len(record.tasks):
            done = sum(task.status in ("completed", "failed", "skipped") for task in record.tasks)
            table.add_row("", Text(f"{done} of {len(record.tasks)} tasks done", style="dim"), "", "", "")
        return table

    def _row(self, task: TaskRecord) -> list[Any]:
        style = STYLES[task.status]
        spinner = SPINNER[int(self._now_s * 8) % len(SPINNER)]
        mark = MARKS.get(task.status, spinner)
        duration_s = task.duration_s
        if duration_s is None and task.id in self._started_s:
            duration_s = self._now_s - self._started_s[task.id]
        tokens = task.usage.total or self._seen_tokens.get(task.id, 0)
        return [
            Text(mark, style=style),
            Text(task.id),
            Text(task.status, style=style),
            Text(seconds(duration_s) if duration_s is not None else "", style="dim"),
            Text(f"{count(tokens)} tokens" if tokens else "", style="dim"),
        ]
