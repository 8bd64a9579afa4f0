"""Whole files or nothing: a reader sees the old content or the new, after any crash."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from kata_cli.core.clock import random_suffix
from kata_cli.core.errors import KataError

_TEMPORARY = re.compile(r"\.tmp-([0-9]{1,10})-[0-9a-z]{6}")


class FileSystem(Protocol):
    """The system calls that the store makes; `os` is one, tests pass another that fails."""

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int: ...
    def write(self, fd: int, data: bytes | memoryview, /) -> int: ...
    def fsync(self, fd: int) -> None: ...
    def close(self, fd: int) -> None: ...
    def replace(self, src: Path, dst: Path) -> None: ...
    def mkdir(self, path: Path, mode: int = 0o777) -> None: ...
    def ftruncate(self, fd: int, length: int, /) -> None: ...


def refused(action: str, path: Path, error: OSError) -> KataError:
    """The one-line error for a system call that failed: `cannot write PATH: No space left on device`."""
    return KataError("io", f"cannot {action} {path}: {error.strerror or error}")


def temporary(directory: Path) -> Path:
    """A new name in a directory, which `sweep` knows once this process is gone."""
    return directory / f".tmp-{os.getpid()}-{random_suffix()}"


def write_file(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o600,
    is_durable: bool = True,
    fs: FileSystem = os,
    sync_names: Callable[[], None] | None = None,
) -> None:
    """Make `path` hold exactly `data`; a symlink there is replaced, not followed.

    `is_durable` is for what cannot be made again after a loss of power; `sync_names` then stands for
    `sync_directory` where that can be shared. Raises `KataError` io: then the old file is intact, or the new
    one whole.
    """
    draft = temporary(path.parent)
    try:
        _write_new(draft, data, mode, is_durable, fs)
        fs.replace(draft, path)
        if is_durable and sync_names is not None:
            sync_names()
        elif is_durable:
            sync_directory(path.parent, fs)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise refused("write", path, error) from error


def _write_new(path: Path, data: bytes, mode: int, is_durable: bool, fs: FileSystem) -> None:
    fd = fs.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        write_all(fd, data, fs)
        if is_durable:
            fs.fsync(fd)
    finally:
        fs.close(fd)


def append_file(path: Path, line: bytes, *, fs: FileSystem = os) -> None:
    """Add a line in one write, so that lines of several processes do not mix. Raises `KataError` io."""
    try:
        fd = fs.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, line, fs)
        finally:
            fs.close(fd)
    except OSError as error:
        raise refused("write", path, error) from error


def write_all(fd: int, data: bytes, fs: FileSystem) -> None:
    """Write every byte, however many calls it takes."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[fs.write(fd, rest) :]
        except InterruptedError:
            continue


def sync_data(fd: int, fs: FileSystem) -> None:
    """Make the content of a file durable, its times perhaps not; macOS knows `fsync` only."""
    getattr(fs, "fdatasync", fs.fsync)(fd)


def sync_directory(directory: Path, fs: FileSystem) -> None:
    """Make the names in a directory durable."""
    fd = fs.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fs.fsync(fd)
    finally:
        fs.close(fd)


def make_dirs(path: Path, mode: int = 0o700, fs: FileSystem = os) -> None:
    """Make a directory and its missing parents, each with `mode`. Raises `KataError` io."""
    try:
        _make_dirs(path, mode, fs)
    except OSError as error:
        raise refused("create the directory", path, error) from error


def _make_dirs(path: Path, mode: int, fs: FileSystem) -> None:
    try:
        fs.mkdir(path, mode)
    except FileExistsError:
        if not path.is_dir():
            raise
    except FileNotFoundError:
        _make_dirs(path.parent, mode, fs)
        _make_dirs(path, mode, fs)


def remove_tree(directory: Path) -> None:
    """Delete a directory as far as possible; what is left has a name that `sweep` knows."""
    import shutil  # slow to import and seldom needed

    shutil.rmtree(directory, ignore_errors=True)


def sweep(directory: Path) -> None:
    """Remove what dead processes left half made in a directory."""
    for entry in strays(directory):
        _remove(entry)


def strays(directory: Path) -> list[Path]:
    """What dead processes left half made in a directory."""
    hidden = (name for name in os.listdir(directory) if name.startswith("."))  # a store has many that are not
    return [
        directory / name
        for name in hidden
        if (found := _TEMPORARY.fullmatch(name)) and not is_alive(int(found[1]))
    ]


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        remove_tree(entry)
    else:
        entry.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, or no number that we can ask about
        pass
    return True
