"""One task: its request, the conversation with the provider, and the end it comes to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.events import AttemptFailed, AttemptStarted, Event, ReplyFailed, ReplyFinished
from kata_cli.core.fence import fence
from kata_cli.core.messages import Message, Request
from kata_cli.core.ports import Provider
from kata_cli.engine.draft import (
    JSON_NAME,
    JSON_WISH,
    SPEC_MAX_TOKENS,
    Reading,
    is_draft,
    read_answer,
    repair_request,
    revised,
    schema_of,
)
from kata_cli.engine.plan import Plan
from kata_cli.workflows import template
from kata_cli.workflows.model import Task
from kata_cli.workflows.roles import role_system

Emit = Callable[[Event], Awaitable[None]]


class Outcome(msgspec.Struct, frozen=True):
    """What a task leaves to its dependents, or why it leaves nothing."""

    output: str = ""
    events: list[Event] = []
    failure: Failure | None = None


def build_request(task: Task, plan: Plan, outputs: Mapping[str, Outcome]) -> Request:
    """The request of a task whose needs are done."""
    fields = plan.workflow.fields_of(task)
    values = {"goal": plan.goal, "context": plan.context}
    values |= {f"vars.{name}": value for name, value in plan.vars.items()}
    values |= {f"tasks.{need}.output": _left_by(need, plan, outputs) for need in task.needs}
    values |= {"part": plan.parts.get(task.id, "")}
    schema, schema_name = schema_of(task, plan)
    wish = JSON_WISH if schema_name == JSON_NAME else ""
    parts = (plan.system, task.system or role_system(task.role) or "", wish)
    system = "\n\n".join(part for part in parts if part)
    return Request(
        task=task.id,
        role=task.role,
        goal=plan.goal,
        model=plan.models[task.id],
        system=template.fill(system, values).strip(),
        messages=(Message("user", _prompt(task, plan, values)),),
        max_tokens=fields["max_tokens"]
        or plan.max_tokens
        or (SPEC_MAX_TOKENS if is_draft(task, plan) else None),
        temperature=plan.temperature if fields["temperature"] is None else fields["temperature"],
        thinking=fields["thinking"] or plan.thinking,
        schema=schema,
        schema_name=schema_name,
        timeout_s=plan.timeouts.get(task.id),
    )


def _prompt(task: Task, plan: Plan, values: Mapping[str, str]) -> str:
    """What came before, then the task; the former is the same for all tasks, so vendors can cache it."""
    draft = revised(plan.previous) if plan.previous else ""
    parts = (plan.earlier, draft, template.fill(task.prompt, values).strip())
    return "\n\n".join(part for part in parts if part)


async def delegate(request: Request, task: Task, plan: Plan, provider: Provider, emit: Emit) -> Outcome:
    """Ask, read the answer, and ask once more if it does not hold."""
    exchange = await _ask(request, provider, emit)
    reading = _read(exchange, task, plan, is_final=False)
    if reading.problems and _may_repair(exchange):
        answer = exchange.text
        failure = _invalid(reading.problems, request)
        # An answer that the provider itself found wanting is on record already.
        if exchange.failure is None:
            rejected = AttemptFailed(
                task=task.id, attempt=exchange.attempt, failure=failure, delay_s=0.0, answer=answer
            )
            await emit(rejected)
        exchange = await _ask(repair_request(request, answer, reading.problems), provider, emit)
        reading = _read(exchange, task, plan, is_final=True)
    if exchange.failure is not None or reading.failure is not None:
        return Outcome(failure=exchange.failure or reading.failure)
    if reading.problems:
        return Outcome(output=exchange.text, failure=_invalid(reading.problems, request))
    return Outcome(output=reading.output, events=reading.events)


class _Exchange(msgspec.Struct, frozen=True):
    """One request and how it ended: a text, or a failure."""

    attempt: int
    text: str = ""
    is_cut: bool = False
    failure: Failure | None = None


async def _ask(request: Request, provider: Provider, emit: Emit) -> _Exchange:
    attempt = 0
    async with aclosing(provider.stream(request)) as events:  # type: ignore[type-var]
        async for event in events:
            match event:
                case ReplyFinished(reply=reply):
                    return _Exchange(attempt, text=reply.text, is_cut=reply.stop == "length")
                case ReplyFailed(failure=failure, seen=seen):
                    return _Exchange(attempt, text=seen, failure=failure)
                case AttemptStarted():
                    attempt = event.attempt
            await emit(event)
    raise AssertionError(f"the provider ended the answer of {request.task} without a last event")


def _read(exchange: _Exchange, task: Task, plan: Plan, *, is_final: bool) -> Reading:
    if exchange.failure is not None:
        is_invalid = exchange.failure.code == "invalid_output"
        return Reading(problems=[exchange.failure.message] if is_invalid else [])
    if exchange.is_cut:
        return Reading(problems=["the answer was cut at the token limit before it was complete"])
    return read_answer(task, plan, exchange.text, is_final=is_final)


def _may_repair(exchange: _Exchange) -> bool:
    """A cut answer would be cut again: asking once more would only cost as much."""
    return not exchange.is_cut


def _invalid(problems: list[str], request: Request) -> Failure:
    listed = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
    return Failure(
        code="invalid_output",
        message=listed,
        provider=request.model.provider,
        model=str(request.model),
    )


def _left_by(task_id: str, plan: Plan, outputs: Mapping[str, Outcome]) -> str:
    """What a task leaves to those that need it: of a plan task, what its parts found."""
    names = plan.inserted.get(task_id, [task_id])
    return "\n\n".join(_material(name, plan, outputs[name]) for name in names if name in outputs)


def _material(task_id: str, plan: Plan, outcome: Outcome) -> str:
    role = plan.workflow.task(task_id).role
    if outcome.failure is None:
        return fence("output", outcome.output, {"task": task_id, "role": role})
    said = f"(task {task_id} failed with {outcome.failure.code}; it left no output)"
    return fence("output", said, {"task": task_id, "role": role, "status": "failed"})
