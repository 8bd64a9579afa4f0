"""What the user names with `-f`: files and globs. They are sent whole or refused, never ranked."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import msgspec

from kata_cli.context.globs import expand, fixed_folder, is_glob
from kata_cli.context.sensitive import is_sensitive
from kata_cli.context.tree import Refused, read_text_bytes
from kata_cli.core.errors import KataError

_ADVISED_BYTES = 400_000  # what fits into the default of context.max_named_tokens
_BOM = b"\xef\xbb\xbf"
_REASONS = {
    "binary": "is binary, not text",
    "not_regular": "is not a regular file",
    "unreadable": "cannot be read",
}


class Named(msgspec.Struct, frozen=True):
    """A file by its given name, where it lies, its bytes, and its text: LF line ends, no byte order mark."""

    name: str
    path: Path
    data: bytes
    text: str


class Selection(msgspec.Struct):
    """The named files in the order given, and the paths that a glob matched but that are not sent."""

    files: list[Named]
    sensitive: list[str]


def select(patterns: tuple[str, ...], cwd: Path, max_bytes: int) -> Selection:
    """Read the files of all `-f`, each once.

    Raises `KataError`: `io` when a named file is missing, unreadable, too large, binary or not UTF-8, `usage`
    when a glob matches nothing.
    """
    selection = Selection([], [])
    seen: set[Path] = set()
    for pattern in patterns:
        _check(pattern)
        is_literal = not is_glob(pattern) or os.path.exists(cwd / os.path.expanduser(pattern))
        for name in [pattern] if is_literal else _matches(pattern, cwd):
            path = Path(os.path.realpath(cwd / os.path.expanduser(name)))
            if path in seen:
                continue
            seen.add(path)
            if not is_literal and is_sensitive(os.fsencode(name)):
                selection.sensitive.append(name)
            else:
                selection.files.append(_read(name, path, max_bytes))
    return selection


def decode(data: bytes, name: str) -> str:
    """Text of UTF-8 bytes. Raises `KataError` io with the offset of the first byte that is none."""
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        offset = error.start + (len(_BOM) if data.startswith(_BOM) else 0)
        raise KataError(
            "io",
            f"{name}: not UTF-8 at byte {offset}",
            f"iconv -t UTF-8 < {shlex.quote(name)} > {shlex.quote(name + '.utf8')}",
        ) from None
    return text.replace("\r\n", "\n")


def _check(pattern: str) -> None:
    if not pattern:
        raise KataError("usage", "an empty name was given to -f", "kata run -f FILE …")
    if "\0" in pattern:
        raise KataError("usage", f"not a path: {pattern!r}", "check the path given to -f")


def _matches(pattern: str, cwd: Path) -> list[str]:
    files = expand(pattern, cwd)
    if not files:
        folder = shlex.quote(fixed_folder(pattern) or ".")
        raise KataError("usage", f"no file matches {pattern!r} in {cwd.name or cwd}", f"ls {folder}")
    return files


def _read(name: str, path: Path, max_bytes: int) -> Named:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KataError("io", f"{name}: {error.strerror}", "check the path given to -f") from None
    try:
        data = read_text_bytes(fd, max_bytes).data
    except Refused as refused:
        raise _refusal(name, os.fstat(fd).st_size, max_bytes, refused.reason) from None
    finally:
        os.close(fd)
    return Named(name, path, data, decode(data, name))


def _refusal(name: str, size: int, max_bytes: int, reason: str) -> KataError:
    if reason == "unreadable":
        return KataError("io", f"{name}: cannot be read", "check the path given to -f")
    if reason == "too_large":
        return KataError(
            "io",
            f"{name}: {size:,} bytes, at most {max_bytes:,} are taken",
            f"head -c {min(max_bytes, _ADVISED_BYTES)} < {shlex.quote(name)} | kata run …",
        )
    return KataError("io", f"{name}: {_REASONS[reason]}", "name text files with -f")
