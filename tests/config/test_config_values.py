"""From text and TOML to checked values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.config.settings import SETTINGS
from kata_cli.config.values import check, from_text
from kata_cli.core.duration import MAX_S, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5", 1.5), ("10m", 600), ("2h", 7200), ("30d", 2_592_000), (" 5m ", 300)],
)
def test_durations_read_as_seconds(text: str, seconds: float) -> None:
    """Every documented form is understood."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-1", "1w", "nan", "inf", "1e3", "m", "1 0", "٣", "9" * 400, "366d"]
)
def test_other_durations_are_refused(text: str) -> None:
    """What is no positive, finite time of at most a year is an error, never a guess."""
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@settings(max_examples=100, deadline=None)
@given(seconds=st.integers(1, int(MAX_S)))
def test_a_duration_is_the_same_with_and_without_its_unit(seconds: int) -> None:
    """`N` and `Ns` agree for every N."""
    assert parse_duration(str(seconds)) == parse_duration(f"{seconds}s") == seconds


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40), name=st.sampled_from(sorted(SETTINGS)))
def test_text_gives_a_value_or_says_what_was_expected(text: str, name: str) -> None:
    """No text makes a parser fail in another way, and what it accepts passes the check of files too."""
    outcome = _outcome(name, text)
    if not isinstance(outcome, ValueError):
        assert check(SETTINGS[name], outcome) == outcome
    else:
        assert str(outcome).startswith("expected ")


def _outcome(name: str, text: str) -> Any:
    try:
        return from_text(SETTINGS[name], text)
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("jobs", "8"),
        ("jobs", True),
        ("jobs", 0),
        ("jobs", 10_001),
        pytest.param("jobs", 10**5000, id="jobs-huge"),
        ("jobs", 1.5),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("temperature", "hot"),
        ("max_tokens", 0),
        ("strict", "yes"),
        ("strict", 1),
        ("timeout", 0),
        ("timeout", -5),
        ("timeout", float("inf")),
        ("timeout", "soon"),
        ("timeout", True),
        ("fallback", "a/b"),
        ("fallback", ["a/b", 3]),
        ("fallback", [" "]),
        ("vars", {"a": ["list"]}),
        pytest.param("vars", {"a": 10**5000}, id="vars-huge"),
        ("vars", "a=b"),
        ("provider", ""),
        ("provider", 3),
        ("home", "/a\0b"),
        ("thinking", "hi"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(name: str, raw: Any) -> None:
    """Files are typed: nothing is converted silently, and no value breaks the message."""
    with pytest.raises(ValueError, match=r"^expected ") as caught:
        check(SETTINGS[name], raw)
    assert len(str(caught.value)) < 300


def test_the_nearest_choice_is_named() -> None:
    """A misspelt choice lists all of them and the nearest."""
    with pytest.raises(ValueError, match=r"one of native, pi, mock, got 'nativ'; did you mean native"):
        from_text(SETTINGS["runtime_mode"], "nativ")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False), ("false", False)])
def test_booleans_of_variables(text: str, value: bool) -> None:
    """The usual spellings of yes and no are understood in variables."""
    assert from_text(SETTINGS["strict"], text) is value


def test_lists_of_variables_are_split_at_commas() -> None:
    """A variable holds a list with commas; blanks between them vanish."""
    assert from_text(SETTINGS["fallback"], "a/b, c/d,") == ("a/b", "c/d")
