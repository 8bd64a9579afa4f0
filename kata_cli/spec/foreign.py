"""Specs of other tools, read as far as their headings and lists go.

Known are OpenSpec's specs, deltas and proposals, Kiro's requirements, spec-kit's specifications, and the
task lists of all three. What they call a requirement, a scenario or a task becomes one of a kata document,
with its name in place of an id. All else is unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from kata_cli.core.text import one_line
from kata_cli.spec.blocks import Block, read_blocks
from kata_cli.spec.document import CRITERIA, REQUIREMENTS, TASKS, Criterion, Document, Requirement, Task
from kata_cli.spec.inline import plain
from kata_cli.spec.parse import Draft

NAME_CHARS = 200

_ALWAYS = ("KS003", "KS027")
_ENTRIES = (*_ALWAYS, "KS004")
_REQUIREMENTS = (*_ENTRIES, "KS007", "KS008", "KS009", "KS013", "KS025")

_HEADING = re.compile(r"#+\s+(\S.*)")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_NAMED = re.compile(r"Requirement:\s*(\S.*)")
_SCENARIO = re.compile(r"Scenario:\s*(\S.*)")
_DROPPED = re.compile(r"(?:REMOVED|RENAMED) Requirements\b")
_NUMBERED = re.compile(r"Requirement (\d+(?:\.\d+)*)\b")
_FUNCTIONAL = re.compile(r"\*\*(FR-\d+)\*\*:?\s*(.*)")
_TO_DO = re.compile(r"\[[ xX]\]\s+(T\d+|\d+(?:\.\d+)*)\b[.:]?\s*(.*)")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement, criterion or task of another tool; a criterion belongs to `requirement`."""

    kind: Literal["requirement", "criterion", "task"]
    name: str
    line: int
    parts: list[str] = []
    requirement: str = ""

    @property
    def text(self) -> str:
        return plain(" ".join(self.parts))


class Shape(msgspec.Struct, frozen=True):
    """A form of spec file: how it is told from others, which rules mean something for it, how it is read."""

    name: str
    title: str
    mark: re.Pattern[str]
    rules: tuple[str, ...]
    read: Callable[[list[Block], Draft], list[Entry]]
    has_sentences: bool = False  # its criteria are read as requirements


def shape_of(text: str) -> Shape:
    """The first shape whose mark stands in the text; `PLAIN` if there is none."""
    return next((shape for shape in SHAPES if shape.mark.search(text)), PLAIN)


def read_foreign(text: str, shape: Shape) -> Draft:
    """The requirements, criteria and tasks of the file as a document; all else is unread."""
    draft = Draft(Document(id="", title=""), bare=[] if shape.has_sentences else None)
    draft.unread.extend(_comments(text))
    visible = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    rows = [row.strip() for row in visible.split("\n")]
    entries = shape.read(read_blocks(enumerate(rows, start=1), []), draft)
    for section, kind in ((REQUIREMENTS, "requirement"), (CRITERIA, "criterion"), (TASKS, "task")):
        lines = (entry.line for entry in entries if entry.kind == kind)
        draft.lines.update({f"{section} {number}": line for number, line in enumerate(lines, start=1)})
    return msgspec.structs.replace(draft, document=_document(entries))


def _comments(text: str) -> Iterator[Block]:
    line = start = 0
    for comment in _COMMENT.finditer(text):
        line, start = line + text.count("\n", start, comment.start()), comment.start()
        yield Block("unread", comment[0].split("\n"), line + 1)


def _document(entries: Iterable[Entry]) -> Document:
    requirements: list[Requirement] = []
    criteria: list[Criterion] = []
    tasks: list[Task] = []
    for entry in entries:
        match entry.kind:
            case "requirement":
                requirements.append(Requirement(id=entry.name, text=entry.text))
            case "criterion":
                criteria.append(Criterion(id=entry.name, requirements=[entry.requirement], text=entry.text))
            case "task":
                tasks.append(Task(id=entry.name, text=entry.text))
    return Document(id="", title="", requirements=requirements, criteria=criteria, tasks=tasks)


def _heading(block: Block) -> str | None:
    """The text of a heading of any level, None for any other block."""
    if block.kind in ("section", "entry"):
        return block.text
    found = _HEADING.match(block.text) if block.kind == "unread" else None
    return found[1] if found else None


def _read_named(blocks: list[Block], draft: Draft) -> list[Entry]:
    """OpenSpec: `### Requirement: NAME` with its text, and `#### Scenario: NAME` below."""
    entries: list[Entry] = []
    is_open = is_dropped = False
    requirement = ""
    for block in blocks:
        heading = _heading(block)
        if heading is None:
            if is_open:
                entries[-1].parts.append(block.text)
            else:
                draft.unread.append(block)
            continue
        if block.kind == "section":
            is_dropped, requirement = _DROPPED.match(heading) is not None, ""
        named = None if is_dropped else _NAMED.match(heading)
        scenario = _SCENARIO.match(heading) if requirement else None
        is_open = bool(named or scenario)
        if named:
            requirement = f'Requirement "{one_line(named[1], NAME_CHARS)}"'
            entries.append(Entry(kind="requirement", name=requirement, line=block.line))
        elif scenario:
            name = f'Scenario "{one_line(scenario[1], NAME_CHARS)}" of {requirement}'
            entries.append(Entry(kind="criterion", name=name, line=block.line, requirement=requirement))
    return entries


def _read_numbered(blocks: list[Block], draft: Draft) -> list[Entry]:
    """Kiro: `### Requirement N`, below it `#### Acceptance Criteria` with numbered EARS sentences."""
    entries: list[Entry] = []
    counts: list[int] = []  # of the criteria below each requirement
    heads: list[Block] = []
    number = ""
    is_below = False
    for block in blocks:
        heading = _heading(block)
        numbered = _NUMBERED.match(heading or "")
        if numbered:
            heads.append(block)
            counts.append(0)
            number = numbered[1]
        if heading is not None:
            is_below = bool(counts) and heading.startswith("Acceptance Criteria")
        elif is_below and block.kind == "item":
            counts[-1] += 1
            name = f"criterion {number}.{counts[-1]}"
            entries.append(Entry(kind="requirement", name=name, line=block.line, parts=[block.text]))
        else:
            draft.unread.append(block)
    if draft.bare is not None:
        draft.bare.extend(head for head, count in zip(heads, counts, strict=True) if not count)
    return entries


def _read_items(blocks: list[Block], draft: Draft) -> list[Entry]:
    """spec-kit's `- **FR-001**: …`, and the `- [ ] T001 …` or `- [ ] 1.1 …` of task lists."""
    entries: list[Entry] = []
    for block in blocks:
        functional = _FUNCTIONAL.match(block.text) if block.kind == "item" else None
        to_do = _TO_DO.match(block.text) if block.kind == "item" else None
        if functional:
            name, text = functional.groups()
            entries.append(Entry(kind="requirement", name=name, line=block.line, parts=[text]))
        elif to_do:
            name, text = to_do.groups()
            entries.append(Entry(kind="task", name=f"task {name}", line=block.line, parts=[text]))
        else:
            draft.unread.append(block)
    return entries


SHAPES = (
    Shape(
        "openspec",
        "an OpenSpec spec",
        re.compile(r"^#{2,4} Requirement:|^## (?:ADDED|MODIFIED|REMOVED|RENAMED) Requirements", re.M),
        (*_REQUIREMENTS, "KS010", "KS012", "KS014"),
        _read_named,
    ),
    Shape(
        "openspec-proposal",
        "an OpenSpec proposal",
        re.compile(r"^## What Changes\b", re.M),
        _ALWAYS,
        _read_items,
    ),
    Shape(
        "kiro",
        "a list of requirements as Kiro writes it",
        re.compile(r"^#{2,4} Requirement \d", re.M),
        (*_REQUIREMENTS, "KS010"),
        _read_numbered,
        has_sentences=True,
    ),
    Shape(
        "spec-kit",
        "a spec-kit specification",
        re.compile(r"^# Feature Specification\b|^\s*[-*] \*\*FR-\d", re.M),
        _REQUIREMENTS,
        _read_items,
    ),
    Shape(
        "tasks",
        "a task list",
        re.compile(r"^\s*[-*] \[[ xX]\] (?:T\d|\d+(?:\.\d+)*\b)", re.M),
        _ENTRIES,
        _read_items,
    ),
)
PLAIN = Shape("plain", "plain text", re.compile(""), _ALWAYS, _read_items)
