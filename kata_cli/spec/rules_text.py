"""Lint rules about what the texts of a draft say. Words in code spans and HTML comments do not count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from kata_cli.spec.document import (
    CRITERIA,
    GOAL,
    QUESTIONS,
    REQUIRED_SECTIONS,
    REQUIREMENTS,
    SECTIONS,
    TASKS,
    VERIFICATION,
)
from kata_cli.spec.ears import classify
from kata_cli.spec.inline import has_code, prose
from kata_cli.spec.subject import Problem, Subject, numbered

MAX_QUESTIONS = 3
MAX_GOAL_CHARS = 300
MAX_REQUIREMENT_CHARS = 500

_SHALL = re.compile(r"\b(?:SHALL|MUST)\b", re.I)
_WHEN = re.compile(r"\bWHEN\b", re.I)
_THEN = re.compile(r"\bTHEN\b", re.I)
# A bare TODO may be a noun ("a TODO list"), so it counts only where it stands for missing text.
_PLACEHOLDER = re.compile(
    r"\bTODO\s*[:(]|[:=–—-]\s*TODO\b|^\W*TODO\W*$|\bTBD\b|\bTKTK\b|\?{3}|\[NEEDS CLARIFICATION"
    r"|(?<!\w)<[A-Za-z][\w -]*>|^\W*(?:…|\.{3})\W*$|Define measurable completion criteria"
)


def missing_sections(subject: Subject) -> Iterator[Problem]:
    """KS002: the four fixed sections exist, and all sections stand in their order."""
    for name in REQUIRED_SECTIONS:
        if name not in subject.lines:
            yield Problem("", f"the section {name} is missing")
    found = sorted((line, name) for name, line in subject.lines.items() if name in SECTIONS)
    ranks = [SECTIONS.index(name) for _, name in found]
    for (_, name), rank, before in zip(found[1:], ranks[1:], ranks, strict=False):
        if rank < before:
            yield Problem(name, f"the section {name} stands too late")


def placeholders(subject: Subject) -> Iterator[Problem]:
    """KS003: nothing is left empty or to be filled in."""
    document = subject.document
    filled = (document.goal, document.criteria, document.tasks, document.verification)
    for name, content in zip(REQUIRED_SECTIONS, filled, strict=True):
        if not content:
            yield Problem(name, f"the section {name} is empty")
    for place, entry in subject.entries():
        if not entry.text:
            yield Problem(place, f"{entry.id} has no text")
    for text in subject.texts():
        found = _PLACEHOLDER.search(prose(text.text))
        if found:
            yield Problem(text.place, f"{text.name} still holds the placeholder {found[0].strip()}")


def requirement_without_shall(subject: Subject) -> Iterator[Problem]:
    """KS007: a requirement binds."""
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        if requirement.text and not _SHALL.search(prose(requirement.text)):
            yield Problem(place, f"{requirement.id} has no SHALL")


def requirement_without_pattern(subject: Subject) -> Iterator[Problem]:
    """KS009: a requirement follows one of the EARS patterns."""
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        if requirement.text and classify(requirement.text) is None:
            yield Problem(place, f"{requirement.id} follows no EARS pattern")


def criterion_without_when_then(subject: Subject) -> Iterator[Problem]:
    """KS012: a criterion is a situation with an outcome."""
    for place, criterion in numbered(CRITERIA, subject.document.criteria):
        text = prose(criterion.text)
        when = _WHEN.search(text)
        if when is None or _THEN.search(text, when.end()) is None:
            yield Problem(place, f"{criterion.id} has no WHEN … THEN")


def vague_tasks(subject: Subject) -> Iterator[Problem]:
    """KS019: a task says who does it and where."""
    for place, task in numbered(TASKS, subject.document.tasks):
        lacking = [name for name, value in (("role", task.role), ("path", task.path)) if not value]
        if lacking:
            yield Problem(place, f"{task.id} has no {' and no '.join(lacking)}")


def steps_without_command(subject: Subject) -> Iterator[Problem]:
    """KS021: a check can be run."""
    for place, step in numbered(VERIFICATION, subject.document.verification):
        if not step.command and not has_code(step.note):
            yield Problem(place, f"the step of {step.criterion} has no command")


def many_questions(subject: Subject) -> Iterator[Problem]:
    """KS022: what is unknown stays small enough to be answered."""
    count = len(subject.document.open_questions)
    if count > MAX_QUESTIONS:
        yield Problem(QUESTIONS, f"{count} open questions are more than {MAX_QUESTIONS}")


def long_texts(subject: Subject) -> Iterator[Problem]:
    """KS025: the goal and each requirement can be read in one breath."""
    length = len(subject.document.goal)
    if length > MAX_GOAL_CHARS:
        yield Problem(GOAL, f"the goal has {length} characters, more than {MAX_GOAL_CHARS}")
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        length = len(requirement.text)
        if length > MAX_REQUIREMENT_CHARS:
            message = f"{requirement.id} has {length} characters, more than {MAX_REQUIREMENT_CHARS}"
            yield Problem(place, message)


def secrets(subject: Subject) -> Iterator[Problem]:
    """KS027: no secret-looking string, in code neither. The message never repeats it."""
    # Imported here: its many patterns take time to compile.
    from kata_cli.core.redact import Redactor

    redactor = Redactor()
    for text in chain(subject.texts(), subject.codes()):
        if redactor.text(text.text) != text.text:
            yield Problem(text.place, f"{text.name} holds what looks like a secret")
