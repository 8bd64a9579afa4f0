"""The findings in each form that another program reads."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.records import Finding
from kata_cli.spec.ignores import Ignored
from kata_cli.spec.report import FileReport, as_github, as_text, count
from kata_cli.spec.report_junit import as_junit
from kata_cli.spec.report_sarif import as_sarif

ERROR = Finding(rule="KS010", severity="error", message="REQ-001 has no AC", line=7, fix="add one")
WARNING = Finding(rule="KS022", severity="warning", message="4 questions", line=0, fix="decide")
INFO = Finding(rule="KS030", severity="info", message="coverage: 1/2", line=0, fix="close it")
IGNORED = Ignored(Finding(rule="KS013", severity="warning", message="fast", line=9, fix="say"), "law says so")
REPORTS = [
    FileReport("specs/a b.md", "kata", [ERROR, WARNING, INFO], [IGNORED]),
    FileReport("b.md", "kata", [], []),
]

HOSTILE = [
    "::error::x",
    "a\n::add-mask::x",
    "a\r::set-output name=x::y",
    "%0A::stop-commands::t",
    "##[add-mask]x",
    "##vso[task.setvariable variable=x]y",
    "\x1b]0;x\x07",
    "]]>&<'\"\x00\ud800\ufffe",
]
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=20)
HOSTILE_REPORTS = st.lists(
    st.builds(
        FileReport,
        file=TEXTS,
        shape=st.just("kata"),
        findings=st.lists(
            st.builds(
                Finding,
                rule=st.just("KS003"),
                severity=st.sampled_from(["error", "warning", "info"]),
                message=TEXTS,
                line=st.integers(0, 9),
                fix=TEXTS,
            ),
            max_size=3,
        ),
        ignored=st.lists(st.builds(Ignored, finding=st.just(ERROR), reason=TEXTS), max_size=1),
    ),
    max_size=3,
)


def test_text_is_one_line_for_each_finding() -> None:
    """`file:line: severity rule message`, as compilers say it, so that editors jump there."""
    assert as_text(REPORTS).split("\n") == [
        "specs/a b.md:7: error KS010 REQ-001 has no AC (add one)",
        "specs/a b.md:1: warning KS022 4 questions (decide)",
        "specs/a b.md:1: info KS030 coverage: 1/2 (close it)",
        "",
    ]


def test_github_gets_annotations() -> None:
    """One workflow command for each finding; properties and data are escaped as GitHub asks."""
    reports = [FileReport("a,b:c%.md", "kata", [ERROR, INFO], [])]
    assert as_github(reports).split("\n") == [
        "::error file=a%2Cb%3Ac%25.md,line=7,title=KS010::REQ-001 has no AC (add one)",
        "::notice file=a%2Cb%3Ac%25.md,line=1,title=KS030::coverage: 1/2 (close it)",
        "",
    ]


@settings(max_examples=80, deadline=None)
@given(HOSTILE_REPORTS)
def test_x3_no_text_acts_as_a_command_of_a_ci_log(reports: list[FileReport]) -> None:
    """X3: whatever a file says or is called, text holds no log command and github only kata's own."""
    findings = sum(len(report.findings) for report in reports)
    text, github = as_text(reports), as_github(reports)
    assert text.count("\n") == github.count("\n") == findings
    for row in text.split("\n"):
        assert not row.lstrip().startswith("::")
        assert not re.search(r"##\[|##vso\[", row)
    for row in github.split("\n")[:-1]:
        assert re.match(r"::(error|warning|notice) file=[^:,]*,line=\d+,title=KS003::", row)
        assert "\r" not in row


def test_sarif_has_the_structure_of_the_standard() -> None:
    """SARIF 2.1.0: required properties, levels of its own, every ruleId declared once, lines from 1."""
    log = json.loads(json.dumps(as_sarif(REPORTS)))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "kata"
    assert [rule["id"] for rule in driver["rules"]] == ["KS010", "KS013", "KS022", "KS030"]
    assert all(rule["help"]["text"] for rule in driver["rules"])
    results = run["results"]
    assert [result["level"] for result in results] == ["error", "warning", "note", "warning"]
    assert all(result["message"]["text"] for result in results)
    assert [location(result)["artifactLocation"]["uri"] for result in results] == ["specs/a%20b.md"] * 4
    assert [location(result).get("region") for result in results] == [
        {"startLine": 7},
        None,
        None,
        {"startLine": 9},
    ]
    assert [result.get("suppressions") for result in results] == [
        *[None] * 3,
        [{"kind": "inSource", "justification": "law says so"}],
    ]


def location(result: Any) -> Any:
    [place] = result["locations"]
    return place["physicalLocation"]


def test_sarif_knows_a_finding_again() -> None:
    """The fingerprint stays when the finding moves to another line, and differs for another file."""
    moved = Finding(rule="KS010", severity="error", message="REQ-001 has no AC", line=99, fix="add one")
    reports = [FileReport(file, "kata", [one], []) for file in ("a", "b") for one in (ERROR, moved)]
    prints = [
        result["partialFingerprints"]["kataFinding/v1"] for result in as_sarif(reports)["runs"][0]["results"]
    ]
    assert prints[0] == prints[1] != prints[2] == prints[3]


@pytest.mark.parametrize(
    ("failing", "failures"), [(["error"], 1), (["error", "warning"], 2), (["error", "warning", "info"], 3)]
)
def test_junit_counts_add_up(failing: list[str], failures: int) -> None:
    """Findings that fail the job are failures, all others are skipped, a clean file passes."""
    root = ElementTree.fromstring(as_junit(REPORTS, failing))
    assert root.tag == "testsuites"
    assert root.attrib == {
        "tests": "5",
        "failures": str(failures),
        "skipped": str(4 - failures),
        "errors": "0",
    }
    first, second = root
    assert (first.get("name"), first.get("tests"), second.get("tests")) == ("specs/a b.md", "4", "1")
    assert len(first.findall("testcase/failure")) == failures
    assert [case.get("message") for case in first.findall("testcase/skipped")][-1] == "ignored: law says so"
    assert [len(case) for case in second] == [0]


@settings(max_examples=80, deadline=None)
@given(HOSTILE_REPORTS)
def test_x1_junit_is_xml_whatever_it_holds(reports: list[FileReport]) -> None:
    """X1: control characters, quotes and half surrogates never break the XML, and every case is there."""
    text = as_junit(reports, ["error"])
    root = ElementTree.fromstring(text.encode())
    assert len(root.findall("testsuite/testcase")) == int(root.attrib["tests"])


def test_the_forms_are_deterministic() -> None:
    """The same findings give the same bytes: no time, no host, no random id."""
    assert as_junit(REPORTS, ["error"]) == as_junit(REPORTS, ["error"])
    assert as_sarif(REPORTS) == as_sarif(REPORTS)
    assert count(REPORTS) == {"error": 1, "warning": 1, "info": 1, "ignored": 1}
