"""Reading stdin so that no command ever hangs on it."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable
from typing import Literal

from kata_cli.core.errors import KataError

NOTICE_S = 1.0
MAX_BYTES = 10_000_000
CHUNK_BYTES = 65_536

Source = Literal["none", "terminal", "stream", "file"]


def source_of(fd: int) -> Source:
    """What stands behind a descriptor: a pipe or socket is a stream; a device that is no terminal is none."""
    try:
        mode = os.fstat(fd).st_mode
        if os.isatty(fd):
            return "terminal"
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            return "stream"
        # A shell loop (`while read; do kata …; done < list`) shares its offset: what is begun is not ours.
        if stat.S_ISREG(mode) and os.lseek(fd, 0, os.SEEK_CUR) == 0:
            return "file"
    except OSError:
        return "none"
    return "none"


def read_text(
    fd: int, *, wait_s: float | None, say: Callable[[str], None], max_bytes: int = MAX_BYTES
) -> str:
    """All of stdin as text.

    `wait_s` bounds the silence before the first byte, None waits for ever; what has begun is read to its
    end, however slow a build at the other end may be. Raises `KataError`: usage when it passes, io like
    `as_text`.
    """
    return as_text(_read_bytes(fd, wait_s, say, max_bytes), "stdin", max_bytes)


def as_text(data: bytes, what: str, max_bytes: int) -> str:
    """An input as text. Raises `KataError` io for one that is too long, binary or not UTF-8, with where."""
    if len(data) > max_bytes:
        raise KataError("io", f"{what} is longer than {max_bytes} bytes", "shorten it, or split it up")
    if b"\0" in data:
        raise KataError(
            "io", f"{what} is binary: a NUL at byte {data.index(0)}", "give text, in UTF-8: iconv -t UTF-8"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        told = f"{what} is not UTF-8 at byte {error.start}"
        raise KataError("io", told, "convert it first: iconv -t UTF-8") from None


def _read_bytes(fd: int, wait_s: float | None, say: Callable[[str], None], max_bytes: int) -> bytes:
    data = bytearray()
    await_first_byte(
        fd,
        wait_s=wait_s,
        say=say,
        notice="waiting for stdin (--no-stdin to go on without it)",
        hint="--no-stdin to go on without it, --stdin to wait for ever",
    )
    while len(data) <= max_bytes and (chunk := _read_chunk(fd)):
        data += chunk
    return bytes(data)


def await_first_byte(
    fd: int, *, wait_s: float | None, say: Callable[[str], None], notice: str, hint: str
) -> None:
    """Wait until a byte or the end is there. Raises `KataError` usage, with a hint, when neither comes."""
    notice_s = NOTICE_S if wait_s is None else min(NOTICE_S, wait_s)
    if _is_readable(fd, notice_s):
        return
    say(notice)
    if _is_readable(fd, None if wait_s is None else wait_s - notice_s):
        return
    raise KataError("usage", f"nothing came on stdin for {wait_s:g} s", hint)


def _is_readable(fd: int, timeout_s: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def read_chunk(fd: int, max_bytes: int = CHUNK_BYTES) -> bytes:
    """The next bytes, none at the end; blocks. Raises `OSError`."""
    _is_readable(fd, None)  # the other end may have made the pipe non-blocking
    return os.read(fd, max_bytes)


def _read_chunk(fd: int) -> bytes:
    try:
        return read_chunk(fd)
    except OSError as error:
        raise KataError(
            "io", f"cannot read stdin: {error.strerror}", "--no-stdin to go on without it"
        ) from None
