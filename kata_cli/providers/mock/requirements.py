"""The requirements of a mock spec: each clause of the goal, and what must stay as it is."""

from __future__ import annotations

import msgspec

from kata_cli.providers.mock import evidence
from kata_cli.providers.mock.evidence import Refusal
from kata_cli.providers.mock.goal import ended, is_imperative, shortened
from kata_cli.providers.mock.material import Material, system_name
from kata_cli.providers.mock.places import Place, clause_places, distinct
from kata_cli.providers.mock.reports import describe_place, listed, test_path
from kata_cli.providers.mock.task_order import Work
from kata_cli.providers.mock.uses import matching_test, uses_of

NO_RUNNER = "no test runner was found in the files read"
MAX_KEPT = 2


class Item(msgspec.Struct, frozen=True):
    """One requirement with all that follows from it."""

    title: str
    text: str
    criterion: str
    work: list[Work]
    command: str
    note: str = ""


def requirements_of(material: Material) -> list[Item]:
    """The requirements in the order of the goal, then what is used and what is refused today."""
    name = system_name(material)
    found = clause_places(material)
    touched = distinct(found)
    wanted = [
        _documented(clause, place, name, material)
        if clause.lower().startswith("document ")
        else _wanted(clause, place, name, material)
        for clause, place in zip(material.goal.clauses, found, strict=True)
    ]
    kept = [item for place in touched[:MAX_KEPT] if (item := _kept(place, name, material)) is not None]
    goal = material.goal.text.lower()
    refused = [refusal for refusal in evidence.refusals(touched) if refusal.error.lower() not in goal]
    return wanted + kept + [_still_refused(refusal, name, material, touched) for refusal in refused[:1]]


def _wanted(clause: str, place: Place | None, name: str, material: Material) -> Item:
    """A clause of the goal as a requirement of its own."""
    sentence = clause[:1].upper() + clause[1:]
    does = (
        clause[:1].lower() + clause[1:]
        if is_imperative(clause)
        else f'meet this part of the goal: "{clause}"'
    )
    test = test_path(material, place) if place else "tests"
    command = evidence.runner_command(material, test)
    return Item(
        title=shortened(sentence),
        text=ended(f"The {name} SHALL {does}"),
        criterion=(
            f"GIVEN {describe_place(place) if place else 'the project'} as read, "
            f'WHEN "{shortened(clause)}" is done, THEN a test in `{test}` passes that fails without it.'
        ),
        work=[
            Work("build", "implement", f"{sentence}{_at(place)}", place.file.path if place else ""),
            Work("test", "verify", f'Test it: "{shortened(clause)}"', test),
        ],
        command=command or (evidence.find_command(place) if place else ""),
        note="" if command else NO_RUNNER,
    )


def _documented(clause: str, place: Place | None, name: str, material: Material) -> Item:
    """A clause that asks for documentation: read, not tested."""
    page = (material.pages or [place.file.path if place else ""])[0]
    sentence = clause[:1].upper() + clause[1:]
    return Item(
        title=shortened(sentence),
        text=ended(f"The {name} SHALL {clause[:1].lower() + clause[1:]}"),
        criterion=(
            f"GIVEN {f'`{page}`' if page else 'the documentation'} after the change, "
            f"WHEN a user looks for what is new, THEN it is described there."
        ),
        work=[Work("page", "implement", sentence, page)],
        command=evidence.show_command(page) if page else "",
        note="read what it says of the change",
    )


def _kept(place: Place, name: str, material: Material) -> Item | None:
    """What the touched definitions do for others today has to stay as it is."""
    symbols = [symbol for symbol in place.symbols or place.file.public[:2] if symbol.is_public]
    users = [(symbol.bare, uses_of(material, symbol.bare, place.file)) for symbol in symbols]
    used = [(symbol, paths) for symbol, paths in users if paths]
    if not used:
        return None
    symbol, paths = used[0]
    test = matching_test(material, place)
    command = evidence.runner_command(material, test.path if test else "")
    also = f" (also: {listed(paths[1:])})" if paths[1:] else ""
    return Item(
        title=f"Keep {symbol} usable as it is",
        text=f"WHEN `{symbol}` is used as in `{paths[0]}`, the {name} SHALL behave as it does today.",
        criterion=(
            f"GIVEN the uses of `{symbol}` in {listed(paths)}, WHEN the tests run after the change, "
            f"THEN none fails that passed before."
        ),
        work=[Work("check", "verify", f"Keep the uses of `{symbol}` working{also}", paths[0])],
        command=command or evidence.grep_command(symbol, paths[0]),
        note="" if command else NO_RUNNER,
    )


def _still_refused(refusal: Refusal, name: str, material: Material, touched: list[Place]) -> Item:
    """What is refused today has to be refused tomorrow."""
    inside = f"`{refusal.inside}` of `{refusal.path}`" if refusal.inside else f"`{refusal.path}`"
    place = next(place for place in touched if place.file.path == refusal.path)
    test = test_path(material, place)
    command = evidence.runner_command(material, test)
    return Item(
        title=f"Keep refusing with {refusal.error}",
        text=(
            f"IF {inside} meets the input it refuses today with {refusal.error} "
            f"(line {refusal.line}), THEN the {name} SHALL still refuse it."
        ),
        criterion=(
            f"GIVEN an input for which `{refusal.path}:{refusal.line}` gives {refusal.error} today, "
            f"WHEN the same call is made after the change, THEN it gives {refusal.error} again."
        ),
        work=[Work("check", "debug", f"Pin the refusal of {inside} with {refusal.error}", test)],
        command=command or evidence.grep_command(refusal.error, refusal.path),
        note="" if command else NO_RUNNER,
    )


def _at(place: Place | None) -> str:
    if place is None or not place.symbols:
        return ""
    symbol = place.symbols[0]
    return f" at `{symbol.bare}` (line {symbol.line})"
