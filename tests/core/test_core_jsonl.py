"""JSON and lines from outside are bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.jsonl import LineDecoder, LineTooLong, decode_json, split_lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
BYTES = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"\xe2\x80\xa8", b"\0", b"{}"])).map(b"".join)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_a_json_value_comes_back(value: Any) -> None:
    """What the standard encoder writes is read unchanged."""
    assert decode_json(json.dumps(value, ensure_ascii=False).encode(), max_bytes=10**6) == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"{} x", "byte 4"),
        (b"NaN", "byte 0"),
        (b"[1, Infinity]", "byte 4"),
        (b"-Infinity", "invalid"),
        (b"1e999", "out of range"),
        (b"9" * 5000, "out of range"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b'{"a":' * 100_000, "nested deeper than 64"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b'"\xff"', "utf-8"),
        (b'"\\ud800 alone"', "surrogate"),
        (b" " * 1_000_001, "more than the 1000000 allowed"),
    ],
)
def test_e2_f82_bombs_and_garbage_are_value_errors(data: bytes, reason: str) -> None:
    """Depth, digits, size, NaN and bad UTF-8 are refused with the reason."""
    with pytest.raises(ValueError, match="(?i)" + reason):
        decode_json(data, max_bytes=1_000_000)


def test_the_depth_allowed_is_exact() -> None:
    """64 levels are read, whatever lies in the innermost."""
    assert decode_json(b"[" * 64 + b"1" + b"]" * 64, max_bytes=1000)
    assert decode_json(b'[{"a": 1}]', max_bytes=100, max_depth=2) == [{"a": 1}]
    with pytest.raises(ValueError, match="deeper than 1"):
        decode_json(b'[{"a": 1}]', max_bytes=100, max_depth=1)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\r\n", [b"a", b"b\r"]),
        (b"a\rb\n", [b"a\rb"]),
        ("a\u2028b\x85c\n".encode(), ["a\u2028b\x85c".encode()]),
    ],
)
def test_e3_lines_end_at_lf_only(data: bytes, lines: list[bytes]) -> None:
    """U+2028, NEL and a lone CR are content; one CR before LF is dropped."""
    assert split_lines(data) == lines


@settings(max_examples=200, deadline=None)
@given(BYTES, st.lists(st.integers(0, 5), min_size=1))
def test_any_chunking_gives_the_same_lines(data: bytes, sizes: list[int]) -> None:
    """The decoder and `split_lines` agree, however the bytes arrive."""
    decoder = LineDecoder()
    lines, position = [], 0
    for size in sizes:
        lines += decoder.feed(data[position : position + size])
        position += size
    lines += decoder.feed(data[position:])
    assert lines + decoder.finish() == split_lines(data)
    assert decoder.finish() == []


def test_e4_a_line_of_70_kb_is_fine() -> None:
    """There is no 64 KiB limit."""
    assert LineDecoder().feed(b"a" * 70_000 + b"\n") == [b"a" * 70_000]


@pytest.mark.parametrize("chunks", [[b"abcdef"], [b"abc", b"def"], [b"ok\nabcdef\n"], [b"abcde", b"f\n"]])
def test_f67_a_line_beyond_the_limit_is_refused(chunks: list[bytes]) -> None:
    """Whether or not its end has come."""
    decoder = LineDecoder(max_bytes=5)
    *before, last = chunks
    assert [decoder.feed(chunk) for chunk in before] == [[] for _ in before]
    with pytest.raises(LineTooLong, match="longer than 5 bytes"):
        decoder.feed(last)


def test_a_line_at_the_limit_is_taken() -> None:
    """The bound is inclusive and does not count the line's end."""
    decoder = LineDecoder(max_bytes=5)
    assert decoder.feed(b"abcde") == []
    assert decoder.feed(b"\nabcde\n") == [b"abcde", b"abcde"]
