"""The event-stream decoder."""

from __future__ import annotations

import itertools
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.providers.sse import LineTooLongError, SSEDecoder

FIELDS = st.sampled_from([b"data", b"event", b"id", b"retry", b"", b"datas"])
LINES = st.tuples(FIELDS, st.sampled_from([b"", b" "]), st.binary(max_size=12)).map(
    lambda parts: parts[0] + b":" + parts[1] + parts[2].replace(b"\n", b"")
)
STREAMS = st.lists(st.one_of(LINES, st.just(b""), st.just(b"\r")), max_size=30).map(
    lambda lines: b"".join(line + b"\n" for line in lines)
)


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\ndata:\n\n", [b""]),
        (b": keep-alive\n\ndata: a\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), ["a\u2028b\x85c\x0bd".encode()]),
        (b"data: a\rdata: b\n\n", [b"a\rdata: b"]),
        (b"data: a\n", []),
        (b"data: a", []),
    ],
)
def test_reads_the_fields_of_the_standard(stream: bytes, payloads: list[bytes]) -> None:
    """Lines end at LF alone, one space and one CR are dropped, and an event needs its blank line."""
    assert SSEDecoder().feed(stream) == payloads


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"id: e.1\nevent: x\ndata: a\n\n", [("e.1", b"a")]),
        (b"id: 1\r\ndata: a\r\n\r\ndata: b\n\n", [("1", b"a"), ("1", b"b")]),
        (b"id:1\ndata: a\n\nid\nid: 2\n\ndata: b\n\n", [("1", b"a"), ("2", b"b")]),
        (b"data: a\nid: 3\n\n", [("3", b"a")]),
    ],
)
def test_an_event_has_the_last_id_that_was_sent(stream: bytes, events: list[tuple[str, bytes]]) -> None:
    """As the standard says, an id holds until the next one."""
    assert SSEDecoder().events(stream) == events


@given(STREAMS, st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=150, deadline=None)
def test_cuts_change_nothing(stream: bytes, cuts: list[int]) -> None:
    """However the network cuts a stream, its payloads are the same."""
    decoder = SSEDecoder()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert [payload for piece in pieces for payload in decoder.feed(piece)] == SSEDecoder().feed(stream)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: " + b"x" * 100 + b"\n\n"],
        [b"x" * 60, b"x" * 60],
        [b"data: " + b"x" * 40 + b"\n"] * 3,
    ],
)
def test_a_line_has_a_limit(pieces: list[bytes]) -> None:
    """A line, an unended line and the lines of one event are bounded in bytes."""
    decoder = SSEDecoder(max_bytes=90)
    with pytest.raises(LineTooLongError, match="90 bytes"):
        deque(map(decoder.feed, pieces))


def test_a_long_line_in_small_pieces_is_joined_once() -> None:
    """A line of a megabyte that comes in 4,096 pieces is whole at its end."""
    decoder = SSEDecoder()
    stream = b"data: " + b"x" * 1_048_570 + b"\n\n"
    found = [payload for at in range(0, len(stream), 256) for payload in decoder.feed(stream[at : at + 256])]
    assert found == [b"x" * 1_048_570]
