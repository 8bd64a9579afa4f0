"""The tasks of a run as bars on one time axis, for a terminal."""

from __future__ import annotations

from itertools import zip_longest

from kata_cli.core.records import RunRecord, TaskRecord
from kata_cli.core.text import one_line
from kata_cli.output.figures import count, dollars, seconds
from kata_cli.output.spans import Span, last_second, spans

MIN_WIDTH, MAX_WIDTH = 40, 200
MIN_BAR, MAX_BAR = 8, 60
GAP = "  "
BARS = {"completed": "█", "failed": "▒"}
OPEN_BAR = "░"


def timeline(record: RunRecord, width: int) -> list[str]:
    """One row per task: name, bar, state, seconds, tokens, cost; below it why it failed or was skipped.

    `width` in columns, taken as 40 to 200; figures that find no room are left out from the right.
    """
    if not record.tasks:
        return []
    width = max(MIN_WIDTH, min(width, MAX_WIDTH))
    names = _column([one_line(task.id, max(8, width // 4)) for task in record.tasks])
    room = width - 2 * len(GAP) - len(names[0]) - MIN_BAR
    figures = _fitting(_figures(record.tasks), room)
    bar_width = min(MAX_BAR, MIN_BAR + room - len(figures[0]))
    total_s = last_second(record)
    told = [_axis(len(names[0]), bar_width, total_s)]
    for task, span, name, figure in zip(record.tasks, spans(record), names, figures, strict=True):
        told.append(f"{GAP}{name}{GAP}{_bar(task, span, total_s, bar_width)}{figure}".rstrip())
        told += _reasons(task, width)
    return told


def _axis(name_width: int, bar_width: int, total_s: float) -> str:
    end = seconds(total_s)
    return f"{'tasks':<{name_width + len(GAP)}}{GAP}0 s{end:>{bar_width - 3}}"


def _bar(task: TaskRecord, span: Span | None, total_s: float, width: int) -> str:
    """At least one cell for a task that was at work; one that took part of a cell fills it."""
    if span is None:
        return " " * width
    scale = width / total_s if total_s else 0.0
    start = min(int(span.start_s * scale), width - 1)
    end = max(start + 1, min(width, round(span.end_s * scale)))
    return " " * start + BARS.get(task.status, OPEN_BAR) * (end - start) + " " * (width - end)


def _figures(tasks: list[TaskRecord]) -> list[list[str]]:
    """The columns beside the bars, the most telling one first."""
    return [
        [task.status for task in tasks],
        [
            "" if task.duration_s is None or task.status == "skipped" else seconds(task.duration_s)
            for task in tasks
        ],
        [f"{count(task.usage.total)} tokens" if task.usage.total else "" for task in tasks],
        [dollars(task.usage.cost_usd) for task in tasks],
        [f"thinking {task.thinking}" if task.thinking else "" for task in tasks],
    ]


def _fitting(columns: list[list[str]], room: int) -> list[str]:
    """One text per row of as many columns as find room."""
    texts: list[str] = []
    for number, column in enumerate(columns):
        cells = _column(column, is_number=number > 0)
        if not any(column):
            continue
        wider = [f"{text}{GAP}{cell}" for text, cell in zip_longest(texts, cells, fillvalue="")]
        if len(wider[0]) > room:
            break
        texts = wider
    return texts


def _column(cells: list[str], *, is_number: bool = False) -> list[str]:
    width = max(map(len, cells))
    return [f"{cell:>{width}}" if is_number else f"{cell:<{width}}" for cell in cells]


def _reasons(task: TaskRecord, width: int) -> list[str]:
    if task.skipped_for:
        reason = f"skipped: {task.skipped_for} failed"
    elif task.error is not None:
        reason = f"{task.error.code}: {task.error.message}"
    else:
        return []
    return [f"{GAP * 2}{one_line(reason, 400)}"]
