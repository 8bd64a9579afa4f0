"""The mock spec, assembled: requirements from the goal's clauses, everything else from the files shown.

Each statement names the evidence it rests on. What the material does not hold becomes an open question,
never a sentence to fill a section.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kata_cli.providers.mock import evidence
from kata_cli.providers.mock.goal import ended, shortened
from kata_cli.providers.mock.material import Material
from kata_cli.providers.mock.places import Place, clause_places, distinct, unknown_terms
from kata_cli.providers.mock.reports import counted, describe_file, listed
from kata_cli.providers.mock.requirements import Item, requirements_of
from kata_cli.providers.mock.revision import revise
from kata_cli.providers.mock.task_order import Work, ordered_tasks
from kata_cli.providers.mock.uses import matching_test, uses_of

GOAL_CHARS = 1000
MAX_CONTEXT = 40
MAX_QUESTIONS = 3


def write_spec(material: Material) -> dict[str, Any]:
    """The structured answer for a spec, as plain JSON data."""
    fresh = _fresh(material)
    return fresh if material.draft is None else revise(material.draft, fresh, material.goal.title)


def _fresh(material: Material) -> dict[str, Any]:
    """The spec of the goal alone."""
    touched = distinct(clause_places(material))
    items = requirements_of(material)
    tasks = ordered_tasks(_works(items, material))
    return {
        "title": material.goal.title,
        "goal": _goal_sentence(material),
        "assumptions": _assumptions(material),
        "context": _context(material),
        "requirements": [
            {"id": f"REQ-{n:03d}", "title": item.title, "text": item.text} for n, item in enumerate(items, 1)
        ],
        "criteria": [
            {"id": f"AC-{n:03d}", "requirements": [f"REQ-{n:03d}"], "text": item.criterion}
            for n, item in enumerate(items, 1)
        ],
        "tasks": tasks,
        "verification": [
            {"criterion": f"AC-{n:03d}", "command": item.command, "note": item.note}
            for n, item in enumerate(items, 1)
        ],
        "risks": _risks(material, touched),
        "rollback": _rollback(tasks),
        "open_questions": [
            {"id": f"Q-{n:03d}", "text": text} for n, text in enumerate(_questions(material, touched), 1)
        ],
    }


def _works(items: list[Item], material: Material) -> list[Work]:
    """All work; the page where the project explains itself to its users comes last."""
    works = [replace(work, requirement=number) for number, item in enumerate(items, 1) for work in item.work]
    if not any(work.stage == "page" for work in works):
        said = f'Say what changed: "{items[0].title}"'
        works += [Work("page", "implement", said, path) for path in material.pages[:1]]
    return sorted(works, key=lambda work: work.stage == "page")


def _goal_sentence(material: Material) -> str:
    text = shortened(material.goal.text.rstrip("."), GOAL_CHARS)
    return ended(text[:1].upper() + text[1:])


def _context(material: Material) -> list[str]:
    shown = [describe_file(file) for file in material.files[:MAX_CONTEXT]]
    more = len(material.files) - len(shown)
    return [*shown, f"and {counted(more, 'more file')}"] if more else shown


def _assumptions(material: Material) -> list[str]:
    files = len(material.files)
    if not files:
        return ["No file was read: the goal stands alone.", *_left_out(material)]
    were = "was" if files == 1 else "were"
    code = len(material.code)
    kinds = "all of it code" if code == files else f"{code} of them code"
    read = f"Only the {counted(files, 'file')} under Context {were} read, {kinds}."
    command = evidence.runner_command(material)
    tests = f"The project's tests run with `{command}`." if command else ""
    if command and not material.tests:
        tests = f"No test was read; tests are taken to run with `{command}`."
    return [text for text in (read, tests, *_left_out(material)) if text]


def _left_out(material: Material) -> list[str]:
    goal = material.goal
    if not goal.left_out:
        return []
    return [
        f"Requirements follow from the first {len(goal.clauses)} points of the goal, {goal.left_out} do not."
    ]


def _risks(material: Material, touched: list[Place]) -> list[str]:
    shared = [
        f"`{symbol.bare}` is also named in {listed(paths)}: a change of its behaviour reaches them."
        for place in touched
        for symbol in place.symbols[:2]
        if (paths := uses_of(material, symbol.bare, place.file))
    ]
    left = [f"`{note.path}:{note.line}` says {note.text!r}." for note in evidence.undone(touched)]
    bare = [
        f"No test shown covers `{place.file.path}`."
        for place in touched
        if matching_test(material, place) is None
    ]
    return (shared[:3] + left[:2] + bare[:2])[:6]


def _rollback(tasks: list[dict[str, Any]]) -> list[str]:
    paths = list(dict.fromkeys(task["path"] for task in tasks if task["path"]))
    return (
        [f"Revert the commits that touch {listed(paths)}; nothing outside them is changed."] if paths else []
    )


def _questions(material: Material, touched: list[Place]) -> list[str]:
    questions = []
    unknown = unknown_terms(material)
    if unknown and material.files:
        terms = ", ".join(f"“{term}”" for term in unknown[:4])
        verb = "occurs" if len(unknown) == 1 else "occur"
        questions.append(f"{terms} {verb} in no file that was read: new, or known under another name?")
    if touched and not evidence.runner_command(material):
        questions.append("Which command runs the tests? No runner was found in the files that were read.")
    if not touched:
        questions.append("Which part of the project is meant? No code was read.")
    return questions[:MAX_QUESTIONS]
