"""Lint rules about what the texts of a draft say. Words in code spans and HTML comments do not count.

Rules about English words hold for English drafts only (`Subject.is_english`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from kata_cli.spec.document import (
    CRITERIA,
    GOAL,
    QUESTIONS,
    REQUIRED_SECTIONS,
    REQUIREMENTS,
    TASKS,
    VERIFICATION,
    Criterion,
    Requirement,
)
from kata_cli.spec.ears import classify
from kata_cli.spec.inline import has_code, prose
from kata_cli.spec.subject import Problem, Subject, numbered

MAX_QUESTIONS = 3
MAX_GOAL_CHARS = 300
MAX_REQUIREMENT_CHARS = 500

MAX_LIKENESS = 0.8
NUMBER_CHARS = 40  # a vague word this near to a figure is not vague

_SHALL = re.compile(r"\b(?:SHALL|MUST)\b", re.I)
_AND_ALSO = re.compile(r"\band also\b", re.I)
_VAGUE = re.compile(
    r"\b(?:fast|quick|quickly|scalable|secure|robust|intuitive|user-friendly|appropriate|easily|etc|and/or"
    r"|as needed)\b",
    re.I,
)
_WORD = re.compile(r"\w+")
_KEYWORDS = frozenset(
    ("given", "when", "then", "while", "if", "where", "and", "the", "a", "an", "shall", "must")
)
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+(?=[^\W\da-z_])|[。！？](?=.)")
_WHEN = re.compile(r"\bWHEN\b", re.I)
_THEN = re.compile(r"\bTHEN\b", re.I)
# A bare TODO may be a noun ("a TODO list"), so it counts only where it stands for missing text.
_PLACEHOLDER = re.compile(
    r"\bTODO\s*[:(]|[:=–—-]\s*TODO\b|^\W*TODO\W*$|\bTBD\b|\bTKTK\b|\?{3}|\[NEEDS CLARIFICATION"
    r"|(?<!\w)<(?!(?:br|b|i|p|a|em|sub|sup|kbd|hr|div|span|details|summary)\b)[A-Za-z][\w -]*>"
    r"|^\W*(?:…|\.{3})\W*$|Define measurable completion criteria"
)


def placeholders(subject: Subject) -> Iterator[Problem]:
    """KS003: nothing is left empty or to be filled in."""
    document = subject.document
    filled = (document.goal, document.criteria, document.tasks, document.verification)
    for name, content in zip(REQUIRED_SECTIONS, filled, strict=True):
        if name in subject.lines and not content and name not in subject.unread_sections:
            yield Problem(name, f"the section {name} is empty")
    for place, entry in subject.entries():
        if not entry.text:
            yield Problem(place, f"{entry.id} has no text")
    for text in chain(subject.texts(), subject.unread_texts(is_prose_only=True)):
        found = _PLACEHOLDER.search(prose(text.text))
        if found:
            yield Problem(text.place, f"{text.name} still holds the placeholder {found[0].strip()}")


def requirement_without_shall(subject: Subject) -> Iterator[Problem]:
    """KS007: a requirement binds."""
    return _without_shall(subject) if subject.is_english else iter(())


def requirement_without_shall_elsewhere(subject: Subject) -> Iterator[Problem]:
    """KS007 in a draft that is not in English: its verb may be one that kata does not know."""
    return iter(()) if subject.is_english else _without_shall(subject)


def _without_shall(subject: Subject) -> Iterator[Problem]:
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        if requirement.text and not _SHALL.search(prose(requirement.text)):
            yield Problem(place, f"{requirement.id} has no SHALL")


def two_requirements_in_one(subject: Subject) -> Iterator[Problem]:
    """KS008: a requirement is one behaviour."""
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        text = prose(requirement.text)
        if len(_SHALL.findall(text)) > 1 or _AND_ALSO.search(text):
            yield Problem(place, f"{requirement.id} asks for more than one behaviour")


def requirement_without_pattern(subject: Subject) -> Iterator[Problem]:
    """KS009: a requirement follows one of the EARS patterns."""
    if not subject.is_english:
        return
    for place, requirement in numbered(REQUIREMENTS, subject.document.requirements):
        if requirement.text and classify(requirement.text) is None:
            yield Problem(place, f"{requirement.id} follows no EARS pattern")


def criterion_without_when_then(subject: Subject) -> Iterator[Problem]:
    """KS012: a criterion is a situation with an outcome."""
    if not subject.is_english:
        return
    for place, criterion in numbered(CRITERIA, subject.document.criteria):
        text = prose(criterion.text)
        when = _WHEN.search(text)
        if when is None or _THEN.search(text, when.end()) is None:
            yield Problem(place, f"{criterion.id} has no WHEN … THEN")


def vague_words(subject: Subject) -> Iterator[Problem]:
    """KS013: what is asked for can be measured."""
    document = subject.document
    entries: Iterable[tuple[str, Requirement | Criterion]] = chain(
        numbered(REQUIREMENTS, document.requirements), numbered(CRITERIA, document.criteria)
    )
    for place, entry in entries if subject.is_english else ():
        text = prose(entry.text)
        vague = (found[0] for found in _VAGUE.finditer(text) if not _has_figure_near(text, found))
        for word in dict.fromkeys(vague):
            yield Problem(place, f"{entry.id} says {word}, which cannot be checked")


def _has_figure_near(text: str, found: re.Match[str]) -> bool:
    near = text[max(found.start() - NUMBER_CHARS, 0) : found.end() + NUMBER_CHARS]
    return any(char.isdigit() for char in near)


def restated_requirements(subject: Subject) -> Iterator[Problem]:
    """KS014: a criterion is a concrete situation, not its requirement said again."""
    words_of = {requirement.id: _words(requirement.text) for requirement in subject.document.requirements}
    for place, criterion in numbered(CRITERIA, subject.document.criteria):
        words = _words(criterion.text)
        for cited in criterion.requirements:
            if _likeness(words, words_of.get(cited, frozenset())) > MAX_LIKENESS:
                yield Problem(place, f"{criterion.id} says little more than {cited}")


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold())) - _KEYWORDS


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared words over all words, 0 to 1 (Jaccard)."""
    return len(one & other) / max(len(one | other), 1)


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


def unanswered_questions(subject: Subject) -> Iterator[Problem]:
    """KS023: what is accepted leaves nothing open."""
    document = subject.document
    if document.open_questions and document.status != "draft":
        yield Problem(QUESTIONS, f"the status is {document.status}, but questions are open")


def long_texts(subject: Subject) -> Iterator[Problem]:
    """KS025: the goal is one sentence, and the goal and each requirement can be read in one breath."""
    goal = subject.document.goal
    length = len(goal)
    if length > MAX_GOAL_CHARS:
        yield Problem(GOAL, f"the goal has {length} characters, more than {MAX_GOAL_CHARS}")
    elif _SENTENCE_END.search(prose(goal)):
        yield Problem(GOAL, "the goal has more than one sentence")
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
    texts = list(chain(subject.texts(), subject.codes(), subject.unread_texts(is_prose_only=False)))
    whole = "\n".join(text.text for text in texts)
    if redactor.text(whole) == whole:
        return
    for text in texts:
        if redactor.text(text.text) != text.text:
            yield Problem(text.place, f"{text.name} holds what looks like a secret")
