"""The shape of a workflow file and the graph it describes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = "kata.workflow/v1"

OnFailure = Literal["stop", "continue"]
Output = Literal["text", "json"]
ResultKind = Literal["spec", "text", "json"]
TaskKind = Literal["task", "plan"]
VarType = Literal["string", "int", "float", "bool"]
VarValue = str | int | float | bool


class Var(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variable that a user sets with `--var name=value`."""

    type: VarType = "string"
    required: bool = False
    default: VarValue | None = None
    choices: list[VarValue] | None = None
    help: str = ""


class Defaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of every task that does not set its own. `timeout` is in seconds."""

    provider: str | None = None
    model: str | None = None
    thinking: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | str | None = None
    on_failure: OnFailure = "stop"


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One delegation: who is asked (`role`), what (`prompt`), after which tasks (`needs`).

    A task of kind `plan` answers with further tasks, which are inserted before its dependents. `schema` is
    the JSON Schema of a JSON answer: in the file `@name` of one beside it, here the schema itself.
    """

    id: str
    role: str
    prompt: str
    kind: TaskKind = "task"
    needs: list[str] = []
    system: str = ""
    provider: str | None = None
    model: str | None = None
    thinking: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | str | None = None
    on_failure: OnFailure | None = None
    output: Output = "text"
    schema: str | dict[str, Any] | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which task's answer is the result, and what it is read as."""

    task: str
    kind: ResultKind = "text"


class Workflow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checked workflow: `tasks` are in plan order, `result.task` is one of them."""

    schema: Literal["kata.workflow/v1"]
    name: str
    description: str = ""
    vars: dict[str, Var] = {}
    defaults: Defaults = Defaults()
    tasks: list[Task]
    result: Result

    def task(self, task_id: str) -> Task:
        """The task of that id. Raises `KeyError`."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise KeyError(task_id)

    def fields_of(self, task: Task) -> dict[str, Any]:
        """The settings of a task with the workflow's defaults filled in."""
        names = ("provider", "model", "thinking", "temperature", "max_tokens", "timeout", "on_failure")
        own = {name: getattr(task, name) for name in names}
        return {
            name: value if value is not None else getattr(self.defaults, name) for name, value in own.items()
        }


def find_cycle(needs: dict[str, list[str]]) -> list[str]:
    """The ids along one cycle of a graph, first id repeated at the end, or [] when there is none."""
    state: dict[str, int] = {}
    for start in needs:
        path = [start]
        stack = [iter(needs[start])]
        if state.setdefault(start, 1) == 2:
            continue
        while stack:
            following = next(stack[-1], None)
            if following is None:
                state[path.pop()] = 2
                stack.pop()
            elif state.get(following) == 1:
                return [*path[path.index(following) :], following]
            elif following not in state and following in needs:
                state[following] = 1
                path.append(following)
                stack.append(iter(needs[following]))
    return []


def levels(tasks: list[Task]) -> list[list[Task]]:
    """The tasks in waves: each wave needs only what stands before it."""
    depth: dict[str, int] = {}
    remaining = list(tasks)
    while remaining:
        for task in remaining:
            if all(need in depth for need in task.needs):
                depth[task.id] = 1 + max((depth[need] for need in task.needs), default=-1)
        remaining = [task for task in remaining if task.id not in depth]
    waves = max(depth.values(), default=-1) + 1
    return [[task for task in tasks if depth[task.id] == wave] for wave in range(waves)]
