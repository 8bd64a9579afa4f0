"""From the text of an answer to what the task promised: text, JSON, or a spec document with its findings."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.events import DraftCreated, Event
from kata_cli.core.fence import fence
from kata_cli.core.messages import Message, Request
from kata_cli.engine import insertion
from kata_cli.engine.plan import Plan
from kata_cli.spec.answer import ANSWER_SCHEMA, ANSWER_SCHEMA_NAME, answer_to_document, document_to_answer
from kata_cli.spec.document import Document
from kata_cli.spec.lint import lint
from kata_cli.spec.parse import parse_with_lines
from kata_cli.spec.render import render
from kata_cli.workflows.model import Task

SPEC_MAX_TOKENS = 16_384
MAX_MISFITS = 5
MISFIT_CHARS = 300
JSON_NAME = "json"
JSON_WISH = "Answer with one JSON value and nothing else."
REVISION_WISH = (
    "This draft is revised; it is shown in the form in which a draft is answered. What stays keeps its id, "
    "what is new gets an id that was never used, what the goal no longer wants is left out."
)


class Reading(msgspec.Struct, frozen=True):
    """An answer as read: the task's output and the events it gives, or the problems that forbid both.

    A `failure` stands whatever a further round would bring.
    """

    output: str = ""
    events: list[Event] = []
    problems: list[str] = []
    failure: Failure | None = None


def is_draft(task: Task, plan: Plan) -> bool:
    """Whether this task's answer is the run's spec document."""
    return plan.workflow.result.kind == "spec" and plan.workflow.result.task == task.id


def schema_of(task: Task, plan: Plan) -> tuple[dict[str, Any] | None, str]:
    """The JSON Schema that the task's answer must follow and its name; any JSON is (None, "json")."""
    if is_draft(task, plan):
        return ANSWER_SCHEMA, ANSWER_SCHEMA_NAME
    if task.kind == "plan":
        return insertion.SCHEMA, insertion.SCHEMA_NAME
    if isinstance(task.schema, dict):
        return task.schema, task.id
    return None, JSON_NAME if task.output == "json" else ""


def revised(previous: Document) -> str:
    """The draft that is revised, as material for a prompt."""
    answer = json.dumps(document_to_answer(previous), ensure_ascii=False, indent=1)
    block = fence("input", answer, {"name": "draft", "revision": str(previous.revision)})
    return f"{REVISION_WISH}\n\n{block}"


def read_answer(task: Task, plan: Plan, text: str, *, is_final: bool) -> Reading:
    """Check an answer against what the task promised; nothing is ever filled in.

    With `is_final` there is no further round: what lint says of a draft is then a finding, not a problem.
    """
    if not text.strip():
        return Reading(problems=["the answer is empty"])
    if is_draft(task, plan):
        return _read_draft(task, plan, text, is_final=is_final)
    if task.kind == "plan":
        return _read_plan(task, plan, text)
    if task.output == "json":
        return _read_json(text, task)
    return Reading(output=text)


def recounted(task: Task, plan: Plan, output: str) -> list[Event]:
    """The events that an answer of an earlier run gives: its draft with the findings, for a draft."""
    return read_answer(task, plan, output, is_final=True).events if is_draft(task, plan) else []


def repair_request(request: Request, answer: str, problems: list[str]) -> Request:
    """The one further request: the conversation so far and what has to change."""
    listed = "\n".join(f"- {problem}" for problem in problems)
    wish = f"That answer cannot be used:\n{listed}\nSend the whole corrected answer and nothing else."
    said = (Message("assistant", answer),) if answer.strip() else ()
    return msgspec.structs.replace(request, messages=(*request.messages, *said, Message("user", wish)))


def _read_json(text: str, task: Task) -> Reading:
    body = _unfence(text)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        return Reading(problems=[f"the answer is not JSON: {error}"])
    misfits = _misfits(value, task.schema) if isinstance(task.schema, dict) else []
    return Reading(problems=misfits) if misfits else Reading(output=body)


def _misfits(value: Any, schema: dict[str, Any]) -> list[str]:
    from jsonschema import Draft202012Validator  # slow to import, and few workflows bring a schema

    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda error: error.json_path)
    return [f"`{error.json_path}`: {error.message[:MISFIT_CHARS]}" for error in errors[:MAX_MISFITS]]


def _read_plan(task: Task, plan: Plan, text: str) -> Reading:
    body = _unfence(text)
    parts = insertion.read_parts(body)
    if isinstance(parts, list):
        return Reading(problems=parts)
    if failure := insertion.refusal(parts, plan):
        return Reading(failure=failure)
    problems = insertion.problems_of(parts, task, plan)
    return Reading(problems=problems) if problems else Reading(output=body)


def _unfence(text: str) -> str:
    stripped = text.strip()
    if not stripped.startswith("```"):
        return stripped
    return stripped.partition("\n")[2].rpartition("```")[0].strip()


def _read_draft(task: Task, plan: Plan, text: str, *, is_final: bool) -> Reading:
    previous = plan.previous
    document = answer_to_document(
        text,
        spec_id=previous.id if previous else plan.spec_id,
        runtime_mode=plan.runtime_mode,
        revision=previous.revision + 1 if previous else 1,
        previous=previous,
        is_final=is_final,
    )
    if isinstance(document, list):
        return Reading(problems=document)
    _, lines = parse_with_lines(render(document))
    created = DraftCreated(document=msgspec.to_builtins(document), task=task.id)
    return Reading(output=text, events=[created, *lint(document, lines=lines)])
