"""The spec document as data (`kata.spec/v1`).

Every text is one line (see `inline.plain`), so Markdown and JSON hold exactly the same. Ids are
`REQ-001`, `AC-001`, `T-001`, `Q-001`; they keep their meaning over revisions, so gaps are right.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from kata_cli.spec.inline import plain, split_command, split_path

SCHEMA: Literal["kata.spec/v1"] = "kata.spec/v1"

Status = Literal["draft", "accepted", "superseded"]
RequirementId = Annotated[str, msgspec.Meta(pattern="^REQ-[0-9]{1,9}$")]
CriterionId = Annotated[str, msgspec.Meta(pattern="^AC-[0-9]{1,9}$")]
TaskId = Annotated[str, msgspec.Meta(pattern="^T-[0-9]{1,9}$")]
QuestionId = Annotated[str, msgspec.Meta(pattern="^Q-[0-9]{1,9}$")]
Role = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]*$")]

GOAL, NON_GOALS, ASSUMPTIONS, CONTEXT = "Goal", "Non-goals", "Assumptions", "Context"
REQUIREMENTS, CRITERIA, TASKS = "Requirements", "Acceptance Criteria", "Tasks"
VERIFICATION, RISKS, ROLLBACK = "Verification Plan", "Risks", "Rollback Plan"
DECISIONS, QUESTIONS = "Decisions", "Open Questions"

SECTIONS = (
    GOAL,
    NON_GOALS,
    ASSUMPTIONS,
    CONTEXT,
    REQUIREMENTS,
    CRITERIA,
    TASKS,
    VERIFICATION,
    RISKS,
    ROLLBACK,
    DECISIONS,
    QUESTIONS,
)
REQUIRED_SECTIONS = (GOAL, CRITERIA, TASKS, VERIFICATION)
LIST_SECTIONS = {
    NON_GOALS: "non_goals",
    ASSUMPTIONS: "assumptions",
    CONTEXT: "context",
    RISKS: "risks",
    ROLLBACK: "rollback",
    DECISIONS: "decisions",
}


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """One observable behaviour, as one EARS sentence."""

    id: RequirementId
    title: str = ""
    text: str = ""


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """A concrete situation that shows whether the named requirements hold."""

    id: CriterionId
    requirements: list[RequirementId] = []
    text: str = ""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work for one sitting; `after` names the tasks that must be done before."""

    id: TaskId
    is_done: bool = False
    role: Role = ""
    requirements: list[RequirementId] = []
    text: str = ""
    path: str = ""
    after: list[TaskId] = []


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How one criterion is checked: a shell command, a note, or both."""

    criterion: CriterionId
    command: str = ""
    note: str = ""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What only a person can decide."""

    id: QuestionId
    text: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A spec draft, whole. Documents made by hand go through `clean` before they are written."""

    schema: Literal["kata.spec/v1"] = SCHEMA
    id: str
    title: str
    status: Status = "draft"
    revision: Annotated[int, msgspec.Meta(ge=1)] = 1
    runtime_mode: str = "native"
    goal: str = ""
    non_goals: list[str] = []
    assumptions: list[str] = []
    context: list[str] = []
    requirements: list[Requirement] = []
    criteria: list[Criterion] = []
    tasks: list[Task] = []
    verification: list[Step] = []
    risks: list[str] = []
    rollback: list[str] = []
    decisions: list[str] = []
    open_questions: list[Question] = []


def clean(document: Document) -> Document:
    """The document as its Markdown form can hold it: one-line texts, no empty list items.

    A task without a path whose text ends in ``in `path` `` gets that path, and a step without a command
    whose note begins with a code span gets that command: that is how the Markdown reads.
    """
    tidy: Document = _tidy(document)
    return msgspec.structs.replace(
        tidy,
        tasks=[_with_path(task) for task in tidy.tasks],
        verification=[_with_command(step) for step in tidy.verification],
    )


def headline(document: Document) -> str:
    """The size of a draft in a few words: `6 REQ 9 AC 8 T`."""
    counts = (len(document.requirements), len(document.criteria), len(document.tasks))
    return "{} REQ {} AC {} T".format(*counts)


def _tidy(value: Any) -> Any:
    match value:
        case str():
            return plain(value)
        case list():
            return [tidy for item in value if (tidy := _tidy(item)) != ""]
        case msgspec.Struct():
            changes = {name: _tidy(getattr(value, name)) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **changes)
        case _:
            return value


def _with_path(task: Task) -> Task:
    if task.path:
        return task
    text, path = split_path(task.text)
    return msgspec.structs.replace(task, text=text, path=path)


def _with_command(step: Step) -> Step:
    if step.command:
        return step
    command, note = split_command(step.note)
    return msgspec.structs.replace(step, command=command, note=note)
