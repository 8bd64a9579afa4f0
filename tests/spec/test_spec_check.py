"""A file is checked as far as it can be read, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.errors import Exit, KataError
from kata_cli.core.records import Finding
from kata_cli.spec.blocks import SpecSyntaxError
from kata_cli.spec.check import check
from kata_cli.spec.document import Criterion, Document, Requirement, Step, Task
from kata_cli.spec.parse import parse
from kata_cli.spec.render import render

DRAFT = render(
    Document(
        id="s",
        title="Gate",
        goal="Calls over the limit are refused.",
        requirements=[Requirement(id="REQ-001", title="Refuse", text="The gate SHALL answer 429.")],
        criteria=[Criterion(id="AC-001", requirements=["REQ-001"], text="WHEN the limit is hit THEN 429")],
        tasks=[Task(id="T-001", role="implement", requirements=["REQ-001"], text="Count", path="src/a.py")],
        verification=[Step(criterion="AC-001", command="pytest -q")],
    )
)
SECRET = "sk-ant-api03-" + "A1b2" * 20


def line_of(text: str, part: str) -> int:
    """The line on which a part of a text begins."""
    return text[: text.index(part)].count("\n") + 1


def found(text: str, *, is_strict: bool = False) -> list[tuple[str, str, int]]:
    return [(one.rule, one.severity, one.line) for one in check(text, is_strict=is_strict).findings]


def rules(text: str) -> list[str]:
    return [one.rule for one in check(text).findings]


def told(text: str, rule: str) -> Finding:
    """The only finding of a rule."""
    [finding] = [one for one in check(text).findings if one.rule == rule]
    return finding


def test_a_sound_draft_passes() -> None:
    """What kata writes has nothing to mend, not under strict either, with a BOM and CRLF neither."""
    assert found(DRAFT, is_strict=True) == []
    assert found("\ufeff" + DRAFT.replace("\n", "\r\n")) == []
    assert check(DRAFT).shape == "kata"


def test_one_fault_does_not_hide_the_others() -> None:
    """A draft is read on after each fault, and each is told at its line."""
    text = DRAFT.replace("revision: 1", "revision: one").replace("SHALL", "may")
    text += "\n| a | b |\n|---|---|\n\n## Gaol\n\n- TODO: x\n\n## Tasks\n\n- [ ] T-001 twice\n"
    assert [(rule, line) for rule, severity, line in found(text) if severity == "error"] == [
        ("KS001", 6),
        ("KS007", line_of(text, "### REQ-001")),
        ("KS031", line_of(text, "| a")),
        ("KS002", line_of(text, "## Gaol")),
        ("KS003", line_of(text, "- TODO")),
        ("KS002", line_of(text, "## Tasks\n\n- [ ] T-001 twice")),
        ("KS004", line_of(text, "- [ ] T-001 twice")),
    ]


def test_a_section_that_cannot_be_read_is_not_called_empty() -> None:
    """What stands there in another form is told once, as that."""
    text = DRAFT.replace("- AC-001: `pytest -q`", "Run pytest.")
    assert "KS003" not in rules(text)
    assert "found `Run pytest.`" in told(text, "KS031").message


def test_a_missing_section_is_told_once() -> None:
    """A section that is not there is missing, not also empty."""
    text = DRAFT.replace("## Goal\n\nCalls over the limit are refused.\n\n", "")
    assert rules(text) == ["KS002"]


def test_code_blocks_are_code() -> None:
    """A code block is refused as a whole: its rows are no headings, placeholders or tables, but may leak."""
    block = f"\n```sh\n# TODO: x\n| y |\nexport KEY={SECRET}\n```\n\n## Risks\n\n- late\n"
    assert [rule for rule in rules(DRAFT + block) if rule != "KS002"] == ["KS031", "KS027"]


def test_a_draft_without_front_matter_is_still_a_draft() -> None:
    """Two of the fixed sections are enough to know it by; the missing front matter is told once."""
    text = DRAFT.partition("---\n\n")[2]
    assert found(text) == [("KS001", "error", 1)]


def test_a_schema_that_kata_does_not_know() -> None:
    """Another schema is KS001; a later one of kata is exit 11, as everywhere."""
    assert "KS001" in rules(DRAFT.replace("kata.spec/v1", "other/v3"))
    with pytest.raises(KataError, match=r"kata\.spec/v2") as caught:
        check(DRAFT.replace("kata.spec/v1", "kata.spec/v2"))
    assert caught.value.failure.exit == Exit.IO


IGNORE = "<!-- kata-ignore KS007: the law says may -->"
MAY = DRAFT.replace("SHALL", "may")


def test_an_ignore_silences_its_rule_in_its_entry() -> None:
    """The finding is not lost: it is listed with the reason."""
    checked = check(MAY.replace("429.\n", f"429. {IGNORE}\n"))
    assert checked.findings == []
    assert [(one.finding.rule, one.reason) for one in checked.ignored] == [("KS007", "the law says may")]


@pytest.mark.parametrize(
    ("place", "comment"),
    [
        ("src/a.py` — after: none", IGNORE),
        ("429.\n", "<!-- kata-ignore KS008: another rule -->"),
        ("429.\n", f"`{IGNORE}`"),
    ],
    ids=["another entry", "another rule", "code"],
)
def test_an_ignore_silences_nothing_else(place: str, comment: str) -> None:
    """Neither another entry nor another rule, and code is no comment."""
    text = MAY.replace(place, f"{comment} {place}")
    assert "KS007" in rules(text)
    assert check(text).ignored == []


def test_an_ignore_in_an_entry_covers_its_section_and_the_file() -> None:
    """Findings of the section as a whole, or of the file, need a place to be silenced from too."""
    questions = "".join(f"- Q-00{n} who?\n" for n in range(1, 5))
    text = f"{DRAFT}\n## Open Questions\n\n{questions}"
    assert rules(text) == ["KS022"]
    assert rules(text.replace("who?", "who? <!-- kata-ignore KS022: all four are asked -->", 1)) == []


@pytest.mark.parametrize(
    ("comment", "says"),
    [
        ("<!-- kata-ignore KS007 -->", "`KS007` lacks rule or reason"),
        ("<!-- kata-ignore KS007: -->", "lacks rule or reason"),
        ("<!-- kata-ignore -->", "lacks rule or reason"),
        ("<!-- kata-ignore KS999: because -->", "no rule KS999"),
    ],
)
def test_an_ignore_without_reason_or_rule_is_told(comment: str, says: str) -> None:
    """It silences nothing and is itself a finding."""
    text = MAY.replace("429.\n", f"429. {comment}\n")
    assert says in told(text, "KS032").message
    assert "KS007" in rules(text)


OPENSPEC = f"""\
## ADDED Requirements

### Requirement: Refuse calls

The gate SHALL answer 429.

#### Scenario: Over the limit

- **WHEN** the limit is hit
- **THEN** the answer is 429

### Requirement: Count calls
The gate counts calls.

#### Scenario: Counted
- it works, [NEEDS CLARIFICATION: how?]

### Requirement: Refuse calls
The gate SHALL tell why.
<!-- a template says TODO: here -->

## REMOVED Requirements

### Requirement: Old
Reason: {SECRET}
"""


def test_openspec_is_read() -> None:
    """A delta of OpenSpec: requirements, scenarios, names that stand twice; what is removed needs nothing."""
    assert check(OPENSPEC).shape == "openspec"
    assert found(OPENSPEC) == [
        ("KS001", "info", 0),
        ("KS007", "error", 12),
        ("KS003", "error", 15),
        ("KS012", "warning", 15),
        ("KS004", "error", 18),
        ("KS027", "error", 25),
    ]


KIRO = """\
# Requirements Document

## Introduction

The gate.

## Requirements

### Requirement 1

**User Story:** As a caller, I want an answer, so that I can wait.

#### Acceptance Criteria

1. WHEN the limit is hit, THE gate SHALL answer 429
2. The gate counts and must be TBD

### Requirement 2: Nothing below

**User Story:** As a caller, I want more.
"""


def test_kiro_is_read() -> None:
    """Kiro's numbered criteria are the requirements; a requirement without any is told."""
    checked = check(KIRO)
    assert checked.shape == "kiro"
    assert found(KIRO) == [("KS001", "info", 0), ("KS003", "error", 16), ("KS010", "error", 18)]
    assert "criterion 1.2 still holds the placeholder TBD" in told(KIRO, "KS003").message


SPEC_KIT = """\
# Feature Specification: Gate

**Status**: Draft

- **FR-001**: System MUST answer 429
- **FR-002**: System answers
  in time
- **FR-002**: System MUST wait <br> long
"""


def test_spec_kit_is_read() -> None:
    """The functional requirements of spec-kit: each binds, and no number stands twice."""
    assert check(SPEC_KIT).shape == "spec-kit"
    assert found(SPEC_KIT) == [("KS001", "info", 0), ("KS007", "error", 6), ("KS004", "error", 8)]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("# Tasks: Gate\n\n- [ ] T001 [P] Count in src/a.py\n- [x] T001 Again\n", "tasks"),
        ("## 1. Gate\n\n- [ ] 1.1 Count\n  - [ ] 1.1 Again\n", "tasks"),
    ],
)
def test_task_lists_are_read(text: str, shape: str) -> None:
    """spec-kit counts with T001, OpenSpec and Kiro with 1.1, nested or not."""
    assert check(text).shape == shape
    assert rules(text) == ["KS001", "KS004"]


def test_an_openspec_proposal_is_read() -> None:
    """Of a proposal, placeholders and secrets can be checked."""
    text = "# Change\n\n## Why\n\nTBD\n\n## What Changes\n\n- a\n"
    assert check(text).shape == "openspec-proposal"
    assert found(text) == [("KS001", "info", 0), ("KS003", "error", 5)]


@pytest.mark.parametrize(
    "text", ["", "\n", "# A page\n\nwords\n", "---\ntitle: x\n---\nwords\n", "\x00\ud800"]
)
def test_what_is_no_spec_is_told_so_once(text: str) -> None:
    """A file of no known shape is one error, no flood."""
    assert found(text) == [("KS001", "error", 0)]


def test_f87_every_cut_of_a_draft_is_checked() -> None:
    """F87: a draft that ends anywhere before its last entry is checked without a crash, and has an error."""
    for length in range(DRAFT.index("AC-001: ") + len("AC-001")):
        assert any(one.severity == "error" for one in check(DRAFT[:length]).findings), length


ROWS = st.sampled_from([*DRAFT.split("\n"), *OPENSPEC.split("\n"), *KIRO.split("\n"), *SPEC_KIT.split("\n")])
TEXTS = st.lists(ROWS | st.text(max_size=12), max_size=12).map("\n".join)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_f87_any_text_is_checked_and_every_line_exists(text: str) -> None:
    """F87: no text is a crash, and each finding stands on a line of the file."""
    for finding in check(text, is_strict=True).findings:
        assert 0 <= finding.line <= text.count("\n") + 1


@settings(max_examples=100, deadline=None)
@given(TEXTS.map(lambda text: DRAFT + text))
def test_what_parses_has_no_fault_of_form(text: str) -> None:
    """lint and the strict parser agree on what a draft is: KS001, KS002 of a section, or KS031, or none."""
    try:
        parse(text)
        is_sound = True
    except SpecSyntaxError:
        is_sound = False
    faults = [one for one in check(text).findings if one.message.startswith(("expected", "front matter"))]
    assert is_sound == (not faults)
