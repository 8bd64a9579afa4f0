"""Which task may start now: pure bookkeeping over the graph, always in plan order."""

from __future__ import annotations

import heapq
from collections.abc import Set as AbstractSet

from kata_cli.workflows.model import Task


class Schedule:
    """Knows what is ready, what is running and what can no longer start.

    `done` names tasks that are finished already, `started` those that are under way. All answers are in plan
    order, so that two runs of the same plan make the same choices.
    """

    def __init__(
        self, tasks: list[Task], done: AbstractSet[str], started: AbstractSet[str] = frozenset()
    ) -> None:
        self._tasks = tasks
        self._index = {task.id: index for index, task in enumerate(tasks)}
        self._waits = {task.id: {need for need in task.needs if need not in done} for task in tasks}
        self._dependents: dict[str, list[str]] = {}
        for task in tasks:
            for need in task.needs:
                self._dependents.setdefault(need, []).append(task.id)
        self._open = {task.id for task in tasks if task.id not in done | started}
        self._ready = [
            self._index[task.id] for task in tasks if task.id in self._open and not self._waits[task.id]
        ]
        heapq.heapify(self._ready)

    def next(self) -> Task | None:
        """Take the first ready task of the plan, or None when none is ready."""
        if not self._ready:
            return None
        task = self._tasks[heapq.heappop(self._ready)]
        self._open.discard(task.id)
        return task

    def finish(self, task_id: str) -> None:
        """Tell that a task ended and that its dependents may use what it left."""
        for dependent in self._dependents.get(task_id, []):
            waits = self._waits[dependent]
            waits.discard(task_id)
            if not waits and dependent in self._open:
                heapq.heappush(self._ready, self._index[dependent])

    def abandon(self) -> list[Task]:
        """Give up all that has not started; what was given up."""
        abandoned = [task for task in self._tasks if task.id in self._open]
        self._open.clear()
        self._ready.clear()
        return abandoned
