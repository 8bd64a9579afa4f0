"""Windows of whole lines."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.context.snippets import LINES_BEFORE, MAX_PIECE_BYTES, WHOLE_BYTES, head, pieces

LINES = st.lists(
    st.sampled_from(["", "parser here", "x" * 70, "def ä():", "y" * 9000]), min_size=1, max_size=400
)


@settings(max_examples=100, deadline=None)
@given(lines=LINES)
def test_cx08_pieces_are_whole_lines_in_order_without_overlap(lines: list[str]) -> None:
    """Every piece equals the lines it claims, pieces never touch, and all fit into their bytes."""
    found = pieces("\n".join(lines) + "\n", ["parser"])
    last = 0
    for piece in found:
        assert piece.first_line > last
        assert piece.text.split("\n") == lines[piece.first_line - 1 : piece.last_line]
        last = piece.last_line
    assert sum(len(piece.text.encode()) for piece in found) <= max(MAX_PIECE_BYTES, WHOLE_BYTES)


@settings(max_examples=100, deadline=None)
@given(lines=LINES, max_bytes=st.integers(0, 500))
def test_a_head_is_a_prefix_of_whole_lines(lines: list[str], max_bytes: int) -> None:
    """The head fits and is never cut inside a line."""
    for piece in head("\n".join(lines), max_bytes):
        assert piece.text.split("\n") == lines[: piece.last_line]
        assert len(piece.text.encode()) <= max_bytes


def test_the_line_with_most_terms_is_shown_with_its_surroundings() -> None:
    """In a long file the window stands around the best line."""
    lines = [f"filler {number}" for number in range(2000)]
    lines[1500] = "def parse_money(): parser"
    (piece,) = pieces("\n".join(lines), ["parse", "money"])
    assert piece.first_line == 1501 - LINES_BEFORE
    assert "def parse_money" in piece.text


def test_a_file_of_one_endless_line_gives_nothing() -> None:
    """Minified code is never cut inside its line."""
    assert pieces("parser" * 10_000, ["parser"]) == []


def test_a_small_file_is_whole() -> None:
    """There is nothing to choose."""
    (piece,) = pieces("a\nb\n", ["zebra"])
    assert (piece.text, piece.first_line, piece.last_line) == ("a\nb", 1, 2)


def test_an_empty_file_has_no_piece() -> None:
    """Nothing is fenced for it."""
    assert pieces("", ["a"]) == []
