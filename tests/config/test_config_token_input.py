"""A token session as it is handed over: what is taken, and what is refused without repeating it."""

from __future__ import annotations

import json

import pytest

from kata_cli.config.token_input import issued, parse
from kata_cli.core.clock import parse_stamp
from kata_cli.core.errors import Failure, KataError

TOKEN = "canary-token-0001"
NOW_S = parse_stamp("2026-11-21T10:00:00Z")


def refused(text: str) -> Failure:
    """The failure that a text ends in, after a look that it repeats nothing."""
    with pytest.raises(KataError) as caught:
        issued(parse(text, "stdin"), "api.example", NOW_S)
    failure = caught.value.failure
    assert "canary" not in failure.message + failure.hint
    return failure


def test_au_02_a_token_alone_gets_an_id_and_a_time() -> None:
    """AU-02: plain text is a session issued now, without an end, with an id of its own."""
    stored = issued(parse(f"{TOKEN}\n", "stdin"), "api.example", NOW_S)
    assert (stored.token, stored.host, stored.issued_at) == (TOKEN, "api.example", "2026-11-21T10:00:00.000Z")
    assert stored.id.startswith("token-")
    assert (stored.session.issued_at_s, stored.session.expires_at_s) == (NOW_S, None)
    assert TOKEN not in repr(stored)


def test_au_02_json_says_id_and_end() -> None:
    """AU-02: the JSON form keeps its id, and its end in UTC."""
    text = json.dumps({"token": TOKEN, "id": "t-1", "expires_at": "2026-11-21T13:00:00+02:00"})
    stored = issued(parse(text, "stdin"), "api.example", NOW_S)
    assert (stored.id, stored.token, stored.expires_at) == ("t-1", TOKEN, "2026-11-21T11:00:00.000Z")
    assert not stored.session.is_expired(NOW_S)
    assert stored.session.is_expired(NOW_S + 3600)


@pytest.mark.parametrize(
    "extra",
    [
        {"canary": 1},
        {"token": 3},
        {"id": "x" * 201},
        {"id": "canary\ud800"},
        {"expires_at": "2026-11-22T10:00:00"},
        {"expires_at": "9999-12-31T23:59:59-14:00"},
        {"expires_at": 1795255200},
        {"token": "canary\r\nX-Evil: 1"},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_a_json_form_that_is_not_the_one_shown_is_refused(extra: dict[str, object]) -> None:
    """Unknown keys, other types, a time without its offset: nothing is guessed and nothing repeated."""
    assert refused(json.dumps({"token": TOKEN, **extra})).code == "invalid_auth"
    assert refused(json.dumps({"token": TOKEN, **extra})[:-1]).code == "invalid_auth"


def test_au_12_a_blank_id_is_refused() -> None:
    """AU-12: a session without a name cannot be stored."""
    assert "id" in refused(json.dumps({"token": TOKEN, "id": " "})).message


def test_au_13_a_session_that_has_ended_is_refused() -> None:
    """AU-13: what has expired is not stored, to the second."""
    failure = refused(json.dumps({"token": TOKEN, "expires_at": "2026-11-21T10:00:00Z"}))
    assert (failure.code, failure.exit, failure.is_retryable) == ("session_expired", 4, True)
