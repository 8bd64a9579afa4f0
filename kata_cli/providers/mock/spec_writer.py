"""The mock spec: requirements from the goal's clauses, everything else from the files shown.

Each statement names the evidence it rests on. What the material does not hold becomes an open question,
never a sentence to fill a section.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kata_cli.providers.mock import evidence
from kata_cli.providers.mock.evidence import Refusal
from kata_cli.providers.mock.goal import is_imperative, shortened, terms_of
from kata_cli.providers.mock.material import (
    Material,
    Place,
    mentions_of,
    places,
    system_name,
    unknown_terms,
)
from kata_cli.providers.mock.reports import describe_file, describe_place, test_path

NO_RUNNER = "no test runner was found in the files read"
MAX_KEPT = 2
MAX_CONTEXT = 12
MAX_QUESTIONS = 3


class _Work(msgspec.Struct, frozen=True):
    """A task of the draft: who, what, where."""

    role: str
    text: str
    path: str


class _Item(msgspec.Struct, frozen=True):
    """One requirement with all that follows from it."""

    title: str
    text: str
    criterion: str
    work: list[_Work]
    command: str
    note: str = ""


def write_spec(material: Material) -> dict[str, Any]:
    """The structured answer for a spec, as plain JSON data."""
    touched = _touched(material)
    items = _items(material, touched)
    tasks = _tasks(items, material)
    return {
        "title": material.goal.title,
        "goal": _goal_sentence(material),
        "non_goals": _non_goals(touched),
        "assumptions": _assumptions(material),
        "context": [describe_file(file) for file in material.files[:MAX_CONTEXT]],
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
        "decisions": [],
        "open_questions": [
            {"id": f"Q-{n:03d}", "text": text} for n, text in enumerate(_questions(material, touched), 1)
        ],
    }


def _touched(material: Material) -> list[Place]:
    """The best place for each clause of the goal, each file once."""
    best = [place for clause in material.goal.clauses if (place := _place_of(clause, material)) is not None]
    return list({place.file.path: place for place in reversed(best)}.values())[::-1]


def _place_of(clause: str, material: Material) -> Place | None:
    return next(iter(places(material, terms_of(clause))), None)


def _items(material: Material, touched: list[Place]) -> list[_Item]:
    name = system_name(material)
    wanted = [_wanted(clause, name, material) for clause in material.goal.clauses]
    kept = [item for place in touched[:MAX_KEPT] if (item := _kept(place, name, material)) is not None]
    refused = evidence.refusals(touched)
    return wanted + kept + ([_still_refused(refused[0], name, material, touched)] if refused else [])


def _wanted(clause: str, name: str, material: Material) -> _Item:
    """A clause of the goal as a requirement of its own."""
    place = _place_of(clause, material)
    sentence = clause[:1].upper() + clause[1:]
    does = (
        clause[:1].lower() + clause[1:]
        if is_imperative(clause)
        else f'meet this part of the goal: "{clause}"'
    )
    test = test_path(material, place) if place else "tests"
    command = evidence.runner_command(material, test)
    return _Item(
        title=shortened(sentence),
        text=f"The {name} SHALL {does}.",
        criterion=(
            f"GIVEN {describe_place(place) if place else 'the project'} as read, "
            f'WHEN "{shortened(clause)}" is done, THEN a test in `{test}` passes that fails without it.'
        ),
        work=[
            _Work("implement", f"{sentence}{_at(place)}", place.file.path if place else ""),
            _Work("verify", f'Test it: "{shortened(clause)}"', test),
        ],
        command=command or (evidence.find_command(place) if place else ""),
        note="" if command else NO_RUNNER,
    )


def _kept(place: Place, name: str, material: Material) -> _Item | None:
    """What the touched definitions do for others today has to stay as it is."""
    symbols = [symbol for symbol in place.symbols or place.file.public[:2] if symbol.is_public]
    users = [(symbol, mentions_of(material, symbol.bare, place.file.path)) for symbol in symbols]
    used = [(symbol, paths) for symbol, paths in users if paths]
    if not used:
        return None
    symbol, paths = used[0]
    test = evidence.matching_test(material, place)
    command = evidence.runner_command(material, test.path if test else "")
    return _Item(
        title=f"Keep {symbol.bare} usable as it is",
        text=f"WHEN `{symbol.bare}` is used as in `{paths[0]}`, the {name} SHALL behave as it does today.",
        criterion=(
            f"GIVEN the uses of `{symbol.bare}` in {_listed(paths)}, WHEN the tests run after the change, "
            f"THEN none fails that passed before."
        ),
        work=[_Work("verify", f"Keep the uses of `{symbol.bare}` working: {_listed(paths)}", paths[0])],
        command=command or f"grep -rn '{symbol.bare}' {paths[0]}",
        note="" if command else NO_RUNNER,
    )


def _still_refused(refusal: Refusal, name: str, material: Material, touched: list[Place]) -> _Item:
    """What is refused today has to be refused tomorrow."""
    inside = f"`{refusal.inside}` of `{refusal.path}`" if refusal.inside else f"`{refusal.path}`"
    place = next(place for place in touched if place.file.path == refusal.path)
    test = test_path(material, place)
    command = evidence.runner_command(material, test)
    return _Item(
        title=f"Keep refusing with {refusal.error}",
        text=(
            f"IF {inside} meets the input it refuses today with {refusal.error} "
            f"(line {refusal.line}), THEN the {name} SHALL still refuse it."
        ),
        criterion=(
            f"GIVEN an input for which `{refusal.path}:{refusal.line}` gives {refusal.error} today, "
            f"WHEN the same call is made after the change, THEN it gives {refusal.error} again."
        ),
        work=[_Work("debug", f"Pin the refusal of {inside} with {refusal.error}", test)],
        command=command or f"grep -n '{refusal.error}' {refusal.path}",
        note="" if command else NO_RUNNER,
    )


def _tasks(items: list[_Item], material: Material) -> list[dict[str, Any]]:
    """All work in one line, each task after the one before; the documentation comes last."""
    work = [(number, work) for number, item in enumerate(items, 1) for work in item.work]
    work += [
        (1, _Work("implement", f'Say what changed: "{items[0].title}"', path)) for path in _docs(material)
    ]
    return [
        {
            "id": f"T-{index:03d}",
            "role": entry.role,
            "requirements": [f"REQ-{number:03d}"],
            "text": entry.text,
            "path": entry.path,
            "after": [f"T-{index - 1:03d}"] if index > 1 else [],
        }
        for index, (number, entry) in enumerate(work, 1)
    ]


def _docs(material: Material) -> list[str]:
    """The page where the project explains itself to its users."""
    names = ("README", "CHANGELOG", "DOCS/")
    return [file.path for file in material.docs if file.path.upper().startswith(names)][:1]


def _goal_sentence(material: Material) -> str:
    text = material.goal.text.rstrip(".")
    return f"{text[:1].upper() + text[1:]}."


def _non_goals(touched: list[Place]) -> list[str]:
    rest = [
        f"`{symbol.bare}` of `{place.file.path}`"
        for place in touched[:2]
        for symbol in place.file.public[:4]
        if symbol not in place.symbols
    ]
    return [f"Changing what {item} does." for item in rest[:3]]


def _assumptions(material: Material) -> list[str]:
    paths = len(material.files)
    read = f"Only the {paths} files under Context were read, {len(material.code)} of them code."
    command = evidence.runner_command(material)
    tests = f"The project's tests run with `{command}`." if command else ""
    if command and not material.tests:
        tests = f"No test was read; tests are taken to run with `{command}`."
    return [text for text in (read, tests) if text] if paths else ["No file was read: the goal stands alone."]


def _risks(material: Material, touched: list[Place]) -> list[str]:
    shared = [
        f"`{symbol.bare}` is also named in {_listed(paths)}: a change of its behaviour reaches them."
        for place in touched
        for symbol in place.symbols[:2]
        if (paths := mentions_of(material, symbol.bare, place.file.path))
    ]
    left = [f"`{note.path}:{note.line}` says {note.text!r}." for note in evidence.undone(touched)]
    bare = [
        f"No test shown covers `{place.file.path}`."
        for place in touched
        if evidence.matching_test(material, place) is None
    ]
    return (shared[:3] + left[:2] + bare[:2])[:6]


def _rollback(tasks: list[dict[str, Any]]) -> list[str]:
    paths = list(dict.fromkeys(task["path"] for task in tasks if task["path"]))
    return (
        [f"Revert the commits that touch {_listed(paths)}; nothing outside them is changed."] if paths else []
    )


def _questions(material: Material, touched: list[Place]) -> list[str]:
    questions = []
    unknown = unknown_terms(material)
    if unknown and material.files:
        listed = ", ".join(f"“{term}”" for term in unknown[:4])
        verb = "occurs" if len(unknown) == 1 else "occur"
        questions.append(f"{listed} {verb} in no file that was read: new, or known under another name?")
    if touched and not evidence.runner_command(material):
        questions.append("Which command runs the tests? No runner was found in the files that were read.")
    if not touched:
        questions.append("Which part of the project is meant? No code was read.")
    return questions[:MAX_QUESTIONS]


def _at(place: Place | None) -> str:
    if place is None or not place.symbols:
        return ""
    symbol = place.symbols[0]
    return f" at `{symbol.bare}` (line {symbol.line})"


def _listed(paths: list[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
