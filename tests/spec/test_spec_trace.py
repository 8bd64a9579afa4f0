"""The threads of a draft, what is missing in them, and the tests that cite them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.spec.citations import Citation, citations
from kata_cli.spec.coverage import Share
from kata_cli.spec.document import Criterion, Document, Requirement, Step, Task
from kata_cli.spec.parse import parse_with_lines
from kata_cli.spec.render import render
from kata_cli.spec.trace import Gap, Place, Trace, trace, unknown_citations

WHOLE = Document(
    id="shelf",
    title="Shelf",
    goal="Keep records.",
    requirements=[Requirement(id="REQ-001", title="Save", text="The shelf SHALL save.")],
    criteria=[Criterion(id="AC-001", requirements=["REQ-001"], text="GIVEN a WHEN b THEN c")],
    tasks=[Task(id="T-001", requirements=["REQ-001"], text="Build it", path="shelf.py")],
    verification=[Step(criterion="AC-001", command="pytest -q"), Step(criterion="AC-001", note="look")],
)


def traced(document: Document, cited: list[Citation] | None = None) -> Trace:
    """The trace of a document as it stands in its file."""
    return trace("spec.md", document, parse_with_lines(render(document))[1], cited)


def gaps(document: Document, cited: list[Citation] | None = None) -> list[tuple[str, str]]:
    """Kind and message of each gap."""
    return [(gap.kind, gap.message) for gap in traced(document, cited).gaps]


def test_a_whole_draft_has_no_gap() -> None:
    """Each requirement is linked to what accepts, builds and checks it; all shares are full."""
    found = traced(WHOLE)
    [requirement], [criterion] = found.requirements, found.criteria
    assert (requirement.criteria, requirement.tasks) == (["AC-001"], ["T-001"])
    assert [step.command or step.note for step in criterion.checks] == ["pytest -q", "look"]
    full = Share(covered=1, total=1, percent=100)
    coverage = found.coverage
    assert coverage.requirements_with_criteria == coverage.requirements_with_tasks == full
    assert coverage.criteria_with_checks == full
    assert coverage.criteria_with_tests is None
    assert found.gaps == []


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        ({"criteria": [], "verification": []}, ("uncovered", "REQ-001 has no acceptance criterion")),
        ({"tasks": []}, ("uncovered", "REQ-001 has no task")),
        ({"verification": []}, ("uncovered", "AC-001 has no verification step")),
        (
            {"tasks": [*WHOLE.tasks, Task(id="T-002", requirements=["REQ-009"], text="x")]},
            ("dangling", "T-002 refers to REQ-009, which does not exist"),
        ),
        (
            {"verification": [*WHOLE.verification, Step(criterion="AC-009", note="x")]},
            ("dangling", "a verification step refers to AC-009, which does not exist"),
        ),
        (
            {"tasks": [*WHOLE.tasks, Task(id="T-002", text="x")]},
            ("dangling", "T-002 serves no requirement"),
        ),
    ],
)
def test_each_gap_is_named(changes: dict[str, object], gap: tuple[str, str]) -> None:
    """What is not covered, or leads nowhere, is exactly one gap with its line in the file."""
    document = msgspec.structs.replace(WHOLE, **changes)
    found = traced(document).gaps
    assert [(one.kind, one.message) for one in found] == [gap]
    assert found[0].line > 0


def test_a_criterion_that_no_test_cites_is_a_gap() -> None:
    """With tests looked at, each criterion needs one; ids mean the same with and without leading zeros."""
    assert gaps(WHOLE, []) == [("uncovered", "AC-001 is cited by no test")]
    cited = citations("def test_ac_1_saves(): ...\n# REQ-001", "tests/a.py")
    found = traced(WHOLE, cited)
    assert found.gaps == []
    assert found.criteria[0].tests == [Place("tests/a.py", 1)]
    assert found.requirements[0].tests == [Place("tests/a.py", 2)]
    assert found.coverage.criteria_with_tests == Share(covered=1, total=1, percent=100)


def test_citations_of_what_does_not_exist() -> None:
    """A test that cites an unknown id is named with its file and line."""
    cited = citations("AC-001\nAC-404", "tests/a.py")
    assert unknown_citations(cited, [WHOLE]) == [
        Gap("dangling", "AC-404 is cited, and does not exist", "tests/a.py", 2)
    ]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("AC-001", ["AC-001"]),
        ("covers ac-1, AC-1 and REQ_12.", ["AC-001", "REQ-012"]),
        ("def test_req_007_ac_0012():", ["REQ-007", "AC-012"]),
        ("MAC-001 XREQ-1 AC- ac_ AC-1234567890", []),
        ("T-001 Q-001", []),
    ],
)
def test_forms_of_a_citation(text: str, ids: list[str]) -> None:
    """An id stands alone or in the name of a test, in any case, once per line."""
    assert [citation.id for citation in citations(text, "a")] == ids


def test_an_empty_draft_has_no_percentages() -> None:
    """A share of nothing is no number."""
    empty = msgspec.structs.replace(WHOLE, requirements=[], criteria=[], tasks=[], verification=[])
    assert traced(empty).coverage.requirements_with_tasks == Share(covered=0, total=0, percent=None)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_shares_and_gaps_agree(required: set[int], accepted: set[int], built: set[int]) -> None:
    """A requirement is in a share exactly when no gap names it as uncovered there."""
    document = msgspec.structs.replace(
        WHOLE,
        requirements=[Requirement(id=f"REQ-{number:03d}", text="x") for number in required],
        criteria=[Criterion(id=f"AC-{n:03d}", requirements=[f"REQ-{n:03d}"], text="x") for n in accepted],
        tasks=[Task(id=f"T-{n:03d}", requirements=[f"REQ-{n:03d}"], text="x") for n in built],
        verification=[],
    )
    found = traced(document)
    messages = [gap.message for gap in found.gaps]
    for share, phrase in (
        (found.coverage.requirements_with_criteria, "has no acceptance criterion"),
        (found.coverage.requirements_with_tasks, "has no task"),
        (found.coverage.criteria_with_checks, "has no verification step"),
    ):
        assert share.total - share.covered == sum(phrase in message for message in messages)
