"""A draft's Markdown back as a document: tolerant of layout, strict about what it cannot hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from kata_cli.core.text import near
from kata_cli.spec.blocks import Block, SectionError, SpecSyntaxError, read_blocks
from kata_cli.spec.document import (
    CRITERIA,
    GOAL,
    LIST_SECTIONS,
    QUESTIONS,
    REQUIREMENTS,
    SCHEMA,
    SECTIONS,
    TASKS,
    VERIFICATION,
    Criterion,
    Document,
    Question,
    Requirement,
    Step,
    Task,
    clean,
)
from kata_cli.spec.inline import split_command, split_path, split_remark, unescape
from kata_cli.spec.matter import matter_height, parse_matter

_NUMBER = "[0-9]{1,9}"
_REFERENCES = rf"(?:\((?P<requirements>REQ-{_NUMBER}(?:\s*,\s*REQ-{_NUMBER})*)\)(?:\s+|$))?"
_REQUIREMENT = re.compile(rf"(?P<id>REQ-{_NUMBER})(?:\s+(?P<title>.*))?$")
_CRITERION = re.compile(rf"\*\*(?P<id>AC-{_NUMBER})\*\*(?:\s+|$){_REFERENCES}(?P<text>.*)$")
_TASK = re.compile(
    rf"\[(?P<box>[ xX])\]\s+(?P<id>T-{_NUMBER})(?:\s+|$)"
    rf"(?:\[(?P<role>[A-Za-z0-9_.-]+)\](?:\s+|$))?{_REFERENCES}(?P<text>.*)$"
)
_AFTER = re.compile(rf"^(?:(.*)\s)?— after: (none|T-{_NUMBER}(?:\s*,\s*T-{_NUMBER})*)$")
_STEP = re.compile(rf"(?P<criterion>AC-{_NUMBER}):(?:\s+(?P<text>.*))?$")
_QUESTION = re.compile(rf"(?P<id>Q-{_NUMBER})(?:\s+(?P<text>.*))?$")

Lines = dict[str, int]
Entry = TypeVar("Entry", Criterion, Task, Step, Question)


class Draft(msgspec.Struct, frozen=True):
    """A file as far as it could be read: the document, where its parts stand, and what is no part of it.

    `lines` counts from 1; its keys are the section names, the ids (where an id stands twice: its first
    line), and `<section> <n>` for the n-th entry of a section, n from 1. `unread` lists the blocks that the
    document does not hold, `unread_sections` where they stand. Where the criteria of a file are read as its
    requirements, `bare` lists the headings without a criterion; elsewhere it is None.
    """

    document: Document
    lines: Lines = {}
    faults: list[SpecSyntaxError] = []
    unread: list[Block] = []
    unread_sections: set[str] = set()
    bare: list[Block] | None = None

    def place(self, section: str, number: int, block: Block, entry_id: str | None = None) -> None:
        """Note where the n-th entry of a section stands."""
        self.lines[f"{section} {number}"] = block.line
        if entry_id:
            self.lines.setdefault(entry_id, block.line)

    def refuse(self, block: Block, expected: str, section: str) -> None:
        """Note a block that stands where something else was expected."""
        self.faults.append(SpecSyntaxError(block.line, expected, block.text))
        self.leave(block, section)

    def leave(self, block: Block, section: str) -> None:
        """Note a block that is not read, for a reason that was told already."""
        self.unread.append(block)
        self.unread_sections.add(section)


def parse(text: str) -> Document:
    """The document of a draft. Raises `SpecSyntaxError` with the line and what was expected there."""
    return parse_with_lines(text)[0]


def parse_with_lines(text: str) -> tuple[Document, Lines]:
    """The document and where its parts stand, as in `Draft.lines`. Raises `SpecSyntaxError`."""
    draft = read(text)
    if draft.faults:
        raise draft.faults[0]
    return draft.document, draft.lines


def read(text: str) -> Draft:
    """A draft as far as it can be read. Raises `KataError` io for a later schema than this kata knows."""
    rows = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    draft = Draft(Document(id="", title=""))
    head, height = _read_head(rows, draft)
    blocks = read_blocks(enumerate(rows[height:], start=height + 1), draft.faults)
    values = {}
    for section, body in _sections(blocks, draft).items():
        field, read_section = _READERS[section]
        values[field] = read_section(section, body, draft)
    document = clean(msgspec.structs.replace(head, **values))
    return msgspec.structs.replace(draft, document=document)


def _read_head(rows: list[str], draft: Draft) -> tuple[Document, int]:
    try:
        return parse_matter(rows)
    except SpecSyntaxError as fault:
        draft.faults.append(fault)
        return draft.document, matter_height(rows)


def _sections(blocks: list[Block], draft: Draft) -> dict[str, list[Block]]:
    """The blocks below each section; a section that stands twice is read as one."""
    sections: dict[str, list[Block]] = {}
    name = ""
    for block in blocks:
        if block.kind == "section":
            name = _open_section(block, draft)
        elif block.kind == "unread" or (not name and draft.unread):
            draft.leave(block, name)
        elif not name:
            draft.refuse(block, f"## {GOAL}", name)
        else:
            sections.setdefault(name, []).append(block)
    return sections


def _open_section(block: Block, draft: Draft) -> str:
    """The name of a section, empty where kata knows none of that name."""
    name = block.text
    if name not in SECTIONS:
        hint = near(name[:40], SECTIONS) or f"the sections are {', '.join(SECTIONS)}"
        draft.faults.append(SectionError(block.line, f"a section of {SCHEMA} ({hint})", name))
        draft.leave(block, "")
        return ""
    if name in draft.lines:
        draft.faults.append(SectionError(block.line, f"the section {name} once", name))
    draft.lines.setdefault(name, block.line)
    return name


def _read_goal(section: str, blocks: list[Block], draft: Draft) -> str:
    for number, block in enumerate(blocks):
        if number or block.kind != "paragraph":
            draft.refuse(block, f"one paragraph under {section}", section)
    return unescape(blocks[0].text)


def _read_list(section: str, blocks: list[Block], draft: Draft) -> list[str]:
    items: list[str] = []
    for block in blocks:
        if block.kind == "entry":
            draft.refuse(block, f"a list item under {section}", section)
        elif block.text:
            items.append(unescape(block.text))
            draft.place(section, len(items), block)
    return items


def _read_requirements(section: str, blocks: list[Block], draft: Draft) -> list[Requirement]:
    requirements: list[Requirement] = []
    is_refused = False
    for block in blocks:
        found = _REQUIREMENT.match(block.text) if block.kind == "entry" else None
        if found:
            requirements.append(Requirement(id=found["id"], title=found["title"] or ""))
            draft.place(section, len(requirements), block, found["id"])
            is_refused = False
        elif block.kind == "paragraph" and requirements and not requirements[-1].text and not is_refused:
            requirements[-1] = msgspec.structs.replace(requirements[-1], text=unescape(block.text))
        elif is_refused and block.kind != "entry":
            draft.leave(block, section)
        else:
            draft.refuse(block, "### REQ-001 Title and one paragraph below", section)
            is_refused = block.kind == "entry"
    return requirements


def _reader(
    form: re.Pattern[str], example: str, make: Callable[[re.Match[str]], Entry]
) -> Callable[[str, list[Block], Draft], list[Entry]]:
    """A reader of a section that is a list of one form."""

    def read_entries(section: str, blocks: list[Block], draft: Draft) -> list[Entry]:
        entries: list[Entry] = []
        for block in blocks:
            found = form.match(block.text) if block.kind == "item" else None
            if found is None:
                draft.refuse(block, f"- {example}", section)
                continue
            entries.append(make(found))
            draft.place(section, len(entries), block, found.groupdict().get("id"))
        return entries

    return read_entries


def _ids(listed: str | None) -> list[str]:
    return [part.strip() for part in listed.split(",")] if listed else []


def _criterion(found: re.Match[str]) -> Criterion:
    return Criterion(id=found["id"], requirements=_ids(found["requirements"]), text=unescape(found["text"]))


def _task(found: re.Match[str]) -> Task:
    body, remark = found["text"], ""
    rest = _AFTER.match(body)
    if rest is None:
        body, remark = split_remark(body)
        rest = _AFTER.match(body)
    text, path = split_path((rest[1] or "").strip() if rest else body)
    return Task(
        id=found["id"],
        is_done=found["box"] != " ",
        role=found["role"] or "",
        requirements=_ids(found["requirements"]),
        text=" ".join(part for part in (unescape(text), remark) if part),
        path=path,
        after=_ids(rest[2]) if rest and rest[2] != "none" else [],
    )


def _step(found: re.Match[str]) -> Step:
    command, note = split_command(found["text"] or "")
    return Step(criterion=found["criterion"], command=command, note=note)


def _question(found: re.Match[str]) -> Question:
    return Question(id=found["id"], text=found["text"] or "")


_READERS: dict[str, tuple[str, Callable[[str, list[Block], Draft], Any]]] = {
    GOAL: ("goal", _read_goal),
    REQUIREMENTS: ("requirements", _read_requirements),
    CRITERIA: ("criteria", _reader(_CRITERION, "**AC-001** (REQ-001) GIVEN … WHEN … THEN …", _criterion)),
    TASKS: ("tasks", _reader(_TASK, "[ ] T-001 [role] (REQ-001) … in `path` — after: none", _task)),
    VERIFICATION: ("verification", _reader(_STEP, "AC-001: `command`", _step)),
    QUESTIONS: ("open_questions", _reader(_QUESTION, "Q-001 …", _question)),
    **{section: (field, _read_list) for section, field in LIST_SECTIONS.items()},
}
