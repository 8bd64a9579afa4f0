"""Who works on a run: a locked file in its directory, which the kernel frees when its process dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.store.atomic import refused
from kata_cli.store.reading import read_file


class _Owner(msgspec.Struct):
    pid: int
    host: str


class Owned(KataError):
    """Another process works on the run."""


class OwnerLock:
    """Held from `acquire` to `release`; the file goes with it, so a finished run has none."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd: int | None = fd

    @classmethod
    def acquire(cls, directory: Path) -> OwnerLock:
        """Lock a run directory for this process, at once. Raises `Owned`, or `KataError` io."""
        path = directory / "owner"
        try:
            fd = _locked(path)
            while not _is_same_file(fd, path):  # its last owner removed it between our open and our lock
                os.close(fd)
                fd = _locked(path)
            _write_owner(fd)
        except BlockingIOError:
            raise _owned(path) from None
        except OSError as error:
            raise refused("lock", path, error) from error
        return cls(path, fd)

    def release(self) -> None:
        """Give the run free; twice is harmless."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):  # a file that stays behind unlocked says nothing
                self._path.unlink()
            os.close(fd)


def _locked(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _is_same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _write_owner(fd: int) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, msgspec.json.encode(_Owner(os.getpid(), os.uname().nodename)), 0)


def _owned(path: Path) -> Owned:
    try:
        owner = msgspec.json.decode(read_file(path), type=_Owner)
        who = f"process {owner.pid} on {owner.host}"
    except (KataError, msgspec.MsgspecError):
        who = "another process"
    return Owned("io", f"the run {path.parent.name} is in use by {who}", "wait for it, or stop that process")
