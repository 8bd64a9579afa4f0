"""Findings as JUnit XML, which GitLab, Jenkins and others show as a test report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from kata_cli.core.records import Finding
from kata_cli.core.text import neutral
from kata_cli.spec.report import FileReport, Unread, count

_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(reports: Sequence[FileReport], failing: Sequence[str], unread: Sequence[Unread] = ()) -> str:
    """A suite for each file and a test case for each finding.

    Those of a `failing` severity fail, all others and what is ignored are skipped; a file without findings
    is one case that passes, an unread one a case with an error.
    """
    totals = _totals(reports, failing, len(unread))
    rows = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites{totals}>"]
    for report in reports:
        rows.append(f'  <testsuite name="{_attribute(report.file)}"{_totals([report], failing)}>')
        rows.extend(f"    {case}" for case in _cases(report, failing))
        rows.append("  </testsuite>")
    for one in unread:
        rows.append(f'  <testsuite name="{_attribute(one.file)}"{_totals([], failing, 1)}>')
        rows.append(f"    {_error(one)}")
        rows.append("  </testsuite>")
    return "\n".join([*rows, "</testsuites>"]) + "\n"


def _totals(reports: Sequence[FileReport], failing: Sequence[str], errors: int = 0) -> str:
    counts = count(reports)
    failures = sum(counts[severity] for severity in failing)
    passed = sum(not (report.findings or report.ignored) for report in reports)
    skipped = sum(counts.values()) - failures
    tests = failures + skipped + passed + errors
    return f' tests="{tests}" failures="{failures}" skipped="{skipped}" errors="{errors}"'


def _error(unread: Unread) -> str:
    file = _attribute(unread.file)
    return (
        f'<testcase classname="{file}" name="lint" file="{file}">'
        f'<error message="{_attribute(unread.told)}" type="io" /></testcase>'
    )


def _cases(report: FileReport, failing: Sequence[str]) -> Iterator[str]:
    for finding in report.findings:
        kind = "failure" if finding.severity in failing else "skipped"
        yield _case(report, finding, kind, f"{finding.message}: {finding.fix}")
    for ignored in report.ignored:
        yield _case(report, ignored.finding, "skipped", f"ignored: {ignored.reason}")
    if not (report.findings or report.ignored):
        yield f'<testcase classname="{_attribute(report.file)}" name="lint" />'


def _case(report: FileReport, finding: Finding, kind: str, message: str) -> str:
    file = _attribute(report.file)
    name = _attribute(f"{finding.rule} line {max(finding.line, 1)}: {finding.message}")
    type_ = f' type="{finding.severity}"' if kind == "failure" else ""
    return (
        f'<testcase classname="{file}" name="{name}" file="{file}" line="{max(finding.line, 1)}">'
        f'<{kind} message="{_attribute(message)}"{type_} /></testcase>'
    )


def _attribute(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", neutral(text))).replace("\n", "&#10;").replace("\t", "&#9;")
