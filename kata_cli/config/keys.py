"""Reading one secret from a file or from the credentials file, and checking its form."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from kata_cli.core import toml
from kata_cli.core.errors import KataError

MAX_BYTES = 65_536
MAX_CHARS = 8_192  # what common servers take as one header line

_SECRET = re.compile(r"[!-~]+")


def clean(text: str, source: str) -> str:
    """The secret without a trailing newline and spaces around it, empty when blank.

    It goes into a header as it is, so anything but visible ASCII, or too much of it, raises `KataError`
    invalid_auth.
    """
    secret = text.removesuffix("\n").removesuffix("\r").strip(" ")
    if secret and not _SECRET.fullmatch(secret):
        raise _unusable(source, "holds a control character, a space or a letter outside ASCII")
    if len(secret) > MAX_CHARS:
        raise _unusable(source, f"is longer than {MAX_CHARS} characters")
    return secret


def _unusable(source: str, why: str) -> KataError:
    return KataError("invalid_auth", f"the key from {source} {why}", "give the key again, as one plain line")


def decoded(data: bytes) -> str:
    """Bytes as text for `clean`, which refuses what is not ASCII."""
    return data.decode("utf-8", "replace")


def read_file(path: Path) -> str:
    """The text of a file, or of a pipe that a shell made, with one key in it. Raises `KataError` io.

    A named pipe that nobody writes to is empty: it is not waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            mode = os.fstat(descriptor).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise KataError("io", f"{path} is not a regular file", f"ls -l {path}")
            os.set_blocking(descriptor, True)
            return decoded(stream.read(MAX_BYTES))
    except OSError as error:
        raise toml.unreadable(path, error) from None


def read_credentials(path: Path) -> dict[str, Any]:
    """The tables of `credentials.toml`, empty when there is none.

    Raises `KataError` invalid_auth when it is a symlink, another user's, or open to others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        if path.is_symlink():
            raise _refused(path, "is a symlink", f"replace {path} by a file of your own") from None
        raise toml.unreadable(path, error) from None
    try:
        _check_privacy(descriptor, path)
    except KataError:
        os.close(descriptor)
        raise
    return toml.read_descriptor(descriptor, path).table


def _check_privacy(descriptor: int, path: Path) -> None:
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        raise _refused(path, "belongs to another user", f"ls -l {path}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise _refused(path, f"has mode {stat.S_IMODE(status.st_mode):04o}", f"chmod 600 {path}")


def _refused(path: Path, why: str, hint: str) -> KataError:
    return KataError("invalid_auth", f"{path} is not used: it {why}, but keys must be private", hint)
