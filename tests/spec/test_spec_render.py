"""The canonical Markdown and the JSON of a document, to the letter."""

from __future__ import annotations

import json

from kata_cli.spec.document import Criterion, Document, Question, Requirement, Step, Task
from kata_cli.spec.render import render, spec_json

DOCUMENT = Document(
    id="limit",
    title='The "gate"',
    runtime_mode="mock",
    goal="Requests over the limit are refused.",
    context=["src/gate.py counts nothing yet", "# not a heading"],
    requirements=[
        Requirement(id="REQ-001", title="Refuse", text="The gate SHALL answer 429."),
        Requirement(id="REQ-003", title="Tell", text="The gate SHALL send Retry-After."),
    ],
    criteria=[Criterion(id="AC-001", requirements=["REQ-001", "REQ-003"], text="GIVEN a WHEN b THEN c")],
    tasks=[
        Task(id="T-001", role="implement", requirements=["REQ-001"], text="Count calls", path="src/gate.py"),
        Task(id="T-002", is_done=True, text="Test it", after=["T-001"]),
    ],
    verification=[Step(criterion="AC-001", command="pytest -q", note="takes a minute")],
    open_questions=[Question(id="Q-001", text="Per client or per key?")],
)

MARKDOWN = """\
---
schema: "kata.spec/v1"
id: "limit"
title: "The \\"gate\\""
status: "draft"
revision: 1
runtime_mode: "mock"
---

## Goal

Requests over the limit are refused.

## Context

- src/gate.py counts nothing yet
- \\# not a heading

## Requirements

### REQ-001 Refuse

The gate SHALL answer 429.

### REQ-003 Tell

The gate SHALL send Retry-After.

## Acceptance Criteria

- **AC-001** (REQ-001, REQ-003) GIVEN a WHEN b THEN c

## Tasks

- [ ] T-001 [implement] (REQ-001) Count calls in `src/gate.py` — after: none
- [x] T-002 Test it — after: T-001

## Verification Plan

- AC-001: `pytest -q` — takes a minute

## Open Questions

- Q-001 Per client or per key?
"""


def test_the_format_is_exact() -> None:
    """Front matter, section order and every kind of line are as the format says."""
    assert render(DOCUMENT) == MARKDOWN


def test_the_four_fixed_sections_are_always_there() -> None:
    """An empty document still has its four headings, so that any reader finds them."""
    headings = [line for line in render(Document(id="s", title="t")).split("\n") if line.startswith("## ")]
    assert headings == ["## Goal", "## Acceptance Criteria", "## Tasks", "## Verification Plan"]


def test_x1_control_characters_are_shown_not_kept() -> None:
    """x1: an escape sequence in a model's text reaches the file as visible characters only."""
    text = render(Document(id="s", title="t", goal="safe \x1b]0;evil\x07 \u202e end"))
    assert "safe ^[]0;evil^G \\u{202e} end" in text


def test_json_holds_the_document_then_its_provenance() -> None:
    """Keys stand in a fixed order, and the hash of the Markdown is there."""
    data = spec_json(
        DOCUMENT,
        run={"id": "20261121-054412-k3f9q2", "finished_at": "2026-11-21T05:44:12.345Z"},
        generator={"name": "kata", "version": "1.0.0", "provider": "mock", "model": "mock/mock"},
        inputs=[{"path": "src/gate.py", "sha256": "00"}],
        hashes={"prompt": "11"},
    )
    whole = json.loads(data)
    assert list(whole) == [*Document.__struct_fields__, "run", "generator", "inputs", "hashes"]
    assert list(whole["hashes"]) == ["prompt", "markdown"]
    assert data.endswith(b"}\n")


def test_unknown_provenance_is_left_out() -> None:
    """What depends on time or chance is passed as None in mock mode and then leaves no trace."""
    data = spec_json(DOCUMENT, run={"id": None}, generator={"name": "kata"}, inputs=[], hashes={})
    assert json.loads(data)["run"] == {}
