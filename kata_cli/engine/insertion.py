"""Plan tasks: the further tasks in an answer, checked, and the plan with them inserted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.engine.plan import Plan
from kata_cli.workflows.model import Task, find_cycle

SCHEMA_NAME = "task_plan"
ROLES = ("investigate", "implement", "verify", "critique", "debug", "review")
_TEXT = {"type": "string"}
_PART = {
    "id": {**_TEXT, "description": "lower-case letters, digits and -, at most 32"},
    "role": {**_TEXT, "enum": list(ROLES)},
    "prompt": {**_TEXT, "description": "what is to be found out or done, complete in itself"},
    "needs": {"type": "array", "items": _TEXT, "description": "ids of tasks of this plan that come before"},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tasks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _PART,
                "required": list(_PART),
                "additionalProperties": False,
            },
        }
    },
    "required": ["tasks"],
    "additionalProperties": False,
}
PROMPT = """
The goal of the whole:

{{goal}}

What the repository shows of it:

{{context}}

Your part of it:

{{part}}
"""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One task of a plan, as a model names it."""

    id: str
    role: str
    prompt: str
    needs: list[str] = []


class Parts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer of a plan task."""

    tasks: list[Part]


def read_parts(text: str) -> Parts | list[str]:
    """The plan in an answer, or what is wrong with its form."""
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=Parts)
    except (msgspec.MsgspecError, RecursionError) as error:
        return [f"the answer is no plan: {error}"]


def parts_of(output: str) -> Parts:
    """The plan in the output of a plan task, which has been checked before."""
    return msgspec.json.decode(output.encode(), type=Parts)


def problems_of(parts: Parts, task: Task, plan: Plan) -> list[str]:
    """What forbids the insertion of a plan."""
    return list(_problems(parts, task, plan))


def refusal(parts: Parts, plan: Plan) -> Failure | None:
    """The failure of a plan with more tasks than are allowed: no further round would make it another one."""
    if len(parts.tasks) <= plan.max_tasks:
        return None
    return Failure(
        code="limit_reached",
        message=f"the plan has {len(parts.tasks)} tasks, --max-tasks is {plan.max_tasks}",
        remediation="raise --max-tasks, or ask for a coarser plan",
    )


def extended(plan: Plan, task: Task, parts: Parts) -> Plan:
    """The plan with the parts inserted behind their plan task; its dependents wait for all of them."""
    inserted = [_task(part, task) for part in parts.tasks]
    ids = [entry.id for entry in inserted]
    tasks: list[Task] = []
    for known in plan.workflow.tasks:
        needs = [*known.needs, *ids] if task.id in known.needs else known.needs
        tasks.append(msgspec.structs.replace(known, needs=needs))
        if known.id == task.id:
            tasks += inserted
    return msgspec.structs.replace(
        plan,
        workflow=msgspec.structs.replace(plan.workflow, tasks=tasks),
        models={**plan.models, **dict.fromkeys(ids, plan.models[task.id])},
        timeouts={**plan.timeouts, **dict.fromkeys(ids, plan.timeouts[task.id])}
        if task.id in plan.timeouts
        else plan.timeouts,
        parts={**plan.parts, **{_id(part.id, task): part.prompt for part in parts.tasks}},
        inserted={**plan.inserted, task.id: ids},
    )


def _problems(parts: Parts, task: Task, plan: Plan) -> Iterator[str]:
    ids = [part.id for part in parts.tasks]
    known = {entry.id for entry in plan.workflow.tasks}
    if not ids:
        yield "the plan has no task"
    for number, part in enumerate(parts.tasks):
        if not _ID.fullmatch(part.id) or ids.index(part.id) != number:
            yield f"`tasks[{number}].id` {part.id[:40]!r} is no id of its own"
        elif _id(part.id, task) in known:
            yield f"`tasks[{number}].id` {part.id!r} is taken: choose another"
        if part.role not in ROLES:
            yield f"`tasks[{number}].role` {part.role[:40]!r} is none of {', '.join(ROLES)}"
        if not part.prompt.strip():
            yield f"`tasks[{number}].prompt` is empty"
        yield from (
            f"`tasks[{number}].needs` {need[:40]!r} is no task of this plan"
            for need in part.needs
            if need not in ids
        )
    if cycle := find_cycle({part.id: [need for need in part.needs if need in ids] for part in parts.tasks}):
        yield "the tasks need each other in a circle: " + " -> ".join(cycle)


def _task(part: Part, task: Task) -> Task:
    """A part as a task. Its text is filled in as a value, so that nothing in it is read as a template."""
    return msgspec.structs.replace(
        task,
        id=_id(part.id, task),
        kind="task",
        role=part.role,
        system="",
        prompt=PROMPT,
        needs=[task.id, *(_id(need, task) for need in part.needs)],
    )


def _id(name: str, task: Task) -> str:
    return f"{task.id}-{name}"
