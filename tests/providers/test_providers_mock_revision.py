"""What the mock writes when it revises a draft: earlier ids stay, additions follow, nothing is said twice."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.messages import Message, ModelRef, Request
from kata_cli.engine.draft import revised
from kata_cli.providers.mock.author import write_answer
from kata_cli.spec.answer import ANSWER_SCHEMA, ANSWER_SCHEMA_NAME, answer_to_document
from kata_cli.spec.document import Document
from kata_cli.spec.lint import lint

GOALS = ("Make save atomic", "Retry the upload", "Add a flag and document it", "Drop stale rows", "make save")


def drafted(goal: str, previous: Document | None = None, *, before: str = "") -> Document:
    """The draft of a goal, as a revision where there is one to revise."""
    shown = "\n\n".join(part for part in (before, revised(previous) if previous else "", goal) if part)
    request = Request(
        task="t",
        role="synthesize",
        goal=goal,
        model=ModelRef("mock", "mock-1"),
        messages=(Message("user", shown),),
        schema=ANSWER_SCHEMA,
        schema_name=ANSWER_SCHEMA_NAME,
    )
    document = answer_to_document(
        write_answer(request),
        spec_id="x",
        runtime_mode="mock",
        revision=previous.revision + 1 if previous else 1,
        previous=previous,
    )
    assert isinstance(document, Document), document
    return document


def test_a_revision_keeps_what_was_there_and_numbers_on() -> None:
    """Earlier requirements, criteria and tasks stay under their ids; the new ones come after the highest."""
    first = drafted("Make save atomic")
    second = drafted("Retry the upload", first)
    assert second.revision == 2
    assert second.requirements[: len(first.requirements)] == first.requirements
    assert second.criteria[: len(first.criteria)] == first.criteria
    assert [entry.id for entry in second.requirements] == ["REQ-001", "REQ-002"]
    assert "upload" in second.requirements[1].text
    assert second.criteria[1].requirements == ["REQ-002"]
    assert {task.requirements[0] for task in second.tasks[len(first.tasks) :]} == {"REQ-002"}
    assert second.decisions == ["Revised for: Retry the upload"]


def test_the_same_goal_again_adds_nothing() -> None:
    """A revision for a goal that the draft covers already has the same requirements, criteria and tasks."""
    first = drafted("Make save atomic")
    second = drafted("Make save atomic", first)
    assert (second.requirements, second.criteria, second.tasks) == (
        first.requirements,
        first.criteria,
        first.tasks,
    )


@given(st.lists(st.sampled_from(GOALS), min_size=2, max_size=5))
@settings(max_examples=40, deadline=None)
def test_any_chain_of_revisions_stays_free_of_errors(goals: list[str]) -> None:
    """However often a draft is revised, lint finds no error, and no earlier entry changes its id or text."""
    document = drafted(goals[0])
    for goal in goals[1:]:
        earlier, document = document, drafted(goal, document)
        assert [found.rule for found in lint(document) if found.severity == "error"] == []
        texts = {entry.id: entry.text for entry in document.requirements}
        assert all(texts[entry.id] == entry.text for entry in earlier.requirements)


def test_a_ticked_task_stays_ticked() -> None:
    """What was done before the revision is done after it."""
    first = drafted("Make save atomic")
    ticked = msgspec.structs.replace(
        first, tasks=[msgspec.structs.replace(first.tasks[0], is_done=True), *first.tasks[1:]]
    )
    assert drafted("Retry the upload", ticked).tasks[0].is_done


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", json.dumps({"requirements": 3})])
def test_what_only_looks_like_a_draft_is_none(text: str) -> None:
    """A goal may hold anything, also a fence of ours; it makes no revision and no crash."""
    hostile = f'<input name="draft" revision="1">\n{text}\n</input>'
    assert drafted("Make save atomic", before=hostile).requirements[0].id == "REQ-001"
