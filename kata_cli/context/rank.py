"""Which files bear on a goal: BM25 over the words of the goal, names above text, ties by path.

BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with k1 = 1.2 and b = 0.75.
It is computed here and not by FTS5, whose own statistics count postings of files that have changed since.
The index says which files have a word; how often they have it is counted in the text of the best of them.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

from kata_cli.context.index import Index
from kata_cli.context.words import count, plain

K1, B = 1.2, 0.75
NAME_WEIGHT = 2.5
MIN_TERM_LENGTH = 3
MAX_TERMS = 24
CANDIDATES = 8
MIN_COMMON = 200  # a word in more files than this, and in more than a fifth of all, tells none apart
_STOP_WORDS = """
about above after again all also and any are because been before being below between both but can could
did does doing done down each few for from further get had has have having here how into its just like
make makes may more most must need needs new not now off once one only other our out over own please
same shall should some such than that the their them then there these they this those through too under
until use used uses using very via want was way were what when where which while who whom why will with
within without would you your add added adding allow change changes create implement let lets when able
every
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")


class Posting(msgspec.Struct, frozen=True):
    """The files that have a term, and how much it tells of them."""

    weight: float
    paths: list[bytes]


class Hit(msgspec.Struct, frozen=True):
    """A file and its score, rounded so that it is the same on every machine."""

    path: bytes
    score: float


def terms(goal: str) -> list[str]:
    """The words of a goal that are worth looking for: identifiers whole and in parts, in order, each once."""
    found: dict[str, None] = {}
    for word in _WORD.findall(goal):
        parts = [part.lower() for part in _PART.findall(word)]
        # The index splits at underscores, so only camelCase is also looked for as one word.
        for term in dict.fromkeys(["".join(parts), *parts]):
            if len(term) >= MIN_TERM_LENGTH and term not in STOP_WORDS and not term.isdigit():
                found[term] = None
    return list(found)[:MAX_TERMS]


def rank(index: Index, wanted: list[str], limit: int, read: Callable[[bytes], bytes]) -> list[Hit]:
    """The best files for these terms, best first; `read` gives the text of a file, or nothing."""
    sizes = index.sizes
    in_text = _postings(wanted, index.documents, len(sizes))
    in_name = _sums(_postings(wanted, _name_search(sizes), len(sizes), NAME_WEIGHT).values(), {})
    likely = _sums(in_text.values(), in_name)
    average = sum(sizes.values()) / max(1, len(sizes)) or 1.0
    scores = {
        path: in_name.get(path, 0.0) + _text_score(read(path), in_text, sizes[path] / average)
        for path in sorted(_best(likely, CANDIDATES * limit))
    }
    return [Hit(path, score) for path, score in _best(scores, limit).items()]


def _postings(
    wanted: list[str], find: Callable[[str], list[bytes]], total: int, factor: float = 1.0
) -> dict[str, Posting]:
    """Where each term is found, but for terms that tell no files apart."""
    found = {term: find(term) for term in wanted}
    most = max(MIN_COMMON, total // 5)
    return {
        term: Posting(factor * _weight(total, len(paths)), paths)
        for term, paths in found.items()
        if 0 < len(paths) <= most
    }


def _name_search(paths: Iterable[bytes]) -> Callable[[str], list[bytes]]:
    """How to find the paths that have a term in them: one search over all, as most terms are in none."""
    names = b"\0".join(paths)
    folded = names.lower()

    def find(term: str) -> list[bytes]:
        found = (match.span() for match in re.finditer(re.escape(term.encode()), folded))
        bounds = ((names.rfind(b"\0", 0, start) + 1, names.find(b"\0", end)) for start, end in found)
        return list(dict.fromkeys(names[start : None if end < 0 else end] for start, end in bounds))

    return find


def _sums(postings: Iterable[Posting], start: dict[bytes, float]) -> dict[bytes, float]:
    sums = defaultdict(float, start)
    for posting in postings:
        for path in posting.paths:
            sums[path] += posting.weight
    return sums


def _best(scores: dict[bytes, float], limit: int) -> dict[bytes, float]:
    rounded = ((-round(score, 4), path) for path, score in scores.items())
    return {path: -score for score, path in heapq.nsmallest(limit, rounded)}


def _text_score(data: bytes, postings: dict[str, Posting], relative_size: float) -> float:
    words = plain(data)
    length = K1 * (1 - B + B * relative_size)
    counts = ((posting.weight, count(words, term)) for term, posting in postings.items())
    return sum(weight * found * (K1 + 1) / (found + length) for weight, found in counts)


def _weight(total: int, count: int) -> float:
    return math.log(1 + (total - count + 0.5) / (count + 0.5))
