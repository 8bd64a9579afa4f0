"""`run`: the tasks of a plan, as many at once as allowed, merged into one stream of events.

A producer task owns the task group and never yields; the generator owns only that producer and the merge
queue, and in `finally` cancels the one and waits for it. A task group or timeout that is open over a `yield`
would cancel the consumer's body.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.events import Event, PlanCreated, PlannedTask, TaskFinished, TaskStarted
from kata_cli.core.ports import Provider
from kata_cli.core.stop import Stop
from kata_cli.engine.delegate import Outcome, build_request, delegate
from kata_cli.engine.draft import recounted
from kata_cli.engine.insertion import extended, parts_of
from kata_cli.engine.merge import MergeQueue
from kata_cli.engine.plan import Plan
from kata_cli.engine.schedule import Schedule
from kata_cli.workflows.model import Task


async def run(
    plan: Plan, provider: Provider, history: Mapping[str, TaskFinished], *, stop: Stop
) -> AsyncGenerator[list[Event], None]:
    """Yield the run's events in batches, `plan.created` first.

    Tasks in `history` are not asked again. After `stop` is set, running tasks are cancelled in plan order
    and each says so; nothing new starts.
    """
    queue = MergeQueue()
    producer = asyncio.create_task(_Engine(plan, provider, queue, stop).produce(history))
    try:
        while batch := await queue.take():
            yield batch
        await producer
    finally:
        producer.cancel()
        await asyncio.wait([producer])


def planned(plan: Plan, tasks: Sequence[Task] | None = None) -> PlanCreated:
    """The graph as an event, or the tasks of it that are new or wait for new ones."""
    return PlanCreated(
        tasks=[
            PlannedTask(id=task.id, role=task.role, needs=task.needs, model=str(plan.models[task.id]))
            for task in (plan.workflow.tasks if tasks is None else tasks)
        ]
    )


class _Engine:
    def __init__(self, plan: Plan, provider: Provider, queue: MergeQueue, stop: Stop) -> None:
        self._plan = plan
        self._provider = provider
        self._queue = queue
        self._stop = stop
        self._outcomes: dict[str, Outcome] = {}
        self._done: set[str] = set()
        self._is_abandoned = False
        self._running: dict[str, asyncio.Task[None]] = {}
        # One slot per ended task, None when a stop is asked for: waiting on the set of workers itself
        # would cost the square of their number.
        self._ended: asyncio.Queue[Task | None] = asyncio.Queue()

    async def produce(self, history: Mapping[str, TaskFinished]) -> None:
        watcher = asyncio.create_task(self._watch_stop())
        try:
            self._extend_as_before(history)
            await self._queue.put(planned(self._plan))
            await self._recount(history)
            async with asyncio.TaskGroup() as group:
                await self._schedule(group, history)
        finally:
            watcher.cancel()
            self._queue.close()

    def _extend_as_before(self, history: Mapping[str, TaskFinished]) -> None:
        """Insert the parts of plans that are finished already."""
        for task in self._plan.workflow.tasks:
            if task.kind == "plan" and task.id in history:
                self._plan = extended(self._plan, task, parts_of(history[task.id].output))

    async def _recount(self, history: Mapping[str, TaskFinished]) -> None:
        """Tell what was finished before, so that the record of this run is whole by itself."""
        for task in self._plan.workflow.tasks:
            if task.id in history:
                await self._queue.put(msgspec.structs.replace(history[task.id]))
                for event in recounted(task, self._plan, history[task.id].output):
                    await self._queue.put(event)

    async def _watch_stop(self) -> None:
        await self._stop.wait()
        self._ended.put_nowait(None)

    async def _schedule(self, group: asyncio.TaskGroup, history: Mapping[str, TaskFinished]) -> None:
        self._outcomes = {name: Outcome(output=end.output) for name, end in history.items()}
        self._done = set(history)
        schedule = Schedule(self._plan.workflow.tasks, self._done)
        while True:
            self._start_ready(group, schedule)
            if not self._running:
                return None
            ended = await self._ended.get()
            if ended is None:
                return self._cancel_running()
            schedule = self._note_end(ended, schedule)

    def _start_ready(self, group: asyncio.TaskGroup, schedule: Schedule) -> None:
        while not self._stop.is_set and len(self._running) < self._plan.jobs:
            task = schedule.next()
            if task is None:
                return
            self._running[task.id] = group.create_task(self._work(task))

    def _note_end(self, task: Task, schedule: Schedule) -> Schedule:
        """What may start next, now that a task has ended."""
        del self._running[task.id]
        self._done.add(task.id)
        outcome = self._outcomes[task.id]
        if self._is_abandoned:
            return schedule
        if task.kind == "plan" and outcome.failure is None:
            return self._insert(task, outcome.output)
        if outcome.failure is None or self._plan.workflow.fields_of(task)["on_failure"] == "continue":
            schedule.finish(task.id)
            return schedule
        self._is_abandoned = True
        for abandoned in schedule.abandon():
            self._queue.put_last(TaskFinished(task=abandoned.id, status="skipped", skipped_for=task.id))
        return schedule

    def _insert(self, task: Task, output: str) -> Schedule:
        known = {entry.id: entry.needs for entry in self._plan.workflow.tasks}
        self._plan = extended(self._plan, task, parts_of(output))
        changed = [entry for entry in self._plan.workflow.tasks if known.get(entry.id) != entry.needs]
        self._queue.put_last(planned(self._plan, changed))
        return Schedule(self._plan.workflow.tasks, self._done, started=set(self._running))

    def _cancel_running(self) -> None:
        for task in self._plan.workflow.tasks:
            if task.id in self._running:
                self._running[task.id].cancel()

    async def _work(self, task: Task) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            await self._queue.put(TaskStarted(task=task.id, role=task.role))
            request = build_request(task, self._plan, self._outcomes)
            outcome = await delegate(request, task, self._plan, self._provider, self._queue.put)
        except asyncio.CancelledError:
            if self._stop.failure is None:
                raise
            outcome = Outcome(failure=self._stop.failure)
        self._finish(task, outcome, round(loop.time() - started_s, 6))

    def _finish(self, task: Task, outcome: Outcome, duration_s: float) -> None:
        self._outcomes[task.id] = outcome
        failure: Failure | None = outcome.failure
        self._queue.put_last(
            TaskFinished(
                task=task.id,
                status="failed" if failure else "completed",
                output=outcome.output,
                failure=failure,
                duration_s=duration_s,
            )
        )
        for event in outcome.events:
            self._queue.put_last(event)
        self._ended.put_nowait(task)
