"""Findings as SARIF 2.1.0 (OASIS), which GitHub's code scanning and editors read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from kata_cli import __version__
from kata_cli.core.records import Finding
from kata_cli.core.text import neutral
from kata_cli.spec.lint import RULES
from kata_cli.spec.report import FileReport, Unread

SCHEMA_URI = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def as_sarif(reports: Sequence[FileReport], unread: Sequence[Unread] = ()) -> dict[str, Any]:
    """The log: one run with the rules that found something; ignored findings are suppressed results.

    An unread file is a notification, and the run then did not succeed (SARIF 2.1.0, 3.20.14 and 3.20.21).
    """
    results = [
        result
        for report in reports
        for result in (
            *(_result(report.file, finding) for finding in report.findings),
            *(_suppressed(report.file, ignored.finding, ignored.reason) for ignored in report.ignored),
        )
    ]
    driver = {"name": "kata", "version": __version__, "rules": _rules({one["ruleId"] for one in results})}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(unread)],
        "results": results,
    }
    return {"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}


def _invocation(unread: Sequence[Unread]) -> dict[str, Any]:
    notifications = [
        {
            "level": "error",
            "message": {"text": one.told},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(one.file)}}}],
        }
        for one in unread
    ]
    return {"executionSuccessful": not unread, "toolExecutionNotifications": notifications}


def _rules(ids: set[str]) -> list[dict[str, Any]]:
    fixes = {rule.id: rule.fix for rule in reversed(RULES)}  # of rows with one id, the first
    return [
        {"id": rule, **({"help": {"text": fixes[rule]}} if rule in fixes else {})} for rule in sorted(ids)
    ]


def _result(file: str, finding: Finding) -> dict[str, Any]:
    region = {"region": {"startLine": finding.line}} if finding.line else {}
    location = {"artifactLocation": {"uri": _uri(file)}, **region}
    return {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": neutral(f"{finding.message}: {finding.fix}")},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"kataFinding/v1": _fingerprint(file, finding)},
    }


def _suppressed(file: str, finding: Finding, reason: str) -> dict[str, Any]:
    return {**_result(file, finding), "suppressions": [{"kind": "inSource", "justification": reason}]}


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _fingerprint(file: str, finding: Finding) -> str:
    """The same for the same finding at another line, so that it is not taken for a new one."""
    return hashlib.sha256(f"{file}\0{finding.rule}\0{finding.message}".encode("utf-8", "replace")).hexdigest()
