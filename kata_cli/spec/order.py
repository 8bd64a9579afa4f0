"""Which task must be done before which, at any distance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from kata_cli.spec.document import Task


class Order:
    """The order that `after` asks for.

    All that precedes a task is one integer with a bit for each task, so that a file of thousands of tasks
    stays cheap, be it one long chain.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._after = {task.id: task.after for task in tasks}
        self._number = {name: number for number, name in enumerate(self._after)}
        self._before: dict[str, int] = {}  # in an order that the tasks can be done in, but for cycles
        self.knots: list[str] = []  # of all tasks that are bound by cycles to each other, the first
        for group in self._groups():
            self._settle(group)
        self._position = {name: position for position, name in enumerate(self._before)}

    def __contains__(self, name: object) -> bool:
        return name in self._after

    def is_before(self, first: str, second: str) -> bool:
        """Whether `first` must be done before `second`; a task in a cycle is before itself."""
        return bool(self._before[second] >> self._number[first] & 1)

    def is_ordered(self, one: str, other: str) -> bool:
        """Whether one of the two must be done before the other."""
        return self.is_before(one, other) or self.is_before(other, one)

    def in_order(self, names: Iterable[str]) -> list[str]:
        """The tasks, each after those that must be done before it, but for cycles."""
        return sorted(names, key=self._position.__getitem__)

    def circle(self, name: str) -> list[str]:
        """From a task in a cycle the shortest way back to it, from predecessor to predecessor."""
        met: dict[str, str] = {}  # from which task each was reached
        waiting = deque([name])
        while name not in met:
            task = waiting.popleft()
            for earlier in self._predecessors(task):
                if earlier not in met:
                    met[earlier] = task
                    waiting.append(earlier)
        way = [name, met[name]]
        while way[-1] != name:
            way.append(met[way[-1]])
        return way[::-1]

    def _settle(self, group: list[str]) -> None:
        """Note what precedes a task, or the tasks of one cycle; of all others it is known."""
        before = 0
        for name in group:
            for earlier in self._predecessors(name):
                before |= 1 << self._number[earlier] | self._before.get(earlier, 0)
        self._before.update(dict.fromkeys(group, before))
        if before >> self._number[group[0]] & 1:
            self.knots.append(min(group, key=self._number.__getitem__))

    def _predecessors(self, name: str) -> Iterator[str]:
        return (earlier for earlier in self._after[name] if earlier in self._after)

    def _groups(self) -> Iterator[list[str]]:
        """Strongly connected components, predecessors first (Tarjan 1972), without recursion."""
        found: dict[str, int] = {}  # when each task was met
        lowest: dict[str, int] = {}  # the earliest met that can be reached and belongs to no group yet
        stack: list[str] = []
        for root in self._after:
            path = [] if root in found else [(root, self._predecessors(root))]
            while path:
                name, rest = path[-1]
                if name not in found:
                    found[name] = lowest[name] = len(found)
                    stack.append(name)
                earlier = next((task for task in rest if task not in found or task in lowest), None)
                if earlier is None:
                    path.pop()
                    yield from _closed(name, found, lowest, stack)
                    if path and name in lowest:
                        lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[name])
                elif earlier in found:
                    lowest[name] = min(lowest[name], found[earlier])
                else:
                    path.append((earlier, self._predecessors(earlier)))


def _closed(
    name: str, found: dict[str, int], lowest: dict[str, int], stack: list[str]
) -> Iterator[list[str]]:
    """The group of which `name` was met first, if there is one, taken off the stack."""
    if lowest[name] != found[name]:
        return
    group: list[str] = []
    while not group or group[-1] != name:
        group.append(stack.pop())
        del lowest[group[-1]]
    yield group
