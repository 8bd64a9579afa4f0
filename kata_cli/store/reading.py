"""The one way in which files of the store are read: regular files only, never waiting, never without end."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kata_cli.core.errors import KataError
from kata_cli.store.atomic import refused

MAX_BYTES = 1 << 30
# O_NONBLOCK: opening a fifo must not wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_file(path: Path) -> bytes:
    """All of a file. Raises `KataError` io naming it."""
    with opened(path) as file:
        return file.read()


def read_beginning(path: Path | str, max_bytes: int) -> bytes:
    """The first bytes of a file, for whoever reads many. Raises `KataError` io naming it."""
    try:
        fd = os.open(path, _FLAGS)
        try:
            _check(path, os.fstat(fd))
            return os.read(fd, max_bytes)
        finally:
            os.close(fd)
    except OSError as error:
        raise refused("read", Path(path), error) from error


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file open for reading. Raises `KataError` io: missing, unreadable, no regular file, over 1 GiB."""
    try:
        fd = os.open(path, _FLAGS)
        try:
            _check(path, os.fstat(fd))
            with open(fd, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(fd)
    except OSError as error:
        raise refused("read", path, error) from error


def _check(path: Path | str, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise KataError(
            "io", f"cannot read {path}: not a regular file", f"ls -la {shlex.quote(os.path.dirname(path))}"
        )
    if info.st_size > MAX_BYTES:
        raise KataError("io", f"cannot read {path}: it has more than {MAX_BYTES:,} bytes")
