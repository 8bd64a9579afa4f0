"""The `text/event-stream` format, from bytes to the payloads of its events.

After the WHATWG HTML standard, section "Server-sent events", of which vendors use the `data` field alone and
kata's own service the `id` too. Lines are framed on LF only; one CR before it is dropped.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_LINE_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class LineTooLongError(ValueError):
    """A line, or the lines of one event, exceed `MAX_LINE_BYTES`."""


class Payload(NamedTuple):
    """The data of one event, and the id to come back with; the empty one where none was ever sent."""

    id: str
    data: bytes


class SSEDecoder:
    """Takes bytes as they come and gives the payload of each event that has ended."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._id = ""
        self._is_first = True

    def feed(self, data: bytes) -> list[bytes]:
        """What `events` gives, without the ids."""
        return [payload.data for payload in self.events(data)]

    def events(self, data: bytes) -> list[Payload]:
        """The payloads that `data` completes; an event without its blank line is never given.

        Raises `LineTooLongError`.
        """
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            self._keep(tail)
            return []
        lines = b"".join([*self._rest, head]).split(b"\n")
        self._rest.clear()
        self._rest_bytes = 0
        self._keep(tail)
        return self._payloads(lines)

    def _keep(self, piece: bytes) -> None:
        self._rest.append(piece)
        self._rest_bytes += len(piece)
        self._check(self._rest_bytes)

    def _payloads(self, lines: list[bytes]) -> list[Payload]:
        if self._is_first:
            lines[0] = lines[0].removeprefix(_BOM)
            self._is_first = False
        payloads = []
        for line in lines:
            if line.startswith(b"data:"):
                self._add(line)
            elif line.startswith(b"id:"):
                self._id = _value(line, 3).decode("utf-8", "replace")
            elif self._data and line in (b"", b"\r"):
                payloads.append(Payload(self._id, b"\n".join(self._data)))
                self._data.clear()
                self._data_bytes = 0
        return payloads

    def _add(self, line: bytes) -> None:
        value = _value(line, 5)
        self._data.append(value)
        self._data_bytes += len(value)
        self._check(self._data_bytes)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise LineTooLongError(f"a line of the event stream is longer than {self._max_bytes} bytes")


def _value(line: bytes, start: int) -> bytes:
    """The value of a field that begins behind its colon, less one space and one CR."""
    value = line[start + 1 :] if line[start : start + 1] == b" " else line[start:]
    return value[:-1] if value.endswith(b"\r") else value
