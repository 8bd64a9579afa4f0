"""From the table of a workflow file to a checked `Workflow`: every mistake is one `config` error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from kata_cli.core.duration import parse_duration
from kata_cli.core.errors import KataError
from kata_cli.core.messages import THINKING_LEVELS
from kata_cli.core.text import near
from kata_cli.core.toml import File
from kata_cli.workflows import template
from kata_cli.workflows.model import (
    SCHEMA,
    Defaults,
    OnFailure,
    Output,
    Result,
    ResultKind,
    Task,
    TaskKind,
    Var,
    VarType,
    Workflow,
    find_cycle,
)
from kata_cli.workflows.roles import role_system
from kata_cli.workflows.variables import fits

MAX_TASKS = 10_000
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TASK_OUTPUT = re.compile(r"tasks\.([a-z0-9_-]+)\.output")
_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")

_HINT = "kata workflows show spec prints a workflow to start from"

_CHOICES = {
    "schema": (SCHEMA,),
    "type": get_args(VarType),
    "on_failure": get_args(OnFailure),
    "output": get_args(Output),
    "result.kind": get_args(ResultKind),
    "kind": get_args(TaskKind),
}

Problem = tuple[str, str]


def check(file: File, *, folder: Path | None = None) -> Workflow:
    """The workflow in a file. `system = "@file"` is read below `folder`.

    Raises `KataError` config with file, line and key.
    """
    try:
        workflow = msgspec.convert(file.table, Workflow)
    except msgspec.ValidationError as error:
        raise _shape_error(str(error), file) from error
    tasks = [_with_files(index, task, folder, file) for index, task in enumerate(workflow.tasks)]
    workflow = msgspec.structs.replace(workflow, tasks=tasks)
    for key, problem in _problems(workflow):
        raise file.error(key, problem, _HINT)
    return workflow


def _problems(workflow: Workflow) -> Iterator[Problem]:
    """Each rule that the workflow breaks, as key and sentence; the first one is reported."""
    ids = [task.id for task in workflow.tasks]
    if not ids:
        yield "tasks", "a workflow has at least one [[tasks]]"
    if len(ids) > MAX_TASKS:
        yield "tasks", f"{len(ids)} tasks are more than {MAX_TASKS}"
    if not _ID.fullmatch(workflow.name):
        yield "name", f"{workflow.name!r} is not a name (lower-case letters, digits, - and _)"
    seen: set[str] = set()
    for index, task in enumerate(workflow.tasks):
        for key, problem in _task_problems(task, workflow, seen, set(ids)):
            yield f"tasks[{index}].{key}", problem
        seen.add(task.id)
    cycle = find_cycle({task.id: task.needs for task in workflow.tasks})
    if cycle:
        yield "tasks", "the tasks need each other in a circle: " + " -> ".join(cycle)
    if workflow.result.task not in seen:
        known = ", ".join(ids)
        yield "result.task", f"no task {workflow.result.task!r} (there are: {known})"
    elif workflow.result.kind == "json" and workflow.task(workflow.result.task).output != "json":
        yield "result.kind", f'task {workflow.result.task!r} needs output = "json" for a JSON result'
    yield from _var_problems(workflow)


def _task_problems(task: Task, workflow: Workflow, seen: set[str], ids: set[str]) -> Iterator[Problem]:
    if not _ID.fullmatch(task.id):
        yield "id", f"{task.id!r} is not an id (lower-case letters, digits, - and _, at most 64)"
    if task.id in seen:
        yield "id", f"two tasks are called {task.id!r}"
    if not task.prompt.strip():
        yield "prompt", f"the prompt of {task.id!r} is empty"
    if not task.system and role_system(task.role) is None:
        yield "role", f"role {task.role!r} is not built in: give the task its own `system`"
    yield from _limit_problems(task)
    for need in task.needs:
        if need not in ids:
            yield "needs", f"{task.id!r} needs {need!r}, which is no task. {near(need, ids)}".strip()
    if task.schema is not None and task.output != "json":
        yield "schema", f'{task.id!r} needs output = "json" for a schema'
    if task.kind == "plan" and (task.output == "json" or task.id == workflow.result.task):
        yield "kind", f"the answer of {task.id!r} is a plan: it is neither JSON for others nor the result"
    for name in template.names(task.prompt + task.system):
        yield from (("prompt", problem) for problem in _placeholder_problems(name, task, workflow))


def _limit_problems(task: Task) -> Iterator[Problem]:
    if task.max_tokens is not None and task.max_tokens < 1:
        yield "max_tokens", "expected at least 1"
    if task.temperature is not None and not 0 <= task.temperature <= 2:
        yield "temperature", f"expected a number from 0 to 2, got {task.temperature}"
    if task.thinking is not None and task.thinking not in THINKING_LEVELS:
        yield "thinking", f"expected one of {', '.join(THINKING_LEVELS)}"
    if task.timeout is not None:
        try:
            parse_duration(str(task.timeout))
        except ValueError as error:
            yield "timeout", str(error)


def _placeholder_problems(name: str, task: Task, workflow: Workflow) -> Iterator[str]:
    output = _TASK_OUTPUT.fullmatch(name)
    if name in ("goal", "context"):
        return
    if name.startswith("vars."):
        variable = name.removeprefix("vars.")
        if variable not in workflow.vars:
            yield f"undefined variable {{{{{name}}}}}. {near(variable, workflow.vars)}".strip()
    elif output is None:
        yield f"unknown placeholder {{{{{name}}}}} (goal, context, vars.NAME, tasks.ID.output)"
    elif output[1] not in task.needs:
        yield f"{{{{{name}}}}} is used, but {output[1]!r} is not in the task's needs"


def _var_problems(workflow: Workflow) -> Iterator[Problem]:
    used = {name for task in workflow.tasks for name in template.names(task.prompt + task.system)}
    for name, var in workflow.vars.items():
        if f"vars.{name}" not in used:
            yield f"vars.{name}", f"variable {name!r} is not used by any task"
        if var.required and var.default is not None:
            yield f"vars.{name}", f"variable {name!r} is required, so it has no default"
        if var.choices is not None and not var.choices:
            yield f"vars.{name}.choices", "expected at least one choice"
        for value in [*(var.choices or []), *([] if var.default is None else [var.default])]:
            if not fits(var.type, value):
                yield f"vars.{name}", f"{value!r} is not of type {var.type}"
        if var.choices and var.default is not None and var.default not in var.choices:
            yield f"vars.{name}.default", f"{var.default!r} is not one of the choices"


def _with_files(index: int, task: Task, folder: Path | None, file: File) -> Task:
    """`system = "@file"` becomes the file's text and `schema = "@file"` the JSON Schema in it."""
    if task.system.startswith("@"):
        text = _beside(task.system[1:], f"tasks[{index}].system", folder, file)
        task = msgspec.structs.replace(task, system=text)
    if isinstance(task.schema, str):
        key = f"tasks[{index}].schema"
        text = _beside(task.schema.removeprefix("@"), key, folder, file)
        task = msgspec.structs.replace(task, schema=_json_schema(text, key, file))
    return task


def _beside(name: str, key: str, folder: Path | None, file: File) -> str:
    """The text of a file that stays below the workflow's own folder."""
    if folder is None:
        raise file.error(key, "a built-in workflow has no files beside it")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise file.error(key, f"{name!r} lies outside the workflow's own folder")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise file.error(key, f"cannot read {name!r}: {error}") from error


def _json_schema(text: str, key: str, file: File) -> dict[str, Any]:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        schema = msgspec.json.decode(text, type=dict[str, Any])
        Draft202012Validator.check_schema(schema)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise file.error(key, f"the file holds no JSON object: {error}") from None
    except SchemaError as error:
        raise file.error(key, f"the file holds no JSON Schema: {error.message}") from None
    return schema


def _shape_error(message: str, file: File) -> KataError:
    """msgspec's sentence, turned round: key first, then what was expected."""
    at = _AT.search(message)
    key = at[1] if at else ""
    reason = _AT.sub("", message)
    choices = _CHOICES.get(key) or _CHOICES.get(key.rpartition(".")[2])
    if choices and "enum value" in reason:
        reason = f"{reason}, expected one of {', '.join(choices)}"
    unknown = _UNKNOWN.search(reason)
    if unknown:
        key = f"{key}.{unknown[1]}".lstrip(".")
        reason = f"unknown key. {near(unknown[1], _fields_at(key))}".strip()
    return file.error(key, reason[:1].lower() + reason[1:], _HINT)


def _fields_at(key: str) -> list[str]:
    """The keys that the table around a key may hold."""
    owner = key.partition(".")[0].partition("[")[0]
    kinds = {"tasks": Task, "vars": Var, "defaults": Defaults, "result": Result}
    kind = kinds.get(owner, Workflow) if "." in key else Workflow
    return list(kind.__struct_fields__)
