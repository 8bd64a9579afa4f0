"""The directory that sessions work in: what a client names is found below it, or refused."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kata_cli.core.errors import Failure, KataError

MAX_FILE_BYTES = 1024 * 1024
MAX_PATH_CHARS = 4096
BELOW = "name what is below the workspace, relative to it and not by a link"
# What this process or its disk lacks, whatever the client has named.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Workspace:
    """A directory tree. Names are relative to `root`; none leads out of it and links are not followed.

    `is_hidden` tells, for a name, whether its file is kept from agents, as places of secrets are.
    """

    def __init__(self, root: Path, is_hidden: Callable[[bytes], bool] = lambda name: False) -> None:
        self.root = root
        self._is_hidden = is_hidden

    def directory(self, name: str) -> Path:
        """The directory of a name, empty for the root. Raises `KataError` usage."""
        parts = _parts(name) if name else []
        with self._opened(parts, name, os.O_DIRECTORY):
            return self.root.joinpath(*parts)

    def read(self, directory: str, name: str) -> str:
        """The text of a file below a directory of the workspace, bytes that are no UTF-8 replaced.

        Raises `KataError` usage: outside, not there, no file, over 1 MiB, or kept from agents.
        """
        parts = [*(_parts(directory) if directory else []), *_parts(name)]
        if self._is_hidden("/".join(parts).encode()):
            raise _refused(name, "is kept from agents", "files that usually hold secrets are not attached")
        with self._opened(parts, name, 0) as fd:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise _refused(name, "is no file")
            if status.st_size > MAX_FILE_BYTES:
                raise _refused(name, f"is over {MAX_FILE_BYTES} bytes long")
            with os.fdopen(os.dup(fd), "rb") as file:
                return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")

    @contextmanager
    def _opened(self, parts: list[str], name: str, flags: int) -> Iterator[int]:
        """The place of a path, opened part by part so that no link, also not a new one, leads elsewhere."""
        with ExitStack() as opened:
            try:
                fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                opened.callback(os.close, fd)
                for index, part in enumerate(parts, 1):
                    is_last = index == len(parts)
                    fd = os.open(part, _OPEN | (flags if is_last else os.O_DIRECTORY), dir_fd=fd)
                    opened.callback(os.close, fd)
            except OSError as error:
                if error.errno in _OURS:
                    raise KataError("io", f"cannot open {name[:200]!r}: {error.strerror}") from None
                raise _refused(name, f"cannot be opened: {error.strerror}") from None
            yield fd


def _parts(name: str) -> list[str]:
    """The parts of a relative path. Raises `KataError` usage for any other."""
    parts = name.split("/")
    if "\0" in name or len(name) > MAX_PATH_CHARS or not _is_encodable(name):
        raise _refused(name, "is no path")
    if name.startswith("/") or ".." in parts:
        raise _refused(name, "is not below the workspace")
    if kept := [part for part in parts if part not in ("", ".")]:
        return kept
    raise _refused(name, "names nothing")


def _is_encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refused(name: str, why: str, hint: str = BELOW) -> KataError:
    told = f"{name[:200]!r} {why}"
    return KataError.of(Failure(code="usage", message=told, remediation=hint, status=400))
