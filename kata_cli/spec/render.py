"""The canonical Markdown of a document, and its JSON with the run's provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

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
    Criterion,
    Document,
    Question,
    Requirement,
    Step,
    Task,
    clean,
)
from kata_cli.spec.inline import code, escape, join_command
from kata_cli.spec.matter import render_matter


def render(document: Document) -> str:
    """The draft as Markdown: LF, one blank line between blocks, one newline at the end."""
    document = clean(document)
    return "\n\n".join([render_matter(document), *_sections(document)]) + "\n"


def spec_json(
    document: Document,
    *,
    run: Mapping[str, Any],
    generator: Mapping[str, Any],
    inputs: Sequence[Mapping[str, Any]],
    hashes: Mapping[str, str],
) -> bytes:
    """`spec.json`: the document, then `run` (id, times), `generator`, `inputs` and `hashes` (sha256, hex).

    Keys whose value is None are left out: a mock run passes None for all that depends on time or chance.
    The hash of the Markdown is added here as `hashes.markdown`.
    """
    document = clean(document)
    markdown = sha256(render(document).encode()).hexdigest()
    provenance = {
        "run": _known(run),
        "generator": _known(generator),
        "inputs": [_known(entry) for entry in inputs],
        "hashes": {**hashes, "markdown": markdown},
    }
    whole = msgspec.structs.asdict(document) | provenance
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _sections(document: Document) -> Iterator[str]:
    for name in SECTIONS:
        body = _body(document, name)
        if body or name in REQUIRED_SECTIONS:
            yield f"## {name}"
        if body:
            yield body


def _body(document: Document, name: str) -> str:
    if name == GOAL:
        return escape(document.goal)
    if name == REQUIREMENTS:
        return "\n\n".join(map(_requirement, document.requirements))
    return "\n".join(f"- {row}" for row in _ROWS[name](document))


def _requirement(requirement: Requirement) -> str:
    heading = _words("###", requirement.id, requirement.title)
    return "\n\n".join(part for part in (heading, escape(requirement.text)) if part)


def _criterion(criterion: Criterion) -> str:
    return _words(f"**{criterion.id}**", _references(criterion.requirements), escape(criterion.text))


def _task(task: Task) -> str:
    return _words(
        "[x]" if task.is_done else "[ ]",
        task.id,
        f"[{task.role}]" if task.role else "",
        _references(task.requirements),
        escape(task.text),
        f"in {code(task.path)}" if task.path else "",
        f"— after: {', '.join(task.after) or 'none'}",
    )


def _step(step: Step) -> str:
    return _words(f"{step.criterion}:", join_command(step.command, step.note))


def _question(question: Question) -> str:
    return _words(question.id, question.text)


def _references(ids: list[str]) -> str:
    return f"({', '.join(ids)})" if ids else ""


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _texts(field: str) -> Callable[[Document], list[str]]:
    return lambda document: [escape(item) for item in getattr(document, field)]


_ROWS: dict[str, Callable[[Document], Iterable[str]]] = {
    CRITERIA: lambda document: map(_criterion, document.criteria),
    TASKS: lambda document: map(_task, document.tasks),
    VERIFICATION: lambda document: map(_step, document.verification),
    QUESTIONS: lambda document: map(_question, document.open_questions),
    **{section: _texts(field) for section, field in LIST_SECTIONS.items()},
}
