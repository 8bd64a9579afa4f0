"""Small plans and a scripted provider for the engine's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContentDelta,
    Event,
    ReplyFailed,
    ReplyFinished,
)
from kata_cli.core.messages import ModelInfo, ModelRef, Reply, Request
from kata_cli.engine.plan import Plan
from kata_cli.workflows.model import Result, Task, Workflow

MODEL = ModelRef("mock", "mock-1")

Answer = str | Failure | Reply


def task(task_id: str, *needs: str, **fields: object) -> Task:
    """A task whose prompt shows the goal and every answer that it needs."""
    shown = " ".join(f"{{{{tasks.{need}.output}}}}" for need in needs)
    values = {"role": "investigate", "prompt": f"{task_id}: {{{{goal}}}} {shown}", **fields}
    return Task(id=task_id, needs=list(needs), **values)  # type: ignore[arg-type]


def plan(*tasks: Task, result: str | None = None, kind: str = "text", jobs: int = 8, goal: str = "g") -> Plan:
    """A plan over some tasks; the last one is the result unless named."""
    workflow = Workflow(
        schema="kata.workflow/v1",
        name="test",
        tasks=list(tasks),
        result=Result(task=result or tasks[-1].id, kind=kind),  # type: ignore[arg-type]
    )
    return Plan(
        workflow=workflow,
        goal=goal,
        models={entry.id: MODEL for entry in tasks},
        jobs=jobs,
        spec_id="test",
        runtime_mode="mock",
    )


class ScriptedProvider:
    """Answers as the provider service does, by a function of the request, after `delay_s`.

    Counts what is open at once.
    """

    def __init__(
        self, answer: Callable[[Request], Answer], delay_s: Callable[[Request], float] = lambda _: 0.0
    ):
        self._answer = answer
        self._delay_s = delay_s
        self.requests: list[Request] = []
        self.open = 0
        self.most_open = 0

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        self.requests.append(request)
        attempt = sum(entry.task == request.task for entry in self.requests)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            yield AttemptStarted(
                task=request.task, attempt=attempt, model=str(request.model), request=request
            )
            await asyncio.sleep(self._delay_s(request))
            answer = self._answer(request)
            if isinstance(answer, Failure):
                yield AttemptFailed(task=request.task, attempt=attempt, failure=answer)
                yield ReplyFailed(failure=answer)
            elif isinstance(answer, Reply):
                yield ReplyFinished(reply=answer)
            else:
                yield ContentDelta(task=request.task, text=answer)
                yield ReplyFinished(reply=Reply(text=answer, model="mock-1"))
        finally:
            self.open -= 1

    async def models(self) -> list[ModelInfo]:
        return []

    async def aclose(self) -> None:
        return None
