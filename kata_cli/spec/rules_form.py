"""Lint rules about the form of a draft: its front matter, its sections, what it cannot hold."""

from __future__ import annotations

from collections.abc import Iterator

from kata_cli.spec.blocks import MatterError, SectionError
from kata_cli.spec.document import REQUIRED_SECTIONS, SECTIONS
from kata_cli.spec.subject import Problem, Subject


def front_matter(subject: Subject) -> Iterator[Problem]:
    """KS001: the file says what it is."""
    for fault in subject.faults:
        if isinstance(fault, MatterError):
            yield Problem(fault.line, f"front matter: {fault.problem}")


def wrong_sections(subject: Subject) -> Iterator[Problem]:
    """KS002: the four fixed sections exist, none stands twice, none is of another name."""
    for name in REQUIRED_SECTIONS:
        if name not in subject.lines:
            yield Problem("", f"the section {name} is missing")
    for fault in subject.faults:
        if isinstance(fault, SectionError):
            yield Problem(fault.line, fault.problem)


def misplaced_sections(subject: Subject) -> Iterator[Problem]:
    """KS002: all sections stand in their order."""
    found = sorted((line, name) for name, line in subject.lines.items() if name in SECTIONS)
    ranks = [SECTIONS.index(name) for _, name in found]
    for (_, name), rank, before in zip(found[1:], ranks[1:], ranks, strict=False):
        if rank < before:
            yield Problem(name, f"the section {name} stands too late")


def unread_blocks(subject: Subject) -> Iterator[Problem]:
    """KS031: all that is written is part of the document."""
    for fault in subject.faults:
        if not isinstance(fault, MatterError | SectionError):
            yield Problem(fault.line, fault.problem)
