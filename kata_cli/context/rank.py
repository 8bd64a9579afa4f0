"""Which files bear on a goal: BM25 over the words of the goal, names above text, ties by path.

BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with k1 = 1.2 and b = 0.75.
It is computed here and not by FTS5, whose own statistics count postings of files that have changed since.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict

import msgspec

from kata_cli.context.index import Index

K1, B = 1.2, 0.75
NAME_WEIGHT = 2.5
MIN_TERM_LENGTH = 3
MAX_TERMS = 24
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


def rank(index: Index, wanted: list[str], limit: int) -> list[Hit]:
    """The best files for these terms, best first."""
    sizes = index.sizes
    average = sum(sizes.values()) / max(1, len(sizes)) or 1.0
    scores: dict[bytes, float] = defaultdict(float)
    names = b"\0".join(sizes).lower()
    for term in wanted:
        _score_text(index, term, sizes, average, scores)
        _score_names(names, term.encode(), sizes, scores)
    hits = [Hit(path, round(score, 4)) for path, score in scores.items()]
    return sorted(hits, key=lambda hit: (-hit.score, hit.path))[:limit]


def _score_text(
    index: Index, term: str, sizes: dict[bytes, int], average: float, scores: dict[bytes, float]
) -> None:
    count = len(index.documents(term))
    if count == 0 or count > max(MIN_COMMON, len(sizes) // 5):
        return
    weight = _weight(len(sizes), count)
    for path, frequency in index.frequencies(term).items():
        length = 1 - B + B * sizes[path] / average
        scores[path] += weight * frequency * (K1 + 1) / (frequency + K1 * length)


def _score_names(names: bytes, term: bytes, sizes: dict[bytes, int], scores: dict[bytes, float]) -> None:
    if term not in names:  # one search over all of them; most words are in none
        return
    found = [path for path, name in zip(sizes, names.split(b"\0"), strict=True) if term in name]
    if len(found) <= max(MIN_COMMON, len(sizes) // 5):
        weight = NAME_WEIGHT * _weight(len(sizes), len(found))
        for path in found:
            scores[path] += weight


def _weight(total: int, count: int) -> float:
    return math.log(1 + (total - count + 0.5) / (count + 0.5))
