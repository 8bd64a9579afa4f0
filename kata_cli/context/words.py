"""What a term of the goal stands for, in the index and in a file's own text alike.

A word is a run of letters and digits in any case: FTS5's `unicode61` tokenizer (sqlite.org/fts5.html, 4.3.1).
A term stands for each word that begins with it; a short one, which would begin too many, for itself alone.
"""

from __future__ import annotations

import re

TOKENIZER = "unicode61 remove_diacritics 0"
_PREFIX_LENGTH = 4
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_ASCII = "".join(chr(code).lower() if chr(code).isalnum() else " " for code in range(128))
_FOLDED = _ASCII.encode() + bytes(range(128, 256))


def fts_query(term: str) -> str:
    """The FTS5 query for a term; quoted, so no operator of the query language can come from a goal."""
    return f'"{term}"*' if _is_prefix(term) else f'"{term}"'


def plain(data: bytes) -> bytes:
    """The words of a text in lower case and between spaces, for `count`."""
    if not data.isascii():
        data = _BETWEEN_WORDS.sub(" ", data.decode(errors="replace").lower()).encode()
    return b" " + data.translate(_FOLDED) + b" "


def count(words: bytes, term: str) -> int:
    """How often a term occurs in `plain` text; a short one that follows itself shares a space with it."""
    return words.count(b" " + term.encode() + (b"" if _is_prefix(term) else b" "))


def _is_prefix(term: str) -> bool:
    return len(term) >= _PREFIX_LENGTH
