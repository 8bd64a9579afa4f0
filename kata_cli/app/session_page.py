"""The HTML page of a run: its draft taken apart for the page."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec

from kata_cli.app.session_evidence import Evidence
from kata_cli.output.page import Result, page
from kata_cli.output.page_draft import Draft, DraftRow, DraftSection
from kata_cli.spec.document import (
    CRITERIA,
    GOAL,
    LIST_SECTIONS,
    QUESTIONS,
    REQUIRED_SECTIONS,
    REQUIREMENTS,
    SECTIONS,
    TASKS,
    VERIFICATION,
    Document,
    Task,
)


def run_page(evidence: Evidence) -> str:
    """The page of a run, whatever became of it. The same run gives the same text."""
    return page(evidence.record, evidence.recorded, _result(evidence))


def _result(evidence: Evidence) -> Result:
    if evidence.draft is None:
        return Result(text=evidence.text)
    try:
        return Result(draft=_draft(msgspec.convert(evidence.draft, Document)))
    except msgspec.ValidationError:  # of a later kata, or of nobody: shown as it is
        return Result(text=json.dumps(evidence.draft, indent=2, ensure_ascii=False))


def _draft(document: Document) -> Draft:
    sections = [DraftSection(name=name, rows=_rows(document, name)) for name in SECTIONS]
    note = f"{document.id} · {document.status} · revision {document.revision} · {document.runtime_mode} mode"
    return Draft(
        title=document.title,
        note=note,
        sections=[section for section in sections if section.rows or section.name in REQUIRED_SECTIONS],
    )


def _rows(document: Document, name: str) -> list[DraftRow]:
    if name in LIST_SECTIONS:
        return [DraftRow(text=item) for item in getattr(document, LIST_SECTIONS[name])]
    return _ROWS[name](document)


def _task(task: Task) -> DraftRow:
    return DraftRow(
        id=task.id,
        title=f"[{task.role}]" if task.role else "",
        refs=list(task.requirements),
        text=f"{'☑' if task.is_done else '☐'} {task.text}",
        code=task.path,
        after=list(task.after),
    )


_ROWS: dict[str, Callable[[Document], list[DraftRow]]] = {
    GOAL: lambda document: [DraftRow(text=document.goal)] if document.goal else [],
    REQUIREMENTS: lambda document: [
        DraftRow(id=r.id, title=r.title, text=r.text) for r in document.requirements
    ],
    CRITERIA: lambda document: [
        DraftRow(id=c.id, refs=list(c.requirements), text=c.text) for c in document.criteria
    ],
    TASKS: lambda document: [_task(task) for task in document.tasks],
    VERIFICATION: lambda document: [
        DraftRow(refs=[step.criterion], text=step.note, code=step.command) for step in document.verification
    ],
    QUESTIONS: lambda document: [DraftRow(id=q.id, text=q.text) for q in document.open_questions],
}
