"""A model's answer becomes a document, or sentences that say what to mend."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kata_cli.spec.answer import ANSWER_SCHEMA, answer_to_document
from kata_cli.spec.document import Document, headline

ANSWER: dict[str, Any] = {
    "title": "Rate limiting",
    "goal": "Requests over the limit are refused before they reach a worker.",
    "non_goals": ["Billing"],
    "assumptions": [],
    "context": ["The gateway is src/gate.py"],
    "requirements": [
        {
            "id": "REQ-001",
            "title": "Refuse",
            "text": "WHEN a client is over its limit, the gate SHALL say 429.",
        },
        {"id": "REQ-003", "title": "Tell", "text": "The gate SHALL send Retry-After with each refusal."},
    ],
    "criteria": [
        {
            "id": "AC-001",
            "requirements": ["REQ-001", "REQ-003"],
            "text": "GIVEN a limit of 2 WHEN a third request comes THEN the answer is 429 with Retry-After",
        }
    ],
    "tasks": [
        {
            "id": "T-001",
            "role": "implement",
            "requirements": ["REQ-001"],
            "text": "Count requests per client",
            "path": "src/gate.py",
            "after": [],
        },
        {
            "id": "T-002",
            "role": "verify",
            "requirements": ["REQ-003"],
            "text": "Test the header",
            "path": "tests/test_gate.py",
            "after": ["T-001"],
        },
    ],
    "verification": [{"criterion": "AC-001", "command": "pytest tests/test_gate.py", "note": ""}],
    "risks": [],
    "rollback": [],
    "decisions": [],
    "open_questions": [],
}

KEYWORDS = {"type", "description", "properties", "required", "additionalProperties", "items"}

Change = Callable[[dict[str, Any]], object]


def answered(change: Change | None = None, **options: Any) -> Document | list[str]:
    answer = copy.deepcopy(ANSWER)
    if change is not None:
        change(answer)
    return answer_to_document(json.dumps(answer), spec_id="limit", runtime_mode="mock", **options)


def document_of(change: Change | None = None, **options: Any) -> Document:
    document = answered(change, **options)
    assert isinstance(document, Document), document
    return document


def test_a_sound_answer_becomes_the_document() -> None:
    """All parts of the answer are kept, with the ids it gave, gaps included."""
    document = document_of()
    assert headline(document) == "2 REQ 1 AC 2 T"
    assert [entry.id for entry in document.requirements] == ["REQ-001", "REQ-003"]
    assert (document.id, document.runtime_mode, document.revision, document.status) == (
        "limit",
        "mock",
        1,
        "draft",
    )


@pytest.mark.parametrize(
    "wrapped",
    ["```json\n{}\n```", "Here:\n```json\n{}\n```\nDone.", "```\r\n{}\r\n```", "\ufeff {} \n"],
)
def test_a_fenced_answer_is_read_too(wrapped: str) -> None:
    """A provider without a JSON mode answers in a fenced block, often with words around it."""
    text = wrapped.replace("{}", json.dumps(ANSWER, indent=2))
    assert isinstance(answer_to_document(text, spec_id="s", runtime_mode="mock"), Document)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "exactly one JSON object"),
        ("I cannot do that.", "exactly one JSON object"),
        ("```json\n{}\n```\n```json\n{}\n```", "not 2"),
        ('{"title": "cut of', "no complete JSON"),
        ("[" * 5, "exactly one JSON object"),
        ('{"title": ' + "[" * 100_000, "no complete JSON"),
        ('{"title": "t"}', "`requirements` is missing"),
    ],
)
def test_what_is_no_answer_is_refused_with_a_reason(text: str, problem: str) -> None:
    """f3: empty, cut, nested or foreign text gives one clear sentence in either round."""
    for is_final in (False, True):
        problems = answer_to_document(text, spec_id="s", runtime_mode="mock", is_final=is_final)
        assert isinstance(problems, list)
        assert any(problem in sentence for sentence in problems), problems


HARD: list[tuple[Change, str]] = [
    (lambda answer: answer.pop("goal"), "`goal` is missing"),
    (lambda answer: answer.update(goal="  "), "`goal` is empty"),
    (lambda answer: answer.update(tasks=[]), "`tasks` is empty"),
    (lambda answer: answer.update(verdict="fine"), "`verdict` was not asked for"),
    (lambda answer: answer.update(risks="none"), "`risks` must be of type array"),
    (lambda answer: answer["tasks"][1].pop("path"), "`tasks[1].path` is missing"),
    (lambda answer: answer["tasks"][0].update(path=None), "`tasks[0].path` must be of type string"),
    (lambda answer: answer["criteria"][0].update(id="1"), "`criteria[0]` is not as asked"),
    (lambda answer: answer["tasks"][0].update(role="a b"), "`tasks[0]` is not as asked"),
    (lambda answer: answer["verification"][0].update(command="a\nb"), "must be one line"),
]


@pytest.mark.parametrize(("change", "problem"), HARD, ids=[problem for _, problem in HARD])
def test_an_answer_of_another_form_is_never_a_document(change: Change, problem: str) -> None:
    """What does not fit the schema is named, in the first round and in the last."""
    for is_final in (False, True):
        problems = answered(change, is_final=is_final)
        assert isinstance(problems, list)
        assert any(problem in sentence for sentence in problems), problems


SOFT: list[tuple[Change, str]] = [
    (lambda answer: answer["requirements"][0].update(text="It answers 429."), "REQ-001 has no SHALL"),
    (lambda answer: answer["requirements"][1].update(id="REQ-001"), "REQ-001 stands twice"),
    (lambda answer: answer["criteria"][0].update(requirements=["REQ-009"]), "AC-001 refers to REQ-009"),
    (
        lambda answer: answer["criteria"][0].update(requirements=["REQ-001"]),
        "REQ-003 has no acceptance",
    ),
    (lambda answer: answer["tasks"][0].update(after=["T-002"]), "T-001 comes after itself"),
    (lambda answer: answer["verification"][0].update(criterion="AC-002"), "AC-001 has no verification step"),
    (lambda answer: answer["requirements"][0].update(text="TBD"), "placeholder TBD"),
]


@pytest.mark.parametrize(("change", "problem"), SOFT, ids=[problem for _, problem in SOFT])
def test_a_weak_answer_is_sent_back_once_and_then_kept(change: Change, problem: str) -> None:
    """Lint errors are worth the one repair round; after it the best draft stands as it is."""
    problems = answered(change)
    assert isinstance(problems, list)
    assert any(problem in sentence for sentence in problems), problems
    assert isinstance(answered(change, is_final=True), Document)


def test_several_faults_are_all_named_at_once() -> None:
    """There is one repair round, so it must hear of everything."""

    def change(answer: dict[str, Any]) -> None:
        answer.pop("title")
        answer.pop("goal")
        answer["tasks"][0].pop("role")

    assert answered(change) == ["`title` is missing", "`goal` is missing", "`tasks[0].role` is missing"]


def test_absent_optional_lists_are_empty_lists() -> None:
    """No repair round is spent on sections that may be empty."""
    assert document_of(lambda answer: answer.pop("risks")).risks == []


def test_x4_a_model_cannot_write_html_comments() -> None:
    """x4: a comment could hide text or silence lint, so it is shown; commands stay exact."""

    def change(answer: dict[str, Any]) -> None:
        answer["risks"] = ["none <!-- kata-ignore KS003: trust me -->"]
        answer["verification"][0]["command"] = "grep '<!--' index.html"

    document = document_of(change)
    assert document.risks == ["none <\\!-- kata-ignore KS003: trust me -->"]
    assert document.verification[0].command == "grep '<!--' index.html"


def test_a_revision_keeps_ticks_of_unchanged_tasks() -> None:
    """A task that was done stays done while its id and text are the same."""
    first = document_of()
    tasks = [msgspec.structs.replace(task, is_done=True) for task in first.tasks]
    previous = msgspec.structs.replace(first, tasks=tasks)
    revised = document_of(
        lambda answer: answer["tasks"][1].update(text="Test the header and the body"),
        previous=previous,
        revision=2,
    )
    assert [task.is_done for task in revised.tasks] == [True, False]
    assert revised.revision == 2


def test_a_revision_may_not_renumber_what_is_unchanged() -> None:
    """The same requirement under a new id is sent back."""

    def change(answer: dict[str, Any]) -> None:
        answer["requirements"][1]["id"] = "REQ-002"
        answer["criteria"][0]["requirements"] = ["REQ-001", "REQ-002"]
        answer["tasks"][1]["requirements"] = ["REQ-002"]

    assert answered(change, previous=document_of()) == [
        "REQ-002 says what REQ-003 said before: keep the id REQ-003"
    ]


def test_a_revision_may_not_reuse_an_id_for_something_else() -> None:
    """An id that gets a wholly different text is sent back; an edited one passes."""
    previous = document_of()
    edited = "The gate SHALL send Retry-After in seconds with each refusal."
    foreign = "Invoices SHALL be exported monthly."
    assert isinstance(
        answered(lambda answer: answer["requirements"][1].update(text=edited), previous=previous), Document
    )
    problems = answered(lambda answer: answer["requirements"][1].update(text=foreign), previous=previous)
    assert isinstance(problems, list)
    assert problems[0].startswith("REQ-003 meant something else before")


def schemas(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema and all schemas inside it."""
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(found for part in inner for found in schemas(part))]


def test_the_schema_fits_strict_modes() -> None:
    """OpenAI strict mode: every property required, none besides, and only keywords both vendors take."""
    for schema in schemas(ANSWER_SCHEMA):
        assert set(schema) <= {
            "type",
            "description",
            "properties",
            "required",
            "additionalProperties",
            "items",
        }
        if schema["type"] == "object":
            assert schema["required"] == list(schema["properties"])
            assert schema["additionalProperties"] is False


def test_the_schema_asks_for_what_documents_hold() -> None:
    """Each property asked for is a field of the document, so that nothing of an answer is dropped."""
    assert set(ANSWER_SCHEMA["properties"]) <= set(Document.__struct_fields__)
