"""The reports of the mock specialists, each a short Markdown text of facts from the prompt."""

from __future__ import annotations

import re
from collections import Counter

from kata_cli.providers.mock import evidence
from kata_cli.providers.mock.goal import shortened
from kata_cli.providers.mock.material import FileSeen, Material, system_name
from kata_cli.providers.mock.places import Place, clause_places, distinct, places, unknown_terms
from kata_cli.providers.mock.reviewer import added_lines
from kata_cli.providers.mock.uses import matching_test, uses_of

MAX_LINES = 12
MAX_GIVEN_LINES = 200
MAX_LISTED = 12
MAX_SYMBOLS = 6
MAX_QUESTION_CHARS = 1000
NO_RUNNER = "no test runner was found in the files shown"

_MARK = re.compile(r"^\s*[-*]\s+")


def investigate(material: Material) -> str:
    """What is there: the project, the places that bear on the goal, how tests run, what was not found."""
    return _sections(
        ("Given", _given(material)),
        ("Project", [f"`{system_name(material)}`: {_opening(material)}"] if material.files else []),
        ("Where the goal touches it", [describe_place(place) for place in places(material)]),
        ("Tests", _tests(material) if material.files else []),
        ("Not found", [f"no file shown mentions `{term}`" for term in unknown_terms(material)]),
    )


def implement(material: Material) -> str:
    """The steps of the change, in order."""
    found = clause_places(material)
    steps = [
        f"{clause}: {describe_place(place)}" if place else clause
        for clause, place in zip(material.goal.clauses, found, strict=True)
    ]
    paths = dict.fromkeys(test_path(material, place) for place in distinct(found))
    tests = [f"cover it in `{path}`" for path in paths]
    docs = [f"say it in `{file.path}`" for file in material.docs[:1]]
    return _sections(("Steps", [*steps, *tests, *docs]))


def verify(material: Material) -> str:
    """How one would know."""
    command = evidence.runner_command(material)
    return _sections(
        (
            "Criteria",
            [
                f"WHEN the change is in place THEN a test fails without: {clause}"
                for clause in material.goal.clauses
            ],
        ),
        ("Command", [f"`{command}`" if command else NO_RUNNER]),
        ("Tests to keep green", [f"`{test.path}`" for test in material.tests]),
    )


def debug(material: Material) -> str:
    """How it could fail here."""
    touched = places(material)
    shared = [
        f"`{symbol.bare}` of `{place.file.path}` is also named in {listed(others)}"
        for place in touched
        for symbol in place.symbols
        if (others := uses_of(material, symbol.bare, place.file))
    ]
    refused = [
        f"`{r.path}:{r.line}` refuses with `{r.error}`{_inside(r.inside)}" for r in evidence.refusals(touched)
    ]
    left = [f"`{note.path}:{note.line}`: {note.text}" for note in evidence.undone(touched)]
    return _sections(
        ("Shared definitions", shared), ("Refused today", refused), ("Left undone in the code", left)
    )


def critique(material: Material) -> str:
    """What is not backed by what was read."""
    open_terms = [f"`{term}` is in the goal but in no file shown" for term in unknown_terms(material)]
    reports = [f"{task}: {counted(len(text.splitlines()), 'line')} read" for task, text in material.outputs]
    return _sections(
        ("Open", open_terms or ["every term of the goal occurs in the material"]), ("Read", reports)
    )


def answer(material: Material) -> str:
    """An answer to a question: where to look, with the definitions that match."""
    found = [describe_place(place) for place in places(material)]
    return _sections(
        ("Question", [shortened(material.goal.text, MAX_QUESTION_CHARS)]),
        ("Where to look", found),
        ("Given", _given(material)),
    )


def digest(material: Material) -> str:
    """For a role of the user's own: what was given under the goal, then what each earlier task said."""
    given = [_MARK.sub("", line) for _, text in material.inputs for line in text.splitlines() if line.strip()]
    said = {
        task: _items([line for line in text.splitlines() if line.startswith("- ")])
        for task, text in material.outputs
    }
    times = Counter(item for items in said.values() for item in items)
    own = {task: [item for item in items if times[item] == 1] for task, items in said.items()}
    return _sections(
        (material.goal.title, _capped(given, MAX_GIVEN_LINES)),
        (
            "Said by more than one",
            _capped([item for item, count in times.items() if count > 1], MAX_GIVEN_LINES),
        ),
        *((f"From {task}", _capped(items, MAX_GIVEN_LINES)) for task, items in own.items()),
        ("Places", [describe_place(place) for place in places(material)]),
    )


def describe_place(place: Place) -> str:
    """`path` with the definitions that match, or those it begins with."""
    symbols = place.symbols or place.file.public[:3]
    listed = ", ".join(f"`{symbol.bare}` (line {symbol.line})" for symbol in symbols)
    return f"`{place.file.path}`" + (f": {listed}" if listed else "")


def test_path(material: Material, place: Place) -> str:
    """The test file of a place: the one that is there, else where it would go."""
    known = matching_test(material, place)
    return known.path if known is not None else evidence.new_test_path(material, place)


def describe_file(file: FileSeen) -> str:
    """`path` with its first definitions."""
    listed = ", ".join(f"`{symbol.bare}`" for symbol in file.public[:MAX_SYMBOLS])
    return f"`{file.path}`" + (f": {listed}" if listed else "")


def listed(paths: list[str]) -> str:
    """Paths in a sentence."""
    shown = ", ".join(f"`{path}`" for path in paths[:MAX_LISTED])
    return shown + (f" and {len(paths) - MAX_LISTED} more" if len(paths) > MAX_LISTED else "")


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _opening(material: Material) -> str:
    """The first prose line of the README, else of the first file shown."""
    for file in sorted(material.docs, key=lambda file: not file.path.upper().startswith("README")):
        for line in file.text.splitlines():
            if line[:1].isalpha() and len(line) > 20:
                return line.strip()
    return f"{counted(len(material.files), 'file')} read"


def _given(material: Material) -> list[str]:
    """The inputs with their size, and the files that a diff among them adds lines to."""
    given = []
    for name, text in material.inputs:
        added = added_lines(text)
        given.append(f"`{name}`: {counted(len(text.splitlines()), 'line')}" + (", a diff" if added else ""))
        given += _capped([f"`{path}`: +{number}" for path, number in added.items()])
    return given


def _items(lines: list[str]) -> list[str]:
    """Lines with something on them, each once, without the mark of a list."""
    return list(dict.fromkeys(_MARK.sub("", line) for line in lines if line.strip()))


def _tests(material: Material) -> list[str]:
    command = evidence.runner_command(material)
    run = [f"run with `{command}`" if command else NO_RUNNER]
    return run + [describe_file(test) for test in material.tests[:MAX_LINES]]


def _inside(name: str) -> str:
    return f" in `{name}`" if name else ""


def _capped(items: list[str], most: int = MAX_LINES) -> list[str]:
    more = len(items) - most
    return [*items[:most], f"and {counted(more, 'more line')}"] if more > 0 else items


def _sections(*sections: tuple[str, list[str]]) -> str:
    """Markdown of the sections that have something to say."""
    written = [
        "## " + title + "\n\n" + "\n".join(f"- {item}" for item in items)
        for title, items in sections
        if items
    ]
    return "\n\n".join(written) or "Nothing in the material bears on the goal."
