"""The token that every client of the service must show: 256 bits in a file that only its owner can read."""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from kata_cli.core.clock import random_suffix
from kata_cli.core.errors import KataError

TOKEN_BYTES = 32
MAX_FILE_BYTES = 1024

# What a `Bearer` header can carry (RFC 6750, section 2.1), at least as long as 256 bits in base64.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{43,512}=*")


def open_token(path: Path) -> str:
    """The token in a file, which is made with a new one where there is none.

    Raises `KataError`: io when the file cannot be read or made, invalid_auth like `read_token`.
    """
    with suppress(FileNotFoundError):
        return read_token(path)
    _make(path)
    return read_token(path)


def read_token(path: Path) -> str:
    """The token in a file; FileNotFoundError when there is none.

    Raises `KataError`: invalid_auth when the file is a symlink, another user's, open to others or holds no
    token, io when it cannot be read.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise _refused(path, "is a symlink", f"replace {path} by a file of your own") from None
        raise _failed("read", path, error) from None


def is_same(given: str | bytes, token: str) -> bool:
    """Whether a client knows the token; takes the same time however much of it is right."""
    claimed = given.encode("utf-8", "replace") if isinstance(given, str) else given
    return secrets.compare_digest(claimed, token.encode())


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_privacy(os.fstat(descriptor), path)
        return _checked(os.read(descriptor, MAX_FILE_BYTES), path)
    finally:
        os.close(descriptor)


def _check_privacy(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "is no regular file", f"ls -l {path}")
    if status.st_uid != os.geteuid():
        raise _refused(path, "belongs to another user", f"ls -l {path}")
    if mode := stat.S_IMODE(status.st_mode) & 0o077:
        raise _refused(path, f"is open to others (mode bits {mode:03o})", f"chmod 600 {path}")


def _checked(data: bytes, path: Path) -> str:
    token = data.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(token):
        raise _refused(path, "holds no token of 256 bits", f"remove {path} and start kata serve again")
    return token


def _make(path: Path) -> None:
    """Put a new token in place, whole and never over a file that is there: another start may be quicker."""
    draft = path.with_name(f".{path.name}-{random_suffix()}")
    try:
        for directory in reversed([place for place in path.parents if not place.is_dir()]):
            directory.mkdir(0o700, exist_ok=True)
        _write_new(draft, secrets.token_urlsafe(TOKEN_BYTES).encode() + b"\n")
        with suppress(FileExistsError):
            os.link(draft, path)
    except OSError as error:
        raise _failed("make", path, error) from None
    finally:
        with suppress(OSError):
            draft.unlink()


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)


def _refused(path: Path, why: str, hint: str) -> KataError:
    return KataError("invalid_auth", f"{path} is not used: it {why}", hint)


def _failed(action: str, path: Path, error: OSError) -> KataError:
    return KataError("io", f"cannot {action} {path}: {error.strerror or error}", f"ls -ld {path.parent}")
