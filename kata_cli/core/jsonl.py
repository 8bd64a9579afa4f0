"""JSON from outside: bounded, strict, framed on LF bytes only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

MAX_LINE_BYTES = 16 * 2**20


def decode_json(data: bytes, *, max_bytes: int, max_depth: int = 64) -> Any:
    """The value of a JSON text in UTF-8.

    Raises `ValueError` that says why, and where if known: too large, too deep, malformed, NaN, Infinity, a
    number out of range.
    """
    if len(data) > max_bytes:
        raise ValueError(f"{len(data)} bytes of JSON are more than the {max_bytes} allowed")
    try:
        value = msgspec.json.decode(data)
    except RecursionError:
        raise ValueError(f"JSON is nested deeper than {max_depth}") from None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    _check_depth(value, max_depth)
    return value


def _check_depth(value: Any, max_depth: int) -> None:
    level = _containers([value])
    for _ in range(max_depth):
        level = [child for parent in level for child in _containers(_children(parent))]
    if level:
        raise ValueError(f"JSON is nested deeper than {max_depth}")


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, (dict, list))]


def _children(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def split_lines(data: bytes) -> list[bytes]:
    """The lines of a text, split on LF alone; one trailing CR is dropped from each.

    `str.splitlines` would also split at U+2028, which JSON allows inside strings.
    """
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


class LineTooLong(ValueError):
    """A line exceeds what the decoder may hold."""


class LineDecoder:
    """`split_lines` for bytes that arrive in pieces."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes. Raises `LineTooLong`."""
        head, newline, tail = data.rpartition(b"\n")
        lines: list[bytes] = []
        if newline:
            lines = split_lines(bytes(self._rest) + head + newline)
            self._rest.clear()
        self._rest += tail
        if max(len(self._rest), *map(len, lines), 0) > self._max_bytes:
            raise LineTooLong(f"a line is longer than {self._max_bytes} bytes")
        return lines

    def finish(self) -> list[bytes]:
        """The last line, if it had no LF."""
        rest = bytes(self._rest)
        self._rest.clear()
        return split_lines(rest)
