"""`credentials.toml`: entries are put in, changed and taken out, and never harm each other."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.config.stored_keys import StoredSession, encode, with_key, with_session, without

NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
ENTRIES = st.fixed_dictionaries({"api_key": TEXTS}, optional={"host": TEXTS, "note": TEXTS})
TABLES = st.dictionaries(NAMES, ENTRIES, max_size=4)


def read(tables: dict[str, Any]) -> dict[str, Any]:
    """The tables as the next command reads them."""
    return tomllib.loads(encode(tables).decode())


@settings(max_examples=60, deadline=None)
@given(TABLES, NAMES, TEXTS, TEXTS)
def test_a_key_is_read_back_and_all_else_stays(
    tables: dict[str, Any], name: str, key: str, host: str
) -> None:
    """What is stored for others is untouched; taking the entry out again leaves only that."""
    stored = read(with_key(tables, name, key, host))
    assert (stored[name]["api_key"], stored[name]["host"]) == (key, host)
    others = {other: entry for other, entry in tables.items() if other != name}
    assert without(stored, name) == others
    assert without(without(stored, name), name) == others


def test_au_02_a_key_and_a_session_stand_side_by_side() -> None:
    """AU-02: storing one does not drop the other; storing it again replaces it."""
    session = StoredSession(id="t-1", token="token-one", host="a.example", issued_at="2026-11-21T10:00:00Z")
    stored = read(with_session(with_key({}, "anthropic", "key-one", "a.example"), "anthropic", session))
    assert stored["anthropic"]["api_key"] == "key-one"
    assert stored["anthropic"]["session"] == {
        "id": "t-1",
        "token": "token-one",
        "host": "a.example",
        "issued_at": "2026-11-21T10:00:00Z",
    }
    again = read(with_session(stored, "anthropic", StoredSession(id="t-2", token="token-two")))
    assert again["anthropic"]["session"] == {"id": "t-2", "token": "token-two"}
    assert read(with_key(again, "anthropic", "key-two", "b.example"))["anthropic"]["session"]["id"] == "t-2"


def test_an_entry_that_is_no_table_is_replaced() -> None:
    """A login mends what a hand has broken."""
    assert with_key({"openai": "x"}, "openai", "key", "h") == {"openai": {"api_key": "key", "host": "h"}}
