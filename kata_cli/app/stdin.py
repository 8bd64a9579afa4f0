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


def read_text(fd: int, *, wait_s: float | None, say: Callable[[str], None]) -> str:
    """All of stdin as text.

    `wait_s` bounds the silence before the first byte, None waits for ever; what has begun is read to its
    end, however slow a build at the other end may be. Raises `KataError` usage when it passes, when there
    are more than 10 MB, or when the bytes are not UTF-8 text.
    """
    data = _read_bytes(fd, wait_s, say)
    if b"\0" in data:
        raise KataError(
            "usage", f"stdin is binary: a NUL at byte {data.index(0)}", "pipe text, or name files with -f"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KataError(
            "usage", f"stdin is not UTF-8 at byte {error.start}", "convert it first: iconv -t UTF-8"
        ) from None


def _read_bytes(fd: int, wait_s: float | None, say: Callable[[str], None]) -> bytes:
    data = bytearray()
    _await_first_byte(fd, wait_s, say)
    while chunk := _read_chunk(fd):
        data += chunk
        if len(data) > MAX_BYTES:
            raise KataError(
                "usage", f"stdin is longer than {MAX_BYTES} bytes", "pipe less, or name files with -f"
            )
    return bytes(data)


def _await_first_byte(fd: int, wait_s: float | None, say: Callable[[str], None]) -> None:
    """Wait until a byte or the end is there. Raises `KataError` usage when neither comes."""
    notice_s = NOTICE_S if wait_s is None else min(NOTICE_S, wait_s)
    if _is_readable(fd, notice_s):
        return
    say("waiting for stdin (--no-stdin to go on without it)")
    if _is_readable(fd, None if wait_s is None else wait_s - notice_s):
        return
    raise KataError(
        "usage",
        f"nothing came on stdin for {wait_s:g} s",
        "--no-stdin to go on without it, --stdin to wait for ever",
    )


def _is_readable(fd: int, timeout_s: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def _read_chunk(fd: int) -> bytes:
    _is_readable(fd, None)  # the other end may have made the pipe non-blocking
    try:
        return os.read(fd, CHUNK_BYTES)
    except OSError as error:
        raise KataError(
            "io", f"cannot read stdin: {error.strerror}", "--no-stdin to go on without it"
        ) from None
