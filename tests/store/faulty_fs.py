"""A file system whose n-th call fails, and the torture that fails each call in turn."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from kata_cli.core.errors import KataError

ERRNOS = {
    "F01": errno.ENOSPC,
    "F02": errno.EIO,
    "F03": errno.EACCES,
    "F04": errno.EROFS,
    "F05": errno.EINTR,
    "F06": errno.EMFILE,
}


class FaultyFs:
    """`os`, but call number `fail_at` (from 1) fails with `code`; with `is_short`, writes take 3 bytes."""

    def __init__(self, fail_at: int = 0, code: int = errno.EIO, *, is_short: bool = False) -> None:
        self.calls: list[str] = []
        self.fail_at = fail_at
        self._code = code
        self._is_short = is_short

    def _count(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.fail_at:
            raise OSError(self._code, os.strerror(self._code))

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        self._count("open")
        return os.open(path, flags, mode)

    def write(self, fd: int, data: bytes | memoryview, /) -> int:
        self._count("write")
        return os.write(fd, data[:3] if self._is_short else data)

    def fsync(self, fd: int) -> None:
        self._count("fsync")
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        self._count("fdatasync")
        os.fdatasync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)  # the kernel frees the descriptor whatever close says
        self._count("close")

    def replace(self, src: Path, dst: Path) -> None:
        self._count("replace")
        os.replace(src, dst)

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        self._count("mkdir")
        os.mkdir(path, mode)

    def ftruncate(self, fd: int, length: int, /) -> None:
        self._count("ftruncate")
        os.ftruncate(fd, length)


def torture(
    work: Callable[[FaultyFs], object], after: Callable[[KataError | None], None], code: int, *, short: bool
) -> int:
    """Run `work` with each of its calls failing in turn, `after` after each. Returns their number."""
    fail_at = 0
    while True:
        fail_at += 1
        fs = FaultyFs(fail_at, code, is_short=short)
        error = None
        try:
            work(fs)
        except KataError as raised:
            error = raised
        after(error)
        if len(fs.calls) < fail_at:
            return fail_at - 1
