"""What `kata spec diff` needs: two drafts, and how the second differs from the first."""

from __future__ import annotations

import shlex

import msgspec

from kata_cli.app.spec_files import Say, SpecFile, read_specs
from kata_cli.core.errors import Failure
from kata_cli.spec.diff import SectionDiff, diff
from kata_cli.spec.report_diff import diff_text


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two files."""

    path: str
    id: str
    title: str
    revision: int


class DiffReport(msgspec.Struct, kw_only=True):
    """The sections that differ (`kata.diff/v1`); without any, the two files say the same."""

    schema: str = "kata.diff/v1"
    old: Side
    new: Side
    is_equal: bool
    sections: list[SectionDiff]


def diff_files(old_name: str, new_name: str, say: Say) -> tuple[DiffReport, Failure | None]:
    """How a draft differs from an older one, and that it does as a failure.

    Raises `KataError` like `read_specs`.
    """
    old, new = read_specs((old_name, new_name), say)
    sections = diff(old.document, new.document)
    report = DiffReport(old=_side(old), new=_side(new), is_equal=not sections, sections=sections)
    return report, _failure(report, new_name)


def as_text(report: DiffReport) -> str:
    """The report for a person; empty when there is no difference."""
    if report.is_equal:
        return ""
    old, new = report.old, report.new
    head = f"--- {old.path}  revision {old.revision}\n+++ {new.path}  revision {new.revision}\n"
    return head + diff_text(report.sections)


def _side(spec: SpecFile) -> Side:
    document = spec.document
    return Side(path=spec.path, id=document.id, title=document.title, revision=document.revision)


def _failure(report: DiffReport, new_name: str) -> Failure | None:
    if report.is_equal:
        return None
    named = ", ".join(part.section for part in report.sections)
    return Failure(
        code="findings",
        message=f"{report.old.path} and {report.new.path} differ in {named}",
        remediation=f"kata spec trace {shlex.quote(new_name)}",
    )
