"""Drafts edited by hand: layout is tolerated, loss is not."""

from __future__ import annotations

import pytest

from kata_cli.core.errors import Exit, KataError
from kata_cli.spec.blocks import SpecSyntaxError
from kata_cli.spec.document import Document
from kata_cli.spec.parse import parse, parse_with_lines
from kata_cli.spec.render import render

MATTER = """\
---
schema: "kata.spec/v1"
id: "s"
title: "t"
status: "draft"
revision: 1
runtime_mode: "mock"
---
"""


def body(text: str) -> Document:
    return parse(MATTER + text)


def test_windows_and_editor_habits_are_tolerated() -> None:
    """A byte order mark, CRLF, blank lines and trailing blanks change nothing."""
    plain = MATTER + "## Goal\n\nOne.\n\n## Tasks\n\n- [ ] T-001 do — after: none\n"
    edited = "\ufeff" + plain.replace("\n\n", "\n\n\n\n").replace("\n", "  \r\n")
    assert parse(edited) == parse(plain)


def test_sections_may_stand_in_any_order() -> None:
    """A reordered file is the same document; writing it back restores the order."""
    document = body("## Risks\n\n- r\n\n## Goal\n\ng\n\n## Non-goals\n\n- n\n")
    assert (document.goal, document.risks, document.non_goals) == ("g", ["r"], ["n"])
    text = render(document)
    assert text.index("## Goal") < text.index("## Non-goals") < text.index("## Risks")


def test_wrapped_lines_are_one_text() -> None:
    """Paragraphs and items that an editor wrapped are joined with one blank."""
    document = body("## Goal\nOne\ntwo.\n## Risks\n- first\n  second\nthird\n- next\n")
    assert document.goal == "One two."
    assert document.risks == ["first second third", "next"]


def test_other_list_marks_and_paragraphs_are_items() -> None:
    """Stars, numbers and plain paragraphs in a list section become items."""
    assert body("## Context\n* a\n+ b\n1. c\n2) d\n\ne\n").context == ["a", "b", "c", "d", "e"]


def test_short_forms_of_a_task_are_read() -> None:
    """Role, references, path and predecessors may each be absent."""
    tasks = body("## Tasks\n- [X] T-1 do\n- [ ] T-002 (REQ-001,REQ-2) edit in `a` — after: T-1,T-3\n").tasks
    assert (tasks[0].id, tasks[0].is_done, tasks[0].text, tasks[0].after) == ("T-1", True, "do", [])
    assert (tasks[1].requirements, tasks[1].path, tasks[1].after) == (
        ["REQ-001", "REQ-2"],
        "a",
        ["T-1", "T-3"],
    )


def test_lines_are_those_of_the_file() -> None:
    """Sections, ids and entries are found at the lines an editor shows."""
    _, lines = parse_with_lines(MATTER + "\n## Goal\ng\n## Requirements\n### REQ-001 t\nx\n### REQ-001 u\n")
    assert lines == {
        "Goal": 10,
        "Requirements": 12,
        "REQ-001": 13,
        "Requirements 1": 13,
        "Requirements 2": 15,
    }


REFUSED = [
    ("## Gaol\nx\n", 9, "did you mean Goal?"),
    ("## Goal\na\n\nb\n", 12, "one paragraph under Goal"),
    ("## Goal\n- a\n", 10, "one paragraph under Goal"),
    ("## Goal\na\n## Goal\nb\n", 11, "the section Goal once"),
    ("text\n", 9, "## Goal"),
    ("# Title\n", 9, "a section (##)"),
    ("## Risks\n- a\n  - b\n", 11, "a flat list"),
    ("## Risks\n- a\n\n  b\n", 12, "a flat list"),
    ("## Risks\n```\nx\n```\n", 10, "not a code block"),
    ("## Risks\n> x\n", 10, "not a quote"),
    ("## Risks\n| a |\n", 10, "not a table"),
    ("## Risks\n***\n", 10, "not a rule"),
    ("## Risks\n### x\n", 10, "a list item under Risks"),
    ("## Requirements\nx\n", 10, "### REQ-001 Title"),
    ("## Requirements\n### R1 x\n", 10, "### REQ-001 Title"),
    ("## Requirements\n### REQ-001 x\na\n\nb\n", 13, "one paragraph below"),
    ("## Acceptance Criteria\n- AC-001 x\n", 10, "**AC-001**"),
    ("## Acceptance Criteria\nx\n", 10, "- **AC-001**"),
    ("## Tasks\n- T-001 x\n", 10, "[ ] T-001"),
    ("## Verification Plan\n- run it\n", 10, "AC-001: `command`"),
    ("## Open Questions\n- why?\n", 10, "Q-001"),
]


@pytest.mark.parametrize(("text", "line", "expected"), REFUSED, ids=[text for text, _, _ in REFUSED])
def test_what_cannot_be_kept_is_refused_with_its_line(text: str, line: int, expected: str) -> None:
    """The message says the line and what was expected there, so nothing is dropped in silence."""
    with pytest.raises(SpecSyntaxError) as caught:
        body(text)
    assert caught.value.line == line
    assert expected in str(caught.value)
    assert caught.value.failure.exit == Exit.USAGE


MATTERS = [
    ("", 1, "front matter that begins with ---"),
    ("## Goal\n", 1, "front matter that begins with ---"),
    ("---\nschema: 1\n", 3, "front matter that ends with ---"),
    (MATTER.replace('id: "s"\n', ""), 7, "the key `id`"),
    (MATTER.replace('"draft"', "draft"), 5, 'a JSON value, as in status: "text"'),
    (MATTER.replace('"draft"', '"done"'), 5, "a proper `status`"),
    (MATTER.replace(": 1", ": 0"), 6, "a proper `revision`"),
    (MATTER.replace('"t"', "3"), 4, "a proper `title`"),
    (MATTER.replace('"t"', "[" * 100_000), 4, "a JSON value"),
    (MATTER.replace("title:", "owner:"), 4, "one of the keys schema, id"),
    (MATTER.replace('id: "s"', 'id: "s"\nid: "s"'), 4, "`id` once"),
    (MATTER.replace("kata.spec/v1", "other/v1"), 2, 'schema: "kata.spec/v1"'),
]


@pytest.mark.parametrize(("text", "line", "expected"), MATTERS, ids=[expected for _, _, expected in MATTERS])
def test_bad_front_matter_is_refused_with_its_line(text: str, line: int, expected: str) -> None:
    """Every fault of the front matter has its own message."""
    with pytest.raises(SpecSyntaxError) as caught:
        parse(text)
    assert caught.value.line == line
    assert expected in str(caught.value)


def test_a_newer_schema_is_an_io_error() -> None:
    """A draft of a later kata is named as such, not taken for a broken file."""
    with pytest.raises(KataError, match=r"kata\.spec/v2") as caught:
        parse(MATTER.replace("kata.spec/v1", "kata.spec/v2"))
    assert caught.value.failure.exit == Exit.IO


def test_x1_a_message_shows_no_control_characters() -> None:
    """x1: what was found in the file is shown safely and shortened."""
    with pytest.raises(SpecSyntaxError) as caught:
        body("## \x1b[2J" + "x" * 500 + "\n")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400
