"""What a model is asked for, and how its answer becomes a document or a list of things to mend.

The schema keeps to what OpenAI's strict mode and Anthropic's structured output both take: every property
required, none besides, no recursion, no bounds or patterns. What it cannot say is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from kata_cli.spec.document import (
    LIST_SECTIONS,
    Criterion,
    Document,
    Question,
    Requirement,
    Step,
    Task,
    clean,
)
from kata_cli.spec.lint import lint
from kata_cli.spec.revision import kept_ticks, moved_ids


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _list(items: dict[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "items": items, "description": description}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_CITED = _list(_text("REQ-001"), "ids of the requirements it serves; at least one")

_REQUIREMENT = _object(
    {
        "id": _text("REQ-001, REQ-002, …; an earlier id stays with its meaning"),
        "title": _text("two to six words"),
        "text": _text("one EARS sentence with exactly one SHALL, one observable behaviour"),
    }
)
_CRITERION = _object(
    {
        "id": _text("AC-001, AC-002, …"),
        "requirements": _CITED,
        "text": _text("GIVEN a concrete situation WHEN something happens THEN an observable outcome"),
    }
)
_TASK = _object(
    {
        "id": _text("T-001, T-002, …"),
        "role": _text("who does it: implement, verify, debug, investigate, critique or review"),
        "requirements": _CITED,
        "text": _text("what is to be done, small enough for one sitting, without the path"),
        "path": _text("the file or folder it changes; empty if there is none"),
        "after": _list(_text("T-001"), "ids of the tasks that must be done before"),
    }
)
_STEP = _object(
    {
        "criterion": _text("AC-001; every criterion has a step"),
        "command": _text("one shell command in one line; empty if it cannot be run"),
        "note": _text("what to look at; may be empty"),
    }
)
_QUESTION = _object({"id": _text("Q-001, Q-002, …"), "text": _text("what only a person can decide")})

ANSWER_SCHEMA_NAME = "spec_draft"
ANSWER_SCHEMA = _object(
    {
        "title": _text("the draft's title, without a final full stop"),
        "goal": _text("the intent in one sentence of at most 300 characters"),
        "non_goals": _list(_text("one line"), "what is left out on purpose"),
        "assumptions": _list(_text("one line"), "what is taken for true without proof"),
        "context": _list(_text("one line"), "facts from the given material, with the file they are from"),
        "requirements": _list(_REQUIREMENT, "at least one, error cases too"),
        "criteria": _list(_CRITERION, "at least one for every requirement"),
        "tasks": _list(_TASK, "at least one for every requirement, in an order that works"),
        "verification": _list(_STEP, "how each criterion is checked"),
        "risks": _list(_text("one line"), "what may go wrong, and what then"),
        "rollback": _list(_text("one line"), "how to go back, where state is touched"),
        "decisions": _list(_text("one line"), "what was decided, and why"),
        "open_questions": _list(_QUESTION, "at most three"),
    }
)

_FILLED = ("title", "goal", "requirements", "criteria", "tasks", "verification")
_MAY_BE_ABSENT = (*LIST_SECTIONS.values(), "open_questions")
_ENTRIES = {
    "requirements": Requirement,
    "criteria": Criterion,
    "tasks": Task,
    "verification": Step,
    "open_questions": Question,
}
_CODE_KEYS = ("command", "path")
_FENCED = re.compile(r"^```(?:json)?[ \t]*\n(.*?)\n[ \t]*```[ \t]*$", re.M | re.S | re.I)


def answer_to_document(
    text: str,
    *,
    spec_id: str,
    runtime_mode: str,
    revision: int = 1,
    previous: Document | None = None,
    is_final: bool = False,
) -> Document | list[str]:
    """The document in a model's answer, or what is wrong with it, as sentences for the repair round.

    `previous` is the draft that is revised: its ids keep their meaning and its ticks stay. With `is_final`
    (there is no further round) only an answer that is no document at all is refused; what lint says of the
    rest stays to be reported.
    """
    answer = _decode(text)
    if isinstance(answer, str):
        return [answer]
    problems = list(_misfits(answer, ANSWER_SCHEMA, "")) or [*_gaps(answer), *_bad_entries(answer)]
    if problems:
        return problems
    values = {"id": spec_id, "revision": revision, "runtime_mode": runtime_mode, **_disarmed(answer)}
    document = kept_ticks(clean(msgspec.convert(values, Document)), previous)
    return document if is_final else (_shortcomings(document, previous) or document)


def document_to_answer(document: Document) -> dict[str, Any]:
    """The answer that gives this document: what a model sees of a draft that it is to revise."""
    shown: dict[str, Any] = _shaped(msgspec.to_builtins(document), ANSWER_SCHEMA)
    return shown


def _shaped(value: Any, schema: dict[str, Any]) -> Any:
    """Only what the schema asks for."""
    match schema["type"]:
        case "object":
            return {key: _shaped(value[key], known) for key, known in schema["properties"].items()}
        case "array":
            return [_shaped(item, schema["items"]) for item in value]
        case _:
            return value


def _decode(text: str) -> dict[str, Any] | str:
    """The JSON object in the answer, bare or in a fenced block; else what was found instead."""
    body = text.removeprefix("\ufeff").replace("\r\n", "\n").strip()
    if not body.startswith("{"):
        fenced = _FENCED.findall(body)
        if len(fenced) != 1:
            return f"the answer must hold exactly one JSON object in a ```json block, not {len(fenced)}"
        body = fenced[0]
    try:
        answer = msgspec.json.decode(body.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        return f"the answer is no complete JSON: {error}"
    if not isinstance(answer, dict):
        return "the answer must be a JSON object"
    return {key: [] for key in _MAY_BE_ABSENT} | answer


def _misfits(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Where the value differs from the schema, of the few keywords that `ANSWER_SCHEMA` uses."""
    match schema["type"], value:
        case "object", dict():
            known = schema["properties"]
            yield from (f"`{_join(path, key)}` is missing" for key in known if key not in value)
            yield from (f"`{_join(path, key)}` was not asked for" for key in value if key not in known)
            for key in (key for key in known if key in value):
                yield from _misfits(value[key], known[key], _join(path, key))
        case "array", list():
            for number, item in enumerate(value):
                yield from _misfits(item, schema["items"], f"{path}[{number}]")
        case "string", str():
            pass
        case expected, _:
            yield f"`{path}` must be of type {expected}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _gaps(answer: dict[str, Any]) -> Iterator[str]:
    for key in _FILLED:
        if not answer[key] or (isinstance(answer[key], str) and not answer[key].strip()):
            yield f"`{key}` is empty"
    for number, step in enumerate(answer["verification"]):
        if len(step["command"].strip().splitlines()) > 1:
            yield f"`verification[{number}].command` must be one line; join commands with &&"


def _bad_entries(answer: dict[str, Any]) -> Iterator[str]:
    """Ids and roles of another form than asked."""
    for key, kind in _ENTRIES.items():
        for number, entry in enumerate(answer[key]):
            try:
                msgspec.convert(entry, kind)
            except msgspec.ValidationError as error:
                yield f"`{key}[{number}]` is not as asked: {error}"


def _disarmed(value: Any) -> Any:
    """No HTML comment comes from a model: it could hide text, or silence a lint rule."""
    match value:
        case str():
            return value.replace("<!--", "<\\!--")
        case list():
            return [_disarmed(item) for item in value]
        case dict():
            return {key: item if key in _CODE_KEYS else _disarmed(item) for key, item in value.items()}
    return value


def _shortcomings(document: Document, previous: Document | None) -> list[str]:
    findings = [f"{found.message}: {found.fix}" for found in lint(document) if found.severity == "error"]
    return [*findings, *moved_ids(document, previous)]
