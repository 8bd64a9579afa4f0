"""Words of a text, as the index and as the count see them."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.context.words import TOKENIZER, count, fts_query, plain

ALPHABET = "aBc1äÖ _-./\n“"


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("Parser parse_parser PARSERS xparser", "parser", 3),
        ("run, to RUN; runs prune", "run", 2),
        ("“größe” GRÖSSE Größen", "größe", 2),
        ("Ärger, ärger", "ärger", 2),
        ("", "parser", 0),
    ],
)
def test_a_term_is_counted_at_the_beginning_of_words(text: str, term: str, expected: int) -> None:
    """In any case and any script; a short term only as a whole word."""
    assert count(plain(text.encode()), term) == expected


def test_bytes_that_are_no_text_are_no_error() -> None:
    """A file in another encoding is searched for what can be read of it."""
    assert count(plain(b"parser \xff\xfe caf\xe9 parser"), "parser") == 2


@settings(max_examples=100, deadline=None)
@given(text=st.text(ALPHABET, max_size=40), term=st.text("abcäö1", min_size=3, max_size=5))
def test_the_count_finds_a_term_where_the_index_does(text: str, term: str) -> None:
    """A file that the index names always scores, and no other would."""
    connection = sqlite3.connect(":memory:")
    options = f"content='', detail=none, columnsize=0, tokenize='{TOKENIZER}'"
    connection.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, {options})")
    connection.execute("INSERT INTO words(rowid, text) VALUES (1, ?)", (text.encode(),))
    found = connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (fts_query(term),)).fetchall()
    connection.close()
    assert bool(found) == bool(count(plain(text.encode()), term))
