"""The tasks of a run as bars on one time axis, as SVG."""

from __future__ import annotations

from kata_cli.core.records import RunRecord, TaskRecord
from kata_cli.core.text import one_line
from kata_cli.output.figures import count, dollars, seconds
from kata_cli.output.page_markup import Markup, element, join
from kata_cli.output.spans import Span, last_second, spans

NAME_WIDTH, BAR_WIDTH, TEXT_WIDTH = 200, 520, 280
ROW_HEIGHT, BAR_HEIGHT, TOP = 24, 14, 26
NAME_CHARS = 26
TICKS = 4


def timeline_svg(record: RunRecord) -> Markup:
    """One row per task in plan order: its name, when it was at work, and what it took."""
    total_s = last_second(record)
    height = TOP + ROW_HEIGHT * len(record.tasks)
    rows = [
        _row(task, span, total_s, TOP + ROW_HEIGHT * number)
        for number, (task, span) in enumerate(zip(record.tasks, spans(record), strict=True))
    ]
    width = NAME_WIDTH + BAR_WIDTH + TEXT_WIDTH
    return element(
        "svg",
        _ticks(total_s, height),
        *rows,
        width=width,
        height=height,
        role="img",
        aria_label="when each task was at work",
    )


def _ticks(total_s: float, height: int) -> Markup:
    drawn = []
    for number in range(TICKS + 1):
        x = NAME_WIDTH + BAR_WIDTH * number / TICKS
        at_s = total_s * number / TICKS
        label = f"{at_s:.2f} s" if total_s < TICKS else seconds(at_s)
        drawn.append(element("line", x1=x, x2=x, y1=TOP - 6, y2=height, class_="grid"))
        drawn.append(element("text", label, x=x, y=TOP - 12, text_anchor="middle", class_="quiet"))
    return join(drawn)


def _row(task: TaskRecord, span: Span | None, total_s: float, y: int) -> Markup:
    base = y + BAR_HEIGHT
    name = one_line(task.id, NAME_CHARS)
    return element(
        "g",
        element("title", f"{task.id} {task.status}"),
        element("text", name, x=NAME_WIDTH - 10, y=base, text_anchor="end"),
        None if span is None else _bar(task, span, total_s, y + 3),
        element("text", _figures(task), x=NAME_WIDTH + BAR_WIDTH + 10, y=base, class_="quiet"),
    )


def _bar(task: TaskRecord, span: Span, total_s: float, y: int) -> Markup:
    scale = BAR_WIDTH / total_s if total_s else 0.0
    x = NAME_WIDTH + min(span.start_s * scale, BAR_WIDTH - 2.0)
    width = max(2.0, min((span.end_s - span.start_s) * scale, NAME_WIDTH + BAR_WIDTH - x))
    return element("rect", x=x, y=y, width=width, height=BAR_HEIGHT, rx=2, class_=f"bar {task.status}")


def _figures(task: TaskRecord) -> str:
    parts: list[str] = [task.status]
    if task.duration_s is not None and task.status != "skipped":
        parts.append(seconds(task.duration_s))
    if task.usage.total:
        parts.append(f"{count(task.usage.total)} tokens")
    parts.append(dollars(task.usage.cost_usd))
    return " · ".join(part for part in parts if part)
