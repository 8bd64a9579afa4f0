"""Each lint rule finds its fault, at its line, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kata_cli.spec.document import Criterion, Document, Question, Requirement, Step, Task
from kata_cli.spec.lint import RULES, lint
from kata_cli.spec.parse import parse_with_lines
from kata_cli.spec.render import render

REQUIREMENT = Requirement(id="REQ-001", title="Refuse", text="The gate SHALL answer 429.")
CRITERION = Criterion(id="AC-001", requirements=["REQ-001"], text="GIVEN a limit WHEN it is hit THEN 429")
FIRST = Task(id="T-001", role="implement", requirements=["REQ-001"], text="Count calls", path="src/gate.py")
SECOND = Task(
    id="T-002", role="verify", requirements=["REQ-001"], text="Test", path="tests/gate.py", after=["T-001"]
)
STEP = Step(criterion="AC-001", command="pytest -q")
SOUND = Document(
    id="s",
    title="Gate",
    goal="Calls over the limit are refused.",
    requirements=[REQUIREMENT],
    criteria=[CRITERION],
    tasks=[FIRST, SECOND],
    verification=[STEP],
)


def with_(entry: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(entry, **changes)


def sound(**changes: Any) -> Document:
    return msgspec.structs.replace(SOUND, **changes)


QUESTIONS = [Question(id=f"Q-{number:03d}", text="who?") for number in range(1, 5)]
LONG_REQUIREMENT = with_(REQUIREMENT, text="The gate SHALL wait" + " long" * 100)

FAULTS: list[tuple[str, Document, str]] = [
    ("KS003", sound(goal=""), "the section Goal is empty"),
    ("KS003", sound(goal="[NEEDS CLARIFICATION: which limit?]"), "the goal still holds the placeholder"),
    ("KS003", sound(requirements=[with_(REQUIREMENT, text="")]), "REQ-001 has no text"),
    ("KS003", sound(risks=["TODO: think"]), "Risks 1 still holds the placeholder TODO:"),
    ("KS003", sound(context=["the <name> of it"]), "Context 1 still holds the placeholder <name>"),
    ("KS004", sound(tasks=[FIRST, with_(SECOND, id="T-001", after=[])]), "T-001 stands twice"),
    ("KS005", sound(open_questions=[Question(id="Q-1", text="who?")]), "Q-1 should be Q-001"),
    ("KS006", sound(tasks=[FIRST, with_(SECOND, requirements=["REQ-002"])]), "T-002 refers to REQ-002"),
    ("KS006", sound(verification=[STEP, with_(STEP, criterion="AC-009")]), "step refers to AC-009"),
    ("KS007", sound(requirements=[with_(REQUIREMENT, text="It may `SHALL`.")]), "REQ-001 has no SHALL"),
    ("KS008", sound(requirements=[with_(REQUIREMENT, text="It SHALL a and SHALL b.")]), "more than one"),
    ("KS008", sound(requirements=[with_(REQUIREMENT, text="It SHALL a and also b.")]), "more than one"),
    ("KS010", sound(criteria=[with_(CRITERION, requirements=[])]), "REQ-001 has no acceptance criterion"),
    ("KS011", sound(criteria=[with_(CRITERION, requirements=[])]), "AC-001 is not tied to a requirement"),
    ("KS012", sound(criteria=[with_(CRITERION, text="it works")]), "AC-001 has no WHEN"),
    (
        "KS014",
        sound(criteria=[with_(CRITERION, text="GIVEN the gate, WHEN and THEN answer 429")]),
        "AC-001 says little more than REQ-001",
    ),
    ("KS015", sound(tasks=[with_(FIRST, requirements=[])]), "REQ-001 has no task"),
    ("KS016", sound(tasks=[FIRST, with_(SECOND, requirements=[])]), "T-002 serves no requirement"),
    ("KS017", sound(tasks=[with_(FIRST, after=["T-002"]), SECOND]), "T-001 comes after itself"),
    ("KS017", sound(tasks=[FIRST, with_(SECOND, after=["T-007"])]), "T-002 comes after T-007"),
    ("KS018", sound(tasks=[FIRST, with_(SECOND, path=FIRST.path, after=[])]), "T-001 and T-002 touch"),
    ("KS019", sound(tasks=[FIRST, with_(SECOND, role="", path="")]), "T-002 has no role and no path"),
    ("KS020", sound(criteria=[CRITERION, with_(CRITERION, id="AC-002")]), "AC-002 has no verification step"),
    ("KS021", sound(verification=[with_(STEP, command="", note="look")]), "step of AC-001 has no command"),
    ("KS022", sound(open_questions=QUESTIONS), "4 open questions"),
    ("KS023", sound(status="accepted", open_questions=QUESTIONS[:1]), "the status is accepted, but"),
    ("KS025", sound(goal="Calls are counted. Then they are refused."), "more than one sentence"),
    ("KS025", sound(goal="long " * 61), "the goal has 304 characters"),
    ("KS025", sound(requirements=[LONG_REQUIREMENT]), "REQ-001 has 519 characters"),
    ("KS027", sound(risks=["the key sk-ant-api03-" + "A1b2" * 20]), "Risks 1 holds what looks like a secret"),
    ("KS027", sound(verification=[with_(STEP, command="x --key sk-ant-api03-" + "A1b2" * 20)]), "command of"),
    ("KS030", sound(criteria=[CRITERION, with_(CRITERION, id="AC-002")]), "AC with a check 1/2"),
]


def test_a_sound_draft_has_no_findings() -> None:
    """No rule cries wolf."""
    assert lint(SOUND, is_strict=True) == []


@pytest.mark.parametrize(("rule", "document", "message"), FAULTS, ids=[row[2] for row in FAULTS])
def test_each_fault_is_found(rule: str, document: Document, message: str) -> None:
    """The rule reports the fault by the id of what is wrong, with a fix."""
    found = [finding for finding in lint(document) if finding.rule == rule and message in finding.message]
    assert len(found) == 1
    assert found[0].fix


def test_every_rule_has_a_fault_that_it_finds() -> None:
    """A rule without a test here would be a rule that nobody saw working."""
    elsewhere = {"KS001", "KS002", "KS009", "KS013", "KS031"}
    assert {rule.id for rule in RULES} - {row[0] for row in FAULTS} == elsewhere


def test_style_rules_run_under_strict_only() -> None:
    """KS009 asks for an EARS pattern, but nobody is held to it who did not ask."""
    document = sound(requirements=[with_(REQUIREMENT, text="Refusals SHALL be told.")])
    assert lint(document) == []
    assert [finding.rule for finding in lint(document, is_strict=True)] == ["KS009"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The gate SHALL be fast and robust.", ["fast", "robust"]),
        ("The gate SHALL be fast: below 20 ms.", []),
        ("The gate SHALL have a `fast` path.", []),
        ("The gate SHALL log users, calls, etc.", ["etc"]),
        ("The gate SHALL open and/or close.", ["and/or"]),
    ],
)
def test_vague_words_need_a_figure_under_strict(text: str, words: list[str]) -> None:
    """KS013 names each vague word once, unless a figure stands beside it or it is code."""
    document = sound(requirements=[with_(REQUIREMENT, text=text)])
    assert "KS013" not in [finding.rule for finding in lint(document)]
    found = [finding.message for finding in lint(document, is_strict=True) if finding.rule == "KS013"]
    assert found == [f"REQ-001 says {word}, which cannot be checked" for word in words]


@pytest.mark.parametrize("goal", ["Use v1.2 of e.g. the gate.", "Is it fast? yes", "See `a. B` there."])
def test_a_full_stop_inside_a_sentence_ends_none(goal: str) -> None:
    """KS025 counts a sentence only where the next one begins with a capital."""
    assert lint(sound(goal=goal)) == []


GERMAN = [
    "Das Tor weist jeden Aufruf über der Grenze ab und schreibt ihn in das Protokoll.",
    "Jeder abgewiesene Aufruf bekommt die Antwort 429 zusammen mit einer Wartezeit.",
]
CHINESE = ["超过限制的每个调用都会被网关拒绝并写入日志。", "被拒绝的调用会收到四百二十九以及等待时间。"]


@pytest.mark.parametrize("sentences", [GERMAN, CHINESE], ids=["German", "Chinese"])
def test_no_draft_is_held_to_english_words(sentences: list[str]) -> None:
    """KS007 is a warning in another language, and WHEN, EARS and vague words are not asked for."""
    document = sound(
        goal=sentences[0],
        requirements=[with_(REQUIREMENT, title="Tor", text=sentences[0])],
        criteria=[with_(CRITERION, text=sentences[1])],
    )
    found = [(finding.rule, finding.severity) for finding in lint(document, is_strict=True)]
    assert found == [("KS007", "warning")]


def test_missing_and_misplaced_sections_are_found_in_the_file() -> None:
    """KS002 looks at the user's own file: what is missing there, and what stands out of order."""
    text = render(SOUND).replace("## Verification Plan\n\n- AC-001: `pytest -q`\n", "## Context\n\n- late\n")
    document, lines = parse_with_lines(text)
    found = [
        (finding.message, finding.severity, finding.line)
        for finding in lint(document, lines=lines)
        if finding.rule == "KS002"
    ]
    assert found == [
        ("the section Verification Plan is missing", "error", 0),
        ("the section Context stands too late", "warning", lines["Context"]),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Build a TODO list",
        "store each TODO.",
        "use `TODO:` and `<name>`",
        "wait … then go",
        "List<T> is fine",
    ],
)
def test_words_that_only_look_like_placeholders_pass(text: str) -> None:
    """A TODO app may be specified, and code spans are not read."""
    assert lint(sound(context=[text])) == []


def test_findings_stand_in_the_order_of_the_draft() -> None:
    """Findings come by line, then rule, and a finding's line is that of the rendered draft."""
    document = sound(goal="", tasks=[with_(FIRST, role=""), with_(SECOND, requirements=[], role="")])
    findings = lint(document)
    places = [(finding.line, finding.rule) for finding in findings]
    assert places == sorted(places)
    rows = render(document).split("\n")
    row = next(rows[finding.line - 1] for finding in findings if finding.rule == "KS016")
    assert row.startswith("- [ ] T-002")


def test_a_long_chain_of_tasks_is_no_cycle() -> None:
    """Order is followed over any distance, without recursion."""
    chain = [
        with_(FIRST, id=f"T-{n:03d}", path=f"src/{n}.py", after=[f"T-{n - 1:03d}"] if n > 1 else [])
        for n in range(1, 400)
    ]
    chain.append(with_(FIRST, id="T-400", path="src/1.py", after=["T-399"]))
    assert lint(sound(tasks=chain)) == []


def test_s1_a_finding_never_repeats_the_secret() -> None:
    """s1: the message of KS027 says where the secret is, not what it is."""
    secret = "sk-ant-api03-" + "A1b2" * 20
    findings = lint(sound(goal=f"use {secret}"))
    assert [finding.rule for finding in findings] == ["KS027"]
    assert secret not in findings[0].message
