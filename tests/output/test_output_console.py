"""The writer thread: order, slow readers, closed pipes, full disks; and the colour decision."""

from __future__ import annotations

import asyncio
import errno
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.output.console import HIGH_WATER_BYTES, Writer, is_terminal, wants_colour


def drained(fd: int) -> bytes:
    """All bytes of a pipe up to its end."""
    with os.fdopen(fd, "rb") as file:
        return file.read()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=5_000), max_size=20), st.booleans())
def test_all_bytes_arrive_in_order(pieces: list[bytes], is_inline: bool) -> None:
    """What is written comes out of the pipe whole, from a thread or inline."""
    reader, writer_fd = os.pipe()
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(drained(reader)))
    thread.start()
    writer = Writer(writer_fd, is_inline=is_inline)
    for piece in pieces:
        writer.write(piece)
    assert writer.flush(10)
    os.close(writer_fd)
    thread.join(10)
    assert found == [b"".join(pieces)]


def test_a_closed_pipe_is_quiet() -> None:
    """After EPIPE everything is dropped, no error is kept, and flushing does not wait."""
    reader, fd = os.pipe()
    os.close(reader)
    writer = Writer(fd)
    writer.write(b"x")
    assert writer.flush(10)
    writer.write(b"y" * 1_000_000)
    assert writer.flush(10)
    assert (writer.is_broken, writer.error) == (True, None)
    os.close(fd)


def test_f78_a_full_device_is_an_error_that_is_kept() -> None:
    """/dev/full refuses: the error is there for whoever asks, nothing is raised in between."""
    fd = os.open("/dev/full", os.O_WRONLY)
    writer = Writer(fd)
    writer.write(b"x")
    assert writer.flush(10)
    assert writer.error is not None
    assert writer.error.errno == errno.ENOSPC
    os.close(fd)


def test_a_slow_reader_holds_up_who_asks_for_room_and_nobody_else() -> None:
    """`write` never blocks; `room` waits until the reader has taken enough."""
    reader, fd = os.pipe()
    writer = Writer(fd)

    async def fill() -> bool:
        writer.write(b"x" * (2 * HIGH_WATER_BYTES))
        assert writer.is_full
        waiting = asyncio.ensure_future(writer.room())
        await asyncio.sleep(0)
        was_waiting = not waiting.done()
        thread = threading.Thread(target=lambda: os.read(reader, 10) and drained(reader))
        thread.start()
        await asyncio.wait_for(waiting, 10)
        writer.flush(10)
        os.close(fd)
        thread.join(10)
        return was_waiting

    assert asyncio.run(fill())


def test_flushing_gives_up_after_its_time() -> None:
    """Nobody reads: `flush` says so instead of waiting for ever."""
    reader, fd = os.pipe()
    writer = Writer(fd)
    writer.write(b"x" * 1_000_000)
    assert not writer.flush(0.05)
    os.close(reader)
    assert writer.flush(10)
    os.close(fd)


@pytest.mark.parametrize(
    ("choice", "env", "is_tty", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_the_colour_decision(choice: str, env: dict[str, str], is_tty: bool, wanted: bool) -> None:
    """The flag beats the environment, NO_COLOR beats FORCE_COLOR, the stream decides last."""
    assert wants_colour(choice, env, is_tty=is_tty) is wanted


def test_a_closed_descriptor_is_no_terminal() -> None:
    """Asking about a descriptor that is closed is no error."""
    reader, fd = os.pipe()
    os.close(reader)
    os.close(fd)
    assert not is_terminal(fd)
