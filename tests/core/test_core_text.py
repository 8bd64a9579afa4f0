"""Untrusted text cannot act on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.text import NeutralStream, near, neutral, one_line

BIDI = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
HIDDEN = [0x200B, 0x2028, 0x2029, 0x2060, 0xFEFF, 0xE0001, 0xE0041, 0xE007F, 0xD800, 0xDFFF]
FORBIDDEN = {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0), *BIDI, *HIDDEN]} - {"\n", "\t"}
HOSTILE = [
    *("\x1b[2J", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"),
    *(
        "\x1b]52;c;aGk=\x07",
        "\x1bP1$r\x1b\\",
        "\x1b_apc\x1b\\",
        "\x1b^pm\x1b\\",
        "\x9b31m",
        "\x9d0;t\x9c",
        "\x90q",
    ),
    *(
        "\x1bc",
        "\x1b(0",
        "\x1b[?1049h",
        "\x1b[6n",
        "\x1b[201~",
        "bell\a",
        "back\b\b",
        "over\rwrite",
        "\x7f\x7f",
    ),
    *(f"a{sign}b" for sign in sorted(FORBIDDEN)),
]
TEXTS = st.text(
    st.one_of(st.characters(codec=None), st.sampled_from([*sorted(FORBIDDEN), "\r", "\n", "^", "\\"]))
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\x1b[2J", "^[[2J"),
        ("\x9b31m", "\\u{9b}31m"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a^Mb"),
        ("a\r\r\nb", "a^M\nb"),
        ("\x7f\x00", "^?^@"),
        ("\u202egnp.exe", "\\u{202e}gnp.exe"),
        ("\U000e0041", "\\u{e0041}"),
        ("\ud800", "\\u{d800}"),
        ("a\u2028b", "a\\u{2028}b"),
        ("tab\tline\n", "tab\tline\n"),
        ("naïve 日本 👩\u200d💻 [red]x[/]", "naïve 日本 👩\u200d💻 [red]x[/]"),
    ],
)
def test_controls_become_visible(text: str, wanted: str) -> None:
    """Caret form for C0 and DEL, code points for the rest; ordinary text is untouched."""
    assert neutral(text) == wanted


@pytest.mark.parametrize("text", HOSTILE)
def test_x1_no_hostile_sequence_leaks(text: str) -> None:
    """Of more than 60 sequences nothing that acts on a terminal is left, and nothing is dropped silently."""
    shown = neutral(text)
    assert not FORBIDDEN & set(shown)
    assert len(shown) > len(text)
    shown.encode()


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_neutral_is_idempotent_and_leaves_nothing(text: str) -> None:
    """Neutral text is neutral, and can be encoded."""
    shown = neutral(text)
    assert neutral(shown) == shown
    assert not FORBIDDEN & set(shown)
    shown.encode()


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_a_stream_equals_the_whole(pieces: list[str]) -> None:
    """A CR at the end of a piece waits for what follows, and for nothing else."""
    stream = NeutralStream()
    shown = [stream.feed(piece) for piece in pieces]
    assert "".join([*shown, stream.flush()]) == neutral("".join(pieces))
    assert stream.flush() == ""


def test_a_stream_gives_out_all_but_a_last_cr() -> None:
    """First-byte latency: only the CR is held."""
    stream = NeutralStream()
    assert stream.feed("abc\x1b\r") == "abc^["
    assert stream.feed("\nd") == "\nd"
    assert stream.feed("\r") == ""
    assert stream.flush() == "^M"


@pytest.mark.parametrize(
    ("text", "max_chars", "wanted"),
    [
        ("a\n b\t\tc ", 10, "a b c"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("a\x1bb", 10, "a^[b"),
        ("ab", 0, "…"),
    ],
)
def test_one_line(text: str, max_chars: int, wanted: str) -> None:
    """A row has no line ends, no controls and a bounded length."""
    assert one_line(text, max_chars) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("antropic", "did you mean anthropic?"),
        ("OPENAI", "did you mean openai?"),
        ("specs", "did you mean spec or spec2?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_near(name: str, wanted: str) -> None:
    """The nearest names, best first, or nothing."""
    assert near(name, ["anthropic", "openai", "spec", "spec2"]) == wanted
