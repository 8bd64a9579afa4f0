"""The lines of a batch as they come in: from a file that can be read twice, or from a pipe."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from itertools import count
from typing import Annotated

import msgspec

from kata_cli.app import stdin
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.jsonl import LineDecoder, LineTooLong, decode_json

STDIN_FD = 0
MAX_LINE_BYTES = 4_194_304
CHUNK_BYTES = 65_536
BOM = b"\xef\xbb\xbf"
WAIT_HINT = "KATA_STDIN_WAIT=10m waits longer"

LineId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(?!\n)$")]


class BatchLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of FILE for `kata batch`: one run.

    `id` is the line's own within the file; `workflow` and `vars` stand above those of the command line,
    `files` are shown to the models, `output` receives the result.
    """

    id: LineId
    goal: str
    workflow: str | None = None
    vars: dict[str, str | int | float | bool] = {}
    files: tuple[str, ...] = ()
    output: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """A line with its number from 1, or what is wrong with it."""

    number: int
    line: BatchLine | Failure


class Source(msgspec.Struct, frozen=True):
    """Where lines come from. `start` is the offset of a file that can be read twice, None for a stream."""

    fd: int
    name: str
    start: int | None


def open_source(name: str) -> Source:
    """FILE, or stdin for `-`. Raises `KataError` io."""
    fd = STDIN_FD if name == "-" else _opened(name)
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise KataError("io", f"cannot read {name}: it is a directory", "name a file of JSON lines")
    is_file = stat.S_ISREG(mode)
    return Source(fd, "stdin" if name == "-" else name, os.lseek(fd, 0, os.SEEK_CUR) if is_file else None)


def await_source(source: Source, *, wait_s: float, say: Callable[[str], None]) -> None:
    """Wait for the first byte of stdin. Raises `KataError` usage when none comes."""
    if source.fd == STDIN_FD:
        stdin.await_first_byte(STDIN_FD, wait_s=wait_s, say=say, notice="waiting for stdin", hint=WAIT_HINT)


def entries(source: Source) -> Iterator[list[Entry]]:
    """The lines that are not blank, each judged by itself and against those before it; blocks.

    Those that one read completes come together. A file is read from where it stood at first. Raises
    `KataError`: io, usage for a line without an end.
    """
    if source.start is not None:
        os.lseek(source.fd, source.start, os.SEEK_SET)
    judge, numbers = _Judge(), count(1)
    for lines in _lines(source):
        numbered = zip(lines, numbers, strict=False)
        yield [Entry(number, judge.line(data)) for data, number in numbered if data.strip()]


class _Judge:
    """Remembers the ids and outputs of a batch: neither may be used twice."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._outputs: set[str] = set()

    def line(self, data: bytes) -> BatchLine | Failure:
        try:
            line = msgspec.convert(decode_json(data, max_bytes=MAX_LINE_BYTES), BatchLine)
        except (ValueError, msgspec.ValidationError) as error:
            return _bad(str(error), "kata schema batch-line")
        if line.id in self._ids:
            return _bad(f"the id {line.id} was used before", "give each line an id of its own")
        output = os.path.realpath(line.output) if line.output is not None else ""
        if output and output in self._outputs:
            return _bad(f"another line writes to {line.output} too", "give each line a file of its own")
        self._ids.add(line.id)
        if output:
            self._outputs.add(output)
        return line


def _bad(message: str, hint: str) -> Failure:
    return Failure(code="usage", message=message, remediation=hint)


def _opened(name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise KataError("io", f"cannot read {name}: {reason}", "name a file of JSON lines, or -") from None


def _lines(source: Source) -> Iterator[list[bytes]]:
    decoder = LineDecoder(MAX_LINE_BYTES)
    is_first = True
    try:
        while data := stdin.read_chunk(source.fd, CHUNK_BYTES):
            yield decoder.feed(data.removeprefix(BOM) if is_first else data)
            is_first = False
        yield decoder.finish()
    except LineTooLong as error:
        raise KataError(
            "usage", f"{source.name}: {error}", "put material into files, and name them"
        ) from None
    except OSError as error:
        raise KataError("io", f"cannot read {source.name}: {error.strerror}") from None
