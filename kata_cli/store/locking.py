"""One process at a time in a directory, without a file that would be left there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kata_cli.store.atomic import refused


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Wait for the lock of a directory, which the kernel frees with the process. Raises `KataError` io."""
    fd = _locked(directory)
    try:
        yield
    finally:
        os.close(fd)


def _locked(directory: Path) -> int:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError:
            os.close(fd)
            raise
    except OSError as error:
        raise refused("lock", directory, error) from error
    return fd
