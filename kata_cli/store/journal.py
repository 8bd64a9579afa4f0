"""The journal of a run, `events.jsonl`: append-only, one write and one sync per batch, the truth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kata_cli.core.errors import UPGRADE, KataError
from kata_cli.core.events import NewerVersion, Recorded, RunStarted, decode_line
from kata_cli.store.atomic import FileSystem, refused, sync_data, sync_directory, write_all
from kata_cli.store.reading import opened, read_file


class JournalText(msgspec.Struct, kw_only=True):
    """What a journal holds. `sound_bytes` is where its last sound record ends.

    `is_damaged` says that whole lines follow there which are no records: nothing may be appended.
    """

    recorded: list[Recorded] = []
    warnings: list[str] = []
    sound_bytes: int = 0
    is_damaged: bool = False


class Journal:
    """An open journal. After a refused write it is closed, and every further one is refused."""

    def __init__(self, path: Path, fd: int, fs: FileSystem) -> None:
        self.path = path
        self._fd: int | None = fd
        self._fs = fs

    @classmethod
    def create(cls, path: Path, fs: FileSystem = os) -> Journal:
        """A new, empty journal. Raises `KataError` io, also when one exists."""
        try:
            fd = fs.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refused("create", path, error) from error
        journal = cls(path, fd, fs)
        try:
            sync_directory(path.parent, fs)
        except OSError as error:
            journal.close()
            raise refused("create", path, error) from error
        return journal

    @classmethod
    def open(cls, path: Path, fs: FileSystem = os) -> Journal:
        """An existing journal, cut after its last whole record. Raises `KataError` io, also when damaged."""
        text = read_journal(path)
        if text.is_damaged:
            raise KataError("io", f"cannot continue {path}: {text.warnings[-1]}", "start a new run")
        return cls.continued(path, text.sound_bytes, fs)

    @classmethod
    def continued(cls, path: Path, sound_bytes: int, fs: FileSystem = os) -> Journal:
        """An existing file of lines, cut to the bytes that were found sound. Raises `KataError` io."""
        try:
            fd = fs.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise refused("open", path, error) from error
        journal = cls(path, fd, fs)
        journal._cut(sound_bytes)
        return journal

    def append(self, lines: list[bytes], *, is_durable: bool = True) -> None:
        """Add LF-terminated records. Raises `KataError` io.

        They outlive this process at once, and with `is_durable` a loss of power too, like all before them.
        """
        if self._fd is None:
            raise KataError("io", f"cannot write {self.path}: it is closed since an earlier write failed")
        if not lines:
            return
        try:
            if os.fstat(self._fd).st_nlink == 0:
                raise FileNotFoundError(None, "it was deleted while in use")
            write_all(self._fd, b"".join(lines), self._fs)
            if is_durable:
                sync_data(self._fd, self._fs)
        except OSError as error:
            self.close()
            raise refused("write", self.path, error) from error

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _cut(self, length: int) -> None:
        assert self._fd is not None
        try:
            if os.fstat(self._fd).st_size > length:
                self._fs.ftruncate(self._fd, length)
                sync_data(self._fd, self._fs)
        except OSError as error:
            self.close()
            raise refused("mend", self.path, error) from error


def read_journal(path: Path) -> JournalText:
    """All that can be read of a journal, from its start.

    Raises `KataError` io when the file cannot be read or is of a newer version.
    """
    try:
        return _parse(read_file(path))
    except NewerVersion as error:
        message = f"cannot read {path}: {error}"
        raise KataError("io", message, UPGRADE) from error


def read_start(path: Path) -> RunStarted | None:
    """The first event of a journal, or None if it cannot be read."""
    try:
        with opened(path) as file:
            recorded = decode_line(file.readline())
    except (KataError, ValueError, msgspec.MsgspecError, RecursionError):
        return None
    return recorded.event if recorded and isinstance(recorded.event, RunStarted) else None


def _parse(data: bytes) -> JournalText:
    text = JournalText()
    known: dict[int, Recorded] = {}
    unknown = repeated = 0
    for line in whole_lines(data):
        try:
            recorded = decode_line(line)
        except NewerVersion:
            raise
        except (msgspec.MsgspecError, ValueError, RecursionError):
            text.is_damaged = True
            break
        text.sound_bytes += len(line)
        if recorded is None:
            unknown += 1
        elif known.setdefault(recorded.seq, recorded) is not recorded:
            repeated += 1
    text.recorded = list(known.values())
    text.warnings = [*_counted(unknown, repeated), *_end(text, data)]
    return text


def _end(text: JournalText, data: bytes) -> Iterator[str]:
    if text.is_damaged:
        number = data.count(b"\n", 0, text.sound_bytes) + 1
        yield f"line {number} of the journal is no event; what follows it is left out"
    elif text.sound_bytes < len(data):
        yield "the last record was torn and is left out"


def whole_lines(data: bytes) -> Iterator[bytes]:
    """The LF-terminated lines, without a tail in which a crash left blocks of NUL."""
    lines = data.split(b"\n")[:-1]
    while lines and b"\0" in lines[-1]:
        lines.pop()
    return (line + b"\n" for line in lines)


def _counted(unknown: int, repeated: int) -> Iterator[str]:
    if unknown:
        yield f"{unknown} event(s) of a type unknown to this version skipped"
    if repeated:
        yield f"{repeated} event(s) with a number already taken dropped"
