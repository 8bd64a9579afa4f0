"""Reading stdin so that no command ever hangs on it."""

from __future__ import annotations

import os
import select
import stat
import time
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

    `wait_s` bounds every silence, None waits for ever. Raises `KataError` usage when it passes, when there
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
    while _await_byte(fd, wait_s, say, is_first=not data):
        chunk = _read_chunk(fd)
        if not chunk:
            break
        data += chunk
        if len(data) > MAX_BYTES:
            raise KataError(
                "usage", f"stdin is longer than {MAX_BYTES} bytes", "pipe less, or name files with -f"
            )
    return bytes(data)


def _await_byte(fd: int, wait_s: float | None, say: Callable[[str], None], *, is_first: bool) -> bool:
    """Wait until a byte or the end is there."""
    started_s = time.monotonic()
    notice_s = NOTICE_S if wait_s is None else min(NOTICE_S, wait_s)
    if _is_readable(fd, notice_s):
        return True
    if is_first:
        say("waiting for stdin (--no-stdin to go on without it)")
    while wait_s is None or time.monotonic() - started_s < wait_s:
        left_s = 60.0 if wait_s is None else wait_s - (time.monotonic() - started_s)
        if _is_readable(fd, max(0.0, left_s)):
            return True
    raise KataError(
        "usage",
        f"nothing came on stdin for {wait_s:g} s",
        "--no-stdin to go on without it, --stdin to wait for ever",
    )


def _is_readable(fd: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(timeout_s * 1000))


def _read_chunk(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK_BYTES)
    except OSError as error:
        raise KataError(
            "io", f"cannot read stdin: {error.strerror}", "--no-stdin to go on without it"
        ) from None
