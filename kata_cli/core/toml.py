"""Bounded reading of TOML files: a broken or hostile one is a clean error that names file and line."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.text import one_line

MAX_BYTES = 1_048_576
MAX_DEPTH = 32
MAX_KEY_PARTS = 16

# Strings and comments hide brackets. An unclosed string runs to its end, so that the scan stays linear;
# the parser refuses it afterwards.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)'
    r"|'''.*?(?:'''|\Z)"
    r'|"(?:\\.|[^"\\\n])*"?'
    r"|'[^'\n]*'?"
    r"|#[^\n]*"
    r"|[\[\]{}=,.\n]",
    re.S,
)
_LINE_IN_MESSAGE = re.compile(r"^(.*) \(at line (\d+), column \d+\)$", re.S)
_HEADER = re.compile(r"\s*(\[\[?)([^\]]+)\]")
_ASSIGNMENT = re.compile(r"\s*([^=#\[]+?)\s*=")


class File(msgspec.Struct, frozen=True):
    """A TOML file that was read; a missing one is empty."""

    path: Path
    text: str = ""
    table: dict[str, Any] = {}

    def source(self, key: str) -> str:
        """Where a dotted key stands: `file:line: key`, without the line when it is not found.

        The empty key stands for the file as a whole.
        """
        if not key:
            return str(self.path)
        line = line_of(self.text, key)
        shown = one_line(key, 80)
        return f"{self.path}:{line}: {shown}" if line else f"{self.path}: {shown}"

    def error(self, key: str, message: str, hint: str = "") -> KataError:
        """The error about one key of this file."""
        return KataError("config", f"{self.source(key)}: {message}", hint)


def read(path: Path) -> File:
    """The decoded file. Raises `KataError`: io when it cannot be read, config when it is no bounded TOML."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return File(path)
    except OSError as error:
        raise unreadable(path, error) from None
    return read_descriptor(descriptor, path)


def read_descriptor(descriptor: int, path: Path) -> File:
    """The decoded file behind an open descriptor, which is closed. Raises like `read`."""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise KataError("config", f"{path}: expected a regular file")
        with open(descriptor, "rb", closefd=False) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise KataError("config", f"{path}: expected at most {MAX_BYTES} bytes")
    return decode(data, path)


def unreadable(path: Path, error: OSError) -> KataError:
    """The error about a file that exists but cannot be read."""
    return KataError("io", f"cannot read {path}: {error.strerror}", f"check the permissions: ls -l {path}")


def line_of(text: str, key: str) -> int:
    """The line (from 1) where a dotted key is written, else that of the nearest table around it, else 0."""
    around, line = "", 0
    for number, written in _written(text):
        if written == key:
            return number
        if key.startswith(f"{written}.") and len(written) > len(around):
            around, line = written, number
        elif written.startswith((f"{key}.", f"{key}[")) and not line:
            line = number
    return line


def _written(text: str) -> Iterator[tuple[int, str]]:
    """Each key with its line; the n-th `[[name]]` is `name[n]`, counted from 0."""
    table, seen = "", Counter[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            table = _plain(header[2])
            if header[1] == "[[":
                seen[table] += 1
                table = f"{table}[{seen[table] - 1}]"
            yield number, table
        elif assignment := _ASSIGNMENT.match(line):
            name = _plain(assignment[1])
            yield number, f"{table}.{name}" if table else name


def _plain(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def decode(data: bytes, path: Path) -> File:
    """The bytes of a TOML file, decoded within bounds. Raises `KataError` config."""
    import tomllib

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KataError("config", f"{path}: expected UTF-8, byte {error.start} is not") from None
    _check_bounds(text, path)
    try:
        return File(path, text, tomllib.loads(text))
    except RecursionError:
        raise KataError("config", f"{path}: nested too deeply") from None
    except ValueError as error:
        match = _LINE_IN_MESSAGE.match(str(error))
        where = f"{path}:{match[2]}" if match else str(path)
        raise KataError("config", f"{where}: not TOML: {match[1] if match else error}") from None


def _check_bounds(text: str, path: Path) -> None:
    depth = dots = 0
    line = 1
    for token in _TOKEN.findall(text):
        if token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
        dots = dots + 1 if token == "." else 0 if token in "[{=,\n" else dots
        if depth > MAX_DEPTH:
            raise KataError("config", f"{path}:{line}: expected at most {MAX_DEPTH} nested brackets")
        if dots >= MAX_KEY_PARTS:
            raise KataError("config", f"{path}:{line}: expected at most {MAX_KEY_PARTS} parts in a key")
        line += token.count("\n")
