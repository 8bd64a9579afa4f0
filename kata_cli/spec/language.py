"""Whether a text is English, as far as the rules about English words need to know."""

from __future__ import annotations

import re
from collections.abc import Iterable

MIN_WORDS = 12  # a text with fewer words is taken for English unless its letters say otherwise
MIN_SHARE = 0.05

_WORD = re.compile(r"[^\W\d_]+")
_COMMON = frozenset(
    ("the", "and", "to", "with", "that", "when", "then", "must", "by", "from", "not", "are", "it", "this")
)


def is_english(texts: Iterable[str]) -> bool:
    """Whether most letters are Latin ones without accents, and some words are common English ones.

    Words in capitals do not count: SHALL, GIVEN and WHEN stand in drafts of any language.
    """
    words = [word for word in _WORD.findall(" ".join(texts)) if not (word.isascii() and word.isupper())]
    letters = sum(map(len, words))
    if sum(len(word) for word in words if word.isascii()) * 2 < letters:
        return False
    common = sum(word.casefold() in _COMMON for word in words)
    return len(words) < MIN_WORDS or common >= len(words) * MIN_SHARE
