"""Findings as lines: for a person, and for the log of a GitHub job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from kata_cli.core.records import Finding
from kata_cli.core.text import neutral, one_line
from kata_cli.spec.ignores import Ignored

MESSAGE_CHARS = 1000
SEVERITIES = ("error", "warning", "info")

_GITHUB_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}
# GitHub's runner obeys the older form anywhere in a line, Azure's agent its own.
_LOG_COMMANDS = ("##[", "##vso[")


class FileReport(msgspec.Struct, frozen=True):
    """The findings of one file. `shape` says what it was taken for: kata, openspec, kiro, spec-kit, …"""

    file: str
    shape: str
    findings: list[Finding]
    ignored: list[Ignored]


class Unread(msgspec.Struct, frozen=True):
    """A file that could not be checked, why, and what to do about it."""

    file: str
    message: str
    remediation: str

    @property
    def told(self) -> str:
        return neutral(one_line(f"{self.message}; {self.remediation}", MESSAGE_CHARS))


def count(reports: Iterable[FileReport]) -> dict[str, int]:
    """How many findings there are of each severity, and how many are ignored."""
    counts = dict.fromkeys((*SEVERITIES, "ignored"), 0)
    for report in reports:
        counts["ignored"] += len(report.ignored)
        for finding in report.findings:
            counts[finding.severity] += 1
    return counts


def as_text(reports: Sequence[FileReport]) -> str:
    """One line for each finding: `file:line: severity KS010 what is wrong (what to do)`."""
    return "".join(
        f"{harmless(_row(report.file, finding))}\n" for report in reports for finding in report.findings
    )


def _row(file: str, finding: Finding) -> str:
    told = one_line(f"{finding.message} ({finding.fix})", MESSAGE_CHARS)
    return f"{one_line(file, MESSAGE_CHARS)}:{max(finding.line, 1)}: {finding.severity} {finding.rule} {told}"


def harmless(row: str) -> str:
    """The row as no CI system takes it for a command, whatever file names and texts are in it."""
    for command in _LOG_COMMANDS:
        row = row.replace(command, f"#{command[1]}\\{command[2:]}")
    return f"./{row}" if row.startswith("::") else row


def as_github(reports: Sequence[FileReport], unread: Sequence[Unread] = ()) -> str:
    """One workflow command for each finding and unread file, which GitHub shows at the line of the file.

    Form and escapes: GitHub's "Workflow commands" and actions/toolkit `command.ts`.
    """
    rows = [_annotation(report.file, finding) for report in reports for finding in report.findings]
    rows += [f"::error file={_property(one.file)},title=unread::{_data(one.told)}" for one in unread]
    return "".join(f"{row}\n" for row in rows)


def _annotation(file: str, finding: Finding) -> str:
    properties = {"file": file, "line": str(max(finding.line, 1)), "title": finding.rule}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    told = _data(one_line(f"{finding.message} ({finding.fix})", MESSAGE_CHARS))
    return f"::{_GITHUB_LEVELS[finding.severity]} {listed}::{told}"


def _data(text: str) -> str:
    return neutral(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
