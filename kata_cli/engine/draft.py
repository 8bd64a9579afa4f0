"""From the text of an answer to what the task promised: text, JSON, or a spec document with its findings."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from kata_cli.core.events import DraftCreated, Event
from kata_cli.core.messages import Message, Request
from kata_cli.engine.plan import Plan
from kata_cli.spec.answer import ANSWER_SCHEMA, ANSWER_SCHEMA_NAME, answer_to_document
from kata_cli.spec.lint import lint
from kata_cli.spec.parse import parse_with_lines
from kata_cli.spec.render import render
from kata_cli.workflows.model import Task

SPEC_MAX_TOKENS = 16_384
JSON_NAME = "json"
JSON_WISH = "Answer with one JSON value and nothing else."


class Reading(msgspec.Struct, frozen=True):
    """An answer as read: the task's output and the events it gives, or the problems that forbid both."""

    output: str = ""
    events: list[Event] = []
    problems: list[str] = []


def is_draft(task: Task, plan: Plan) -> bool:
    """Whether this task's answer is the run's spec document."""
    return plan.workflow.result.kind == "spec" and plan.workflow.result.task == task.id


def schema_of(task: Task, plan: Plan) -> tuple[dict[str, Any] | None, str]:
    """The JSON Schema that the task's answer must follow and its name; any JSON is (None, "json")."""
    if is_draft(task, plan):
        return ANSWER_SCHEMA, ANSWER_SCHEMA_NAME
    return None, JSON_NAME if task.output == "json" else ""


def read_answer(task: Task, plan: Plan, text: str, *, is_final: bool) -> Reading:
    """Check an answer against what the task promised; nothing is ever filled in.

    With `is_final` there is no further round: what lint says of a draft is then a finding, not a problem.
    """
    if not text.strip():
        return Reading(problems=["the answer is empty"])
    if is_draft(task, plan):
        return _read_draft(task, plan, text, is_final=is_final)
    if task.output == "json":
        return _read_json(text)
    return Reading(output=text)


def repair_request(request: Request, answer: str, problems: list[str]) -> Request:
    """The one further request: the conversation so far and what has to change."""
    listed = "\n".join(f"- {problem}" for problem in problems)
    wish = f"That answer cannot be used:\n{listed}\nSend the whole corrected answer and nothing else."
    said = (Message("assistant", answer),) if answer.strip() else ()
    return msgspec.structs.replace(request, messages=(*request.messages, *said, Message("user", wish)))


def _read_json(text: str) -> Reading:
    body = _unfence(text)
    try:
        json.loads(body)
    except (ValueError, RecursionError) as error:
        return Reading(problems=[f"the answer is not JSON: {error}"])
    return Reading(output=body)


def _unfence(text: str) -> str:
    stripped = text.strip()
    if not stripped.startswith("```"):
        return stripped
    return stripped.partition("\n")[2].rpartition("```")[0].strip()


def _read_draft(task: Task, plan: Plan, text: str, *, is_final: bool) -> Reading:
    document = answer_to_document(
        text, spec_id=plan.spec_id, runtime_mode=plan.runtime_mode, is_final=is_final
    )
    if isinstance(document, list):
        return Reading(problems=document)
    _, lines = parse_with_lines(render(document))
    created = DraftCreated(document=msgspec.to_builtins(document), task=task.id)
    return Reading(output=text, events=[created, *lint(document, lines=lines)])
