"""A draft's Markdown back as a document: tolerant of layout, strict about what it cannot hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from kata_cli.core.text import near
from kata_cli.spec.blocks import Block, SpecSyntaxError, read_blocks
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
from kata_cli.spec.inline import split_command, split_path, unescape
from kata_cli.spec.matter import parse_matter

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


def parse(text: str) -> Document:
    """The document of a draft. Raises `SpecSyntaxError` with the line and what was expected there."""
    return parse_with_lines(text)[0]


def parse_with_lines(text: str) -> tuple[Document, Lines]:
    """The document and where its parts stand, in lines from 1.

    Keys are the section names, the ids (where an id stands twice: its first line), and
    `<section> <n>` for the n-th entry of a section, n from 1.
    """
    rows = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    head, height = parse_matter(rows)
    blocks = read_blocks(enumerate(rows[height:], start=height + 1))
    lines: Lines = {}
    values = {}
    for section, body in _sections(blocks, lines):
        field, read = _READERS[section]
        values[field] = read(section, body, lines)
    return clean(msgspec.structs.replace(head, **values)), lines


def _sections(blocks: list[Block], lines: Lines) -> list[tuple[str, list[Block]]]:
    sections: list[tuple[str, list[Block]]] = []
    for block in blocks:
        if block.kind == "section":
            name = _section_name(block)
            if name in lines:
                raise SpecSyntaxError(block.line, f"the section {name} once", block.text)
            lines[name] = block.line
            sections.append((name, []))
        elif sections:
            sections[-1][1].append(block)
        else:
            raise SpecSyntaxError(block.line, f"## {GOAL}", block.text)
    return sections


def _section_name(block: Block) -> str:
    if block.text in SECTIONS:
        return block.text
    hint = near(block.text[:40], SECTIONS) or f"the sections are {', '.join(SECTIONS)}"
    raise SpecSyntaxError(block.line, f"a section of {SCHEMA} ({hint})", block.text)


def _read_goal(section: str, blocks: list[Block], lines: Lines) -> str:
    if any(block.kind != "paragraph" for block in blocks) or len(blocks) > 1:
        raise SpecSyntaxError(blocks[-1].line, f"one paragraph under {section}", blocks[-1].text)
    return unescape(blocks[0].text) if blocks else ""


def _read_list(section: str, blocks: list[Block], lines: Lines) -> list[str]:
    items: list[str] = []
    for block in blocks:
        if block.kind == "entry":
            raise SpecSyntaxError(block.line, f"a list item under {section}", f"### {block.text}")
        if block.text:
            items.append(unescape(block.text))
            lines[f"{section} {len(items)}"] = block.line
    return items


def _read_requirements(section: str, blocks: list[Block], lines: Lines) -> list[Requirement]:
    requirements: list[Requirement] = []
    for block in blocks:
        if block.kind == "entry":
            found = _match(_REQUIREMENT, block, "### REQ-001 Title")
            requirements.append(Requirement(id=found["id"], title=found["title"] or ""))
            _note(lines, section, len(requirements), found["id"], block)
        elif block.kind == "paragraph" and requirements and not requirements[-1].text:
            requirements[-1] = msgspec.structs.replace(requirements[-1], text=unescape(block.text))
        else:
            raise SpecSyntaxError(block.line, "### REQ-001 Title and one paragraph below", block.text)
    return requirements


def _reader(
    form: re.Pattern[str], example: str, make: Callable[[re.Match[str]], Entry]
) -> Callable[[str, list[Block], Lines], list[Entry]]:
    """A reader of a section that is a list of one form."""

    def read(section: str, blocks: list[Block], lines: Lines) -> list[Entry]:
        entries = []
        for number, block in enumerate(blocks, start=1):
            if block.kind != "item":
                raise SpecSyntaxError(block.line, f"- {example}", block.text)
            found = _match(form, block, f"- {example}")
            entries.append(make(found))
            _note(lines, section, number, found.groupdict().get("id"), block)
        return entries

    return read


def _match(form: re.Pattern[str], block: Block, example: str) -> re.Match[str]:
    found = form.match(block.text)
    if found is None:
        raise SpecSyntaxError(block.line, example, block.text)
    return found


def _note(lines: Lines, section: str, number: int, entry_id: str | None, block: Block) -> None:
    lines[f"{section} {number}"] = block.line
    if entry_id:
        lines.setdefault(entry_id, block.line)


def _ids(listed: str | None) -> list[str]:
    return [part.strip() for part in listed.split(",")] if listed else []


def _criterion(found: re.Match[str]) -> Criterion:
    return Criterion(id=found["id"], requirements=_ids(found["requirements"]), text=unescape(found["text"]))


def _task(found: re.Match[str]) -> Task:
    rest = _AFTER.match(found["text"])
    text, path = split_path((rest[1] or "").strip() if rest else found["text"])
    return Task(
        id=found["id"],
        is_done=found["box"] != " ",
        role=found["role"] or "",
        requirements=_ids(found["requirements"]),
        text=unescape(text),
        path=path,
        after=_ids(rest[2]) if rest and rest[2] != "none" else [],
    )


def _step(found: re.Match[str]) -> Step:
    command, note = split_command(found["text"] or "")
    return Step(criterion=found["criterion"], command=command, note=note)


def _question(found: re.Match[str]) -> Question:
    return Question(id=found["id"], text=found["text"] or "")


_READERS: dict[str, tuple[str, Callable[[str, list[Block], Lines], Any]]] = {
    GOAL: ("goal", _read_goal),
    REQUIREMENTS: ("requirements", _read_requirements),
    CRITERIA: ("criteria", _reader(_CRITERION, "**AC-001** (REQ-001) GIVEN … WHEN … THEN …", _criterion)),
    TASKS: ("tasks", _reader(_TASK, "[ ] T-001 [role] (REQ-001) … in `path` — after: none", _task)),
    VERIFICATION: ("verification", _reader(_STEP, "AC-001: `command`", _step)),
    QUESTIONS: ("open_questions", _reader(_QUESTION, "Q-001 …", _question)),
    **{section: (field, _read_list) for section, field in LIST_SECTIONS.items()},
}
