"""`kata sessions export`: a past run in a form for others."""

from __future__ import annotations

from typing import Any

import msgspec

from kata_cli.app.session_archive import archive
from kata_cli.app.session_evidence import Evidence
from kata_cli.core.errors import KataError
from kata_cli.core.records import RunRecord
from kata_cli.core.redact import Redactor
from kata_cli.output.machine import encode
from kata_cli.output.report import report
from kata_cli.spec.document import Document
from kata_cli.spec.render import render

FORMATS = ("md", "json", "zip")


class Export(msgspec.Struct, kw_only=True):
    """A run as one document (`kata.export/v1`); `events` are the lines of its journal."""

    schema: str = "kata.export/v1"
    record: RunRecord
    events: list[Any]
    draft: dict[str, Any] | None


def exported(evidence: Evidence, format: str, redactor: Redactor) -> bytes:
    """A run as Markdown, JSON or zip, redacted. Raises `KataError` io."""
    if format == "zip":
        return archive(evidence.directory, redactor)
    return _markdown(evidence) if format == "md" else _json(evidence)


def check_format(format: str) -> None:
    """Raises `KataError` usage for a format that does not exist."""
    if format not in FORMATS:
        raise KataError(
            "usage",
            f"--format: expected one of {', '.join(FORMATS)}, got {format!r}",
            "kata sessions export --help",
        )


def _json(evidence: Evidence) -> bytes:
    events = [msgspec.json.decode(entry.line()) for entry in evidence.recorded]
    return encode(Export(record=evidence.record, events=events, draft=evidence.draft))


def _markdown(evidence: Evidence) -> bytes:
    text = report(evidence.record, evidence.recorded, draft=_draft(evidence), text=evidence.text)
    return text.encode("utf-8", "backslashreplace")


def _draft(evidence: Evidence) -> str:
    """The draft as Markdown; one that this kata cannot read is left to the answers below it."""
    if evidence.draft is None:
        return ""
    try:
        return render(msgspec.convert(evidence.draft, Document))
    except msgspec.ValidationError:
        return ""
