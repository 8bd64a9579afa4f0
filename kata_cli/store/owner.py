"""Who works on a run or session: a locked file beside it, which the kernel frees when its process dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.errors import Owned as Owned
from kata_cli.store.atomic import refused
from kata_cli.store.reading import read_file


class Owner(msgspec.Struct, frozen=True):
    """A process, and the host it runs on."""

    pid: int
    host: str


class OwnerLock:
    """Held from `acquire` to `release`; the file goes with it, so a finished run has none."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd: int | None = fd

    @classmethod
    def acquire(cls, directory: Path) -> OwnerLock:
        """Lock a run directory for this process, at once. Raises `Owned`, or `KataError` io."""
        return cls.take(owner_file(directory), "run", directory.name)

    @classmethod
    def take(cls, path: Path, what: str, name: str) -> OwnerLock:
        """Lock the run or session whose owner file is at `path`. Raises `Owned`, or `KataError` io."""
        try:
            fd = _locked(path)
            while not _is_same_file(fd, path):  # its last owner removed it between our open and our lock
                os.close(fd)
                fd = _locked(path)
            _write_owner(fd)
        except BlockingIOError:
            raise in_use(path, what, name) from None
        except OSError as error:
            raise refused("lock", path, error) from error
        return cls(path, fd)

    def release(self) -> None:
        """Give it free; twice is harmless."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):  # a file that stays behind unlocked says nothing
                self._path.unlink()
            os.close(fd)


def owner_file(directory: Path) -> Path:
    """The owner file of a run directory."""
    return directory / "owner"


def owner_of(path: Path) -> Owner | None:
    """The process that holds an owner file locked now; None when nobody does, or it does not tell."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_owner(path)
    finally:
        os.close(fd)
    return None


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
    """Say who holds the lock, as far as there is room: on a full disk runs must still be deleted."""
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, msgspec.json.encode(Owner(os.getpid(), os.uname().nodename)), 0)


def in_use(path: Path, what: str, name: str) -> Owned:
    """The error about a run or session that another process works on, which its owner file tells."""
    owner = _read_owner(path)
    who = f"process {owner.pid} on {owner.host}" if owner else "another process"
    hint = f"wait for it, or: kata sessions stop {name}"
    if what == "session":  # a service has it open without a run, and ends for none of its sessions
        hint = f"{hint}   (of kata serve: kata agents stop {name})"
    return Owned("io", f"the {what} {name} is in use by {who}", hint)


def _read_owner(path: Path) -> Owner | None:
    try:
        return msgspec.json.decode(read_file(path), type=Owner)
    except (KataError, msgspec.MsgspecError):
        return None
