"""Reading below one directory: no symlink is followed, nothing outside is ever opened.

Each component of a path is opened relative to its parent with O_NOFOLLOW, so a link that is put in place
between a check and the open leads nowhere.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from types import TracebackType

import msgspec

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a fifo must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SNIFF_BYTES = 8_000  # the length git looks at to call a file binary
_DRAFT = re.compile(rb'(?:\xef\xbb\xbf)?---\r?\nschema: "kata\.spec/')


class Refused(Exception):
    """A file that is not read; its one argument is the reason that is counted."""

    @property
    def reason(self) -> str:
        return str(self.args[0])


class Content(msgspec.Struct, frozen=True):
    """The bytes of a regular text file, whole or up to the number asked for, and its size in bytes."""

    data: bytes
    size: int


class Tree:
    """Opens files below a root. Keeps the last directory open: neighbours come one after the other."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder = b""
        self._fd = self._root

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._leave()
        os.close(self._root)

    def read(self, path: bytes, max_size: int, up_to: int | None = None) -> Content:
        """The file at a relative path. Raises `Refused` with the reason it is left out.

        A draft that kata wrote is left out too: else a run would answer to what the one before it said.
        """
        try:
            fd = self._open(path)
        except FileNotFoundError:
            raise Refused("deleted") from None
        except NotADirectoryError:
            raise Refused("symlink") from None
        except OSError as error:
            raise Refused("symlink" if error.errno == errno.ELOOP else "unreadable") from None
        try:
            content = read_text_bytes(fd, max_size, up_to)
        finally:
            os.close(fd)
        if _DRAFT.match(content.data):
            raise Refused("draft")
        return content

    def _open(self, path: bytes) -> int:
        folder, _, name = path.rpartition(b"/")
        if name in (b"", b".", b".."):
            raise IsADirectoryError
        if folder != self._folder:
            self._enter(folder)
        return os.open(name, _FILE, dir_fd=self._fd)

    def _enter(self, folder: bytes) -> None:
        self._leave()
        fd = self._root
        for part in folder.split(b"/") if folder else ():
            if part in (b"", b".", b".."):
                raise PermissionError
            fd, parent = os.open(part, _DIRECTORY, dir_fd=fd), fd
            if parent != self._root:
                os.close(parent)
        self._folder, self._fd = folder, fd

    def _leave(self) -> None:
        if self._fd != self._root:
            os.close(self._fd)
        self._folder, self._fd = b"", self._root


def read_text_bytes(fd: int, max_size: int, up_to: int | None = None) -> Content:
    """Read an open file. Raises `Refused`: not_regular, too_large, binary or unreadable."""
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        raise Refused("not_regular")
    if info.st_size > max_size:
        raise Refused("too_large")
    try:
        # One byte more than allowed: a file that grows while it is read is noticed.
        data = os.read(fd, max_size + 1 if up_to is None else up_to)
    except OSError:
        raise Refused("unreadable") from None
    if len(data) > max_size:
        raise Refused("too_large")
    if b"\0" in data[:_SNIFF_BYTES]:
        raise Refused("binary")
    return Content(data, len(data) if up_to is None else info.st_size)
