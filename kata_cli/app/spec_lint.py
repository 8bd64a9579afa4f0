"""What `kata spec lint` needs: the findings of the files that were named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kata_cli.app.spec_files import STDIN, Say, check_names, spec_text
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.text import near
from kata_cli.output.figures import plural
from kata_cli.spec.check import Checked, check
from kata_cli.spec.report import SEVERITIES, FileReport, Unread, as_github, as_text, count

FORMATS = ("text", "json", "sarif", "junit", "github")

_LETTERS = {"E": "error", "W": "warning", "I": "info"}


class LintReport(msgspec.Struct, kw_only=True):
    """All files that were named (`kata.lint/v1`). `counts` has a number for each severity and `ignored`."""

    schema: str = "kata.lint/v1"
    files: list[FileReport]
    unread: list[Unread]
    counts: dict[str, int]
    failing: list[str]


def lint_files(
    names: Sequence[str], *, is_strict: bool, fail_on: str | None, say: Say
) -> tuple[LintReport, Failure | None]:
    """What the rules find in every file that can be read, and whether that is a failure.

    Findings of the severity `fail_on` or worse are one; it is `error`, under strict `warning`. Raises
    `KataError` usage for a severity that there is none of.
    """
    failing = _failing(fail_on or ("warning" if is_strict else "error"))
    check_names(names)
    reports: list[FileReport] = []
    unread: list[Unread] = []
    for name in names:
        file = "<stdin>" if name == STDIN else name
        try:
            checked = _checked(name, file, say, is_strict=is_strict)
        except KataError as error:
            unread.append(Unread(file, error.failure.message, error.failure.hint))
        else:
            reports.append(FileReport(file, checked.shape, checked.findings, checked.ignored))
    report = LintReport(files=reports, unread=unread, counts=count(reports), failing=failing)
    return report, _failure(report)


def summary(report: LintReport) -> str:
    """`2 errors, 1 warning, 1 ignored in 3 files`."""
    counts = {name: number for name, number in report.counts.items() if number}
    found = [
        f"{number} {name}" if name in ("info", "ignored") else plural(number, name)
        for name, number in counts.items()
    ]
    return f"{', '.join(found) or 'no findings'} in {plural(len(report.files), 'file')}"


def shown(report: LintReport, format: str) -> str | LintReport | dict[str, Any]:
    """The report in one of `FORMATS`: text to print, or data to print as JSON."""
    match format:
        case "sarif":
            from kata_cli.spec.report_sarif import as_sarif

            return as_sarif(report.files, report.unread)
        case "junit":
            from kata_cli.spec.report_junit import as_junit

            return as_junit(report.files, report.failing, report.unread)
        case "github":
            return as_github(report.files, report.unread)
        case "text":
            return as_text(report.files)
    return report


def _checked(name: str, file: str, say: Say, *, is_strict: bool) -> Checked:
    text = spec_text(name, say)
    try:
        return check(text, is_strict=is_strict)
    except KataError as error:  # what is wrong with a text names no file
        raise KataError(error.failure.code, f"{file}: {error}", error.failure.remediation) from None


def _failing(word: str) -> list[str]:
    severity = _LETTERS.get(word, word)
    if severity not in SEVERITIES:
        choices = ", ".join(SEVERITIES)
        guess = near(word, SEVERITIES)
        message = f"--fail-on: expected one of {choices}, got {word!r}" + (f"; {guess}" if guess else "")
        raise KataError("usage", message, "kata spec lint --help")
    return list(SEVERITIES[: SEVERITIES.index(severity) + 1])


def _failure(report: LintReport) -> Failure | None:
    if report.unread:
        told = "; ".join(one.message for one in report.unread)
        hints = dict.fromkeys(one.remediation for one in report.unread)
        return Failure(code="io", message=told, remediation="; ".join(hints))
    if broken := _first_broken(report):
        hint = f"mend what is listed, or ignore it with a reason: <!-- kata-ignore {broken}: reason -->"
        return Failure(code="findings", message=summary(report), remediation=hint)
    return None


def _first_broken(report: LintReport) -> str | None:
    """The first rule that fails the command."""
    found = (finding for file in report.files for finding in file.findings)
    return next((finding.rule for finding in found if finding.severity in report.failing), None)
