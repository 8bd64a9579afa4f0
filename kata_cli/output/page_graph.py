"""The graph of a run's tasks as SVG: what a task needs stands to its left."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kata_cli.core.records import TaskRecord
from kata_cli.core.text import one_line
from kata_cli.output.page_markup import Markup, element

BOX_WIDTH, BOX_HEIGHT = 170, 38
GAP_X, GAP_Y, EDGE = 56, 14, 8
NAME_CHARS = 21
MAX_ARROWS = 5_000  # a browser draws no more of them in bearable time, and nobody could follow them


class Place(msgspec.Struct, frozen=True):
    """The upper left corner of a task's box, in pixels."""

    x: int
    y: int


def graph_svg(tasks: list[TaskRecord]) -> Markup:
    """Boxes for tasks and arrows for needs; a need that is no task of the run is left out."""
    known = {task.id: task for task in tasks}
    needs = {task.id: [need for need in dict.fromkeys(task.needs) if need in known] for task in tasks}
    places = layout(needs)
    arrows = [_arrow(places[need], places[task]) for task, listed in needs.items() for need in listed]
    width = max((place.x for place in places.values()), default=0) + BOX_WIDTH + EDGE
    height = max((place.y for place in places.values()), default=0) + BOX_HEIGHT + EDGE
    boxes = [_box(known[name], place) for name, place in places.items()]
    return element(
        "svg",
        *arrows[:MAX_ARROWS],
        *boxes,
        width=width,
        height=height,
        role="img",
        aria_label="which task needs which",
    )


def layout(needs: Mapping[str, list[str]]) -> dict[str, Place]:
    """Where each task stands: its column is the length of the longest way to it.

    Within a column, tasks stand in the order of the middle of what they need, so that arrows cross less.
    """
    columns: dict[int, list[str]] = {}
    for name, depth in depths(needs).items():
        columns.setdefault(depth, []).append(name)
    places: dict[str, Place] = {}
    for depth in sorted(columns):
        row_of = {
            name: _middle([places[need].y for need in needs[name] if need in places])
            for name in columns[depth]
        }
        for row, name in enumerate(sorted(columns[depth], key=row_of.__getitem__)):
            places[name] = Place(EDGE + depth * (BOX_WIDTH + GAP_X), EDGE + row * (BOX_HEIGHT + GAP_Y))
    return places


def depths(needs: Mapping[str, list[str]]) -> dict[str, int]:
    """The column of each task; those of a cycle, which only a foreign journal can hold, stand in the last."""
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    waiting = {name: len(listed) for name, listed in needs.items()}
    for name, listed in needs.items():
        for need in listed:
            dependents[need].append(name)
    found = {name: 0 for name, number in waiting.items() if number == 0}
    ready = list(found)
    for name in ready:  # grows while it is walked
        for dependent in dependents[name]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                found[dependent] = 1 + max(found[need] for need in needs[dependent])
                ready.append(dependent)
    last = max(found.values(), default=-1) + 1
    return {name: found.get(name, last) for name in needs}


def _middle(rows: list[int]) -> float:
    return sum(rows) / len(rows) if rows else 0.0


def _arrow(start: Place, end: Place) -> Markup:
    x1, y1 = start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2
    x2, y2 = end.x, end.y + BOX_HEIGHT // 2
    bend = (x1 + x2) // 2
    return element("path", d=f"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}", class_="arrow")


def _box(task: TaskRecord, place: Place) -> Markup:
    x, y = place.x + 10, place.y
    return element(
        "g",
        element("title", f"{task.id} {task.status}"),
        element(
            "rect", x=place.x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=4, class_=f"box {task.status}"
        ),
        element("text", one_line(task.id, NAME_CHARS), x=x, y=y + 16),
        element("text", one_line(task.role, NAME_CHARS), x=x, y=y + 31, class_="quiet"),
    )
