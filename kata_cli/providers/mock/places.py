"""Where a goal touches the code: the files and definitions that its words lead to."""

from __future__ import annotations

import re
from functools import cache

import msgspec

from kata_cli.providers.mock.goal import WEAK, terms_of
from kata_cli.providers.mock.material import FileSeen, Material, Symbol

MAX_PLACES = 5


class Place(msgspec.Struct, frozen=True):
    """Where the goal touches the code: a file, its symbols that match best, the terms that matched."""

    file: FileSeen
    symbols: list[Symbol]
    terms: list[str]

    @property
    def is_telling(self) -> bool:
        """Whether more than a passing word leads here: a name of the file or in it, or several terms."""
        strong = [term for term in self.terms if term not in WEAK]
        names = " ".join([self.file.path, *(symbol.name for symbol in self.symbols)]).lower()
        return len(strong) > 1 or any(_stem(term) in names for term in strong)


def places(material: Material, terms: list[str] | None = None) -> list[Place]:
    """The code files that match some terms best (by default the goal's), best first.

    A term counts more the fewer files mention it, twice as much in a definition's name and three times in a
    path; a weak one counts least. Ties keep the context's own order, so that equal prompts give equal places.
    """
    wanted = material.goal.terms if terms is None else terms
    weights = {term: _weight(material, term) for term in wanted}
    rated = []
    for index, file in enumerate(material.code):
        place = Place(
            file, _matching_symbols(file, weights), [term for term in wanted if _mentions(file, term)]
        )
        rated.append((-_rating(place, weights), index, place))
    rated.sort(key=lambda entry: entry[:2])
    best = [place for rating, _, place in rated if rating < 0]
    return (best or [place for _, _, place in rated])[:MAX_PLACES]


_BACK = re.compile(r"\b(?:it|its|them|their|theirs|they|this|these|those)\b", re.I)


def clause_places(material: Material) -> list[Place | None]:
    """The best place for each clause; a clause that says not where goes on where the one before it was."""
    found: list[Place | None] = []
    for clause in material.goal.clauses:
        place = next(iter(places(material, terms_of(clause))), None)
        refers_back = bool(found) and _BACK.search(clause) is not None
        if place is None or not place.is_telling or refers_back:
            place = found[-1] if found else next(iter(places(material)), None)
        found.append(place)
    return found


def distinct(found: list[Place | None]) -> list[Place]:
    """The places, each file once."""
    known: dict[str, Place] = {}
    for place in found:
        if place is not None:
            known.setdefault(place.file.path, place)
    return list(known.values())


def unknown_terms(material: Material) -> list[str]:
    """Terms of the goal that no file shown mentions and that matter: names, or more than half of the goal."""
    terms = material.goal.terms
    unknown = [term for term in terms if not any(_mentions(file, term) for file in material.files)]
    if 2 * len(unknown) > len(terms):
        return unknown
    return [term for term in unknown if _is_name(term, material.goal.text)]


def _weight(material: Material, term: str) -> int:
    """Whole numbers, so that no rounding of any machine decides an order."""
    if term in WEAK:
        return 1
    mentioned = sum(_mentions(file, term) for file in material.code)
    return (4 * len(material.code) // mentioned).bit_length() if mentioned else 0


def _rating(place: Place, weights: dict[str, int]) -> int:
    named = {term for term in place.terms if _stem(term) in place.file.path.lower()}
    defined = {term for term in place.terms for symbol in place.symbols if _stem(term) in symbol.name.lower()}
    return sum(weights[term] * (1 + 2 * (term in named) + (term in defined)) for term in place.terms)


def _is_name(term: str, goal: str) -> bool:
    """Whether the goal writes a term as a name: in code, with an underscore or digit, or capitalised."""
    within_sentence = rf"(?<![.!?;:]\s)\b{re.escape(term)}\b"
    written = re.findall(rf"`[^`]*\b{re.escape(term)}\b[^`]*`|{within_sentence}", goal, re.I)
    within = [word for word in written if not goal.startswith(word)]
    return bool(re.search(r"[_\d]", term)) or any(not word[:1].islower() for word in within)


def _mentions(file: FileSeen, term: str) -> bool:
    stem = _stem(term)
    return stem in file.path.lower() or stem in file.text.lower()


def _matching_symbols(file: FileSeen, weights: dict[str, int]) -> list[Symbol]:
    """Up to three definitions whose names match the weightiest terms; a whole name counts twice."""

    def rating(symbol: Symbol) -> int:
        name = symbol.bare.lower()
        return -sum(weight * (1 + (term == name)) for term, weight in weights.items() if _stem(term) in name)

    matching = [symbol for symbol in file.symbols if rating(symbol) < 0]
    return sorted(matching, key=lambda symbol: (rating(symbol), symbol.line))[:3]


@cache
def _stem(term: str) -> str:
    """A term without its ending: `bodies` and `body` meet in `bod`, `decoded` and `decode` in `decod`."""
    for ending in ("ed", "ing"):
        if term.endswith(ending) and len(term) > len(ending) + 3:
            return term.removesuffix(ending)
    for ending in ("ies", "y", "s"):
        if term.endswith(ending) and len(term) > len(ending) + 2:
            return term.removesuffix(ending)
    return term
