"""What a run has used over time, as SVG: the sum so far steps up with each report."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import msgspec

from kata_cli.core.events import Recorded, UsageReported
from kata_cli.core.records import RunRecord
from kata_cli.output.figures import count, dollars, plural, seconds
from kata_cli.output.page_markup import Markup, element
from kata_cli.output.spans import last_second, second

WIDTH, HEIGHT = 460, 170
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 14, 26


class Point(msgspec.Struct, frozen=True):
    """What was reported at a second of the run: tokens or dollars."""

    second: float
    value: float


def usage_plots(record: RunRecord, recorded: list[Recorded]) -> list[Markup]:
    """Tokens, and cost where a price is known, each with its caption; what came to nothing has no plot."""
    used = [(second(entry.ts, record), entry.event) for entry in recorded]
    reports = [(at, event.usage) for at, event in used if isinstance(event, UsageReported)]
    reports.sort(key=lambda report: report[0])  # a clock may have been set back
    tokens = [Point(at, usage.total) for at, usage in reports]
    costs = [Point(at, usage.cost_usd) for at, usage in reports if usage.cost_usd is not None]
    total_s = last_second(record)
    drawn = [("tokens", tokens, lambda value: count(round(value))), ("cost", costs, dollars)]
    return [_plot(name, points, total_s, told) for name, points, told in drawn if _sum(points)]


def _plot(name: str, points: list[Point], total_s: float, told: Callable[[float], str]) -> Markup:
    last_s = max(total_s, points[-1].second) or 1.0
    total = told(_sum(points))
    return element(
        "figure",
        element(
            "svg",
            _label(total, LEFT - 6, _y(1.0) + 4, "end"),
            _label("0", LEFT - 6, _y(0.0) + 4, "end"),
            _label(seconds(0.0), LEFT, HEIGHT - 8, "start"),
            _label(seconds(last_s), WIDTH - RIGHT, HEIGHT - 8, "end"),
            element("path", d=f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}", class_="axis"),
            element("polyline", points=_curve(points, last_s), class_="curve"),
            width=WIDTH,
            height=HEIGHT,
            role="img",
            aria_label=f"{name} over time",
        ),
        element("figcaption", f"{name}: {total} in {plural(len(points), 'report')}"),
    )


def _curve(points: list[Point], last_s: float) -> str:
    """The corners of the steps; the last sum lasts until the end of the run."""
    corners = [(0.0, 0.0)]
    top = _sum(points)
    for point, value in zip(points, accumulate(point.value for point in points), strict=True):
        across = point.second / last_s
        corners += [(across, corners[-1][1]), (across, value / top)]
    corners.append((1.0, corners[-1][1]))
    return " ".join(f"{_x(across):g},{_y(up):g}" for across, up in corners)


def _sum(points: list[Point]) -> float:
    return sum(point.value for point in points)


def _label(shown: str, x: float, y: float, anchor: str) -> Markup:
    return element("text", shown, x=x, y=y, text_anchor=anchor, class_="quiet")


def _x(across: float) -> float:
    return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1)


def _y(up: float) -> float:
    return round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)
