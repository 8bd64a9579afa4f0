"""The order of tasks is that of a plain search, at any size."""

from __future__ import annotations

import sys
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.spec.document import Document, Task
from kata_cli.spec.order import Order
from kata_cli.spec.rules_links import broken_order, shared_paths
from kata_cli.spec.subject import Problem, Subject

NUMBERS = st.integers(0, 7)
GRAPHS = st.lists(st.tuples(NUMBERS, st.lists(NUMBERS, max_size=3)), max_size=8, unique_by=lambda row: row[0])


def name(number: int) -> str:
    return f"T-{number:03d}"


def precedes(tasks: list[Task], task: Task) -> set[str]:
    """All that is reached from a task by `after`, the slow way."""
    after = {one.id: one.after for one in tasks}
    seen: set[str] = set()
    waiting = list(task.after)
    while waiting:
        earlier = waiting.pop()
        if earlier not in seen:
            seen.add(earlier)
            waiting += after.get(earlier, [])
    return seen


@settings(max_examples=100, deadline=None)
@given(GRAPHS)
def test_the_order_is_what_a_search_finds(rows: list[tuple[int, list[int]]]) -> None:
    """Chains, cycles, joins and unknown predecessors: `is_before` says what following `after` says."""
    tasks = [Task(id=name(number), after=[name(other) for other in after]) for number, after in rows]
    order = Order(tasks)
    for task in tasks:
        before = {other.id for other in tasks if order.is_before(other.id, task.id)}
        assert before == precedes(tasks, task) & {other.id for other in tasks}


def test_a_chain_of_thousands_needs_no_recursion() -> None:
    """The first of 5,000 tasks is before the last, whichever way the file lists them."""
    chain = [Task(id=f"T-{n:04d}", after=[f"T-{n - 1:04d}"] if n else []) for n in range(5000)]
    for tasks in (chain, chain[::-1]):
        order = Order(tasks)
        assert order.is_before("T-0000", "T-4999")
        assert not order.is_before("T-4999", "T-0000")


@settings(max_examples=100, deadline=None)
@given(GRAPHS)
def test_a_circle_leads_back_by_real_steps(rows: list[tuple[int, list[int]]]) -> None:
    """Each task in a cycle has a circle with every step written in `after`, and belongs to one knot."""
    tasks = [Task(id=name(number), after=[name(other) for other in after]) for number, after in rows]
    after = {task.id: task.after for task in tasks}
    order = Order(tasks)
    bound = [task.id for task in tasks if order.is_before(task.id, task.id)]
    for task in bound:
        circle = order.circle(task)
        assert (circle[0], circle[-1]) == (task, task)
        assert all(earlier in after[later] for later, earlier in pairwise(circle))
        knots = [knot for knot in order.knots if order.is_before(knot, task) and order.is_before(task, knot)]
        assert len(knots) == 1
    assert bool(order.knots) == bool(bound)


@settings(max_examples=100, deadline=None)
@given(GRAPHS)
def test_neighbours_tell_as_much_as_all_pairs(rows: list[tuple[int, list[int]]]) -> None:
    """KS018 finds something on a path exactly when two of its tasks are in no order, and only such pairs."""
    tasks = [
        Task(id=name(number), path="src/a.py", after=[name(other) for other in after])
        for number, after in rows
    ]
    order = Order(tasks)
    free = {
        f"{one.id} and {other.id} touch src/a.py in no order"
        for one, other in combinations(tasks, 2)
        if not order.is_ordered(one.id, other.id)
    }
    told = {problem.message for problem in found(tasks)}
    assert told <= free
    assert bool(told) == bool(free)


def found(tasks: list[Task]) -> list[Problem]:
    return list(shared_paths(Subject(Document(id="", title="", tasks=tasks), {})))


def calls_for(count: int) -> int:
    """How many functions are called to check a chain of so many tasks on one path."""
    chain = [Task(id=name(n), path="a", after=[name(n - 1)] if n else []) for n in range(count)]
    calls = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        found(chain)
    finally:
        sys.setprofile(before)
    return calls


def test_the_work_grows_with_the_tasks_and_not_with_their_pairs() -> None:
    """KS018: four times the tasks on one path take at most some five times the calls."""
    assert calls_for(800) < 5 * calls_for(200)


def test_a_circle_is_named_once() -> None:
    """KS017: of two tasks that come after each other one is told, with the way back; a long way is cut."""
    pair = [Task(id="T-001", after=["T-002"]), Task(id="T-002", after=["T-001"])]
    subject = Subject(Document(id="", title="", tasks=pair), {})
    told = "T-001 comes after itself: T-001 after T-002 after T-001"
    assert [problem.message for problem in broken_order(subject)] == [told]
    ring = [Task(id=name(n), after=[name((n - 1) % 99)]) for n in range(99)]
    [problem] = broken_order(Subject(Document(id="", title="", tasks=ring), {}))
    assert problem.message.endswith("after …")
    assert len(problem.message) < 200
