"""What an earlier batch printed: where the results of completed lines are, and the runs of the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from kata_cli.app.batch_line import ResultLine
from kata_cli.core.errors import KataError

MAX_RESULT_BYTES = 64 * 2**20


class _Head(msgspec.Struct):
    """What of a printed line decides whether its run is done."""

    id: str | None = None
    run_id: str | None = None
    status: str = ""
    type: str = ""
    schema: str = ""


class Earlier:
    """The lines of an earlier batch. Only the places of results are kept, and the runs that have none."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = file
        self._places: dict[str, int] = {}
        self._unfinished: dict[str, str] = {}

    def note(self, id: str, run_id: str | None, status: str, offset: int) -> None:
        """Remember a line, and forget what was known of it before."""
        self._places.pop(id, None)
        self._unfinished.pop(id, None)
        if status == "completed":
            self._places[id] = offset
        elif run_id is not None:
            self._unfinished[id] = run_id

    def unfinished(self, id: str) -> str | None:
        """The run of a line that did not complete then; None where there was none."""
        return self._unfinished.get(id)

    def take(self, id: str) -> ResultLine | None:
        """The result of a line that completed then; None for one that is to be run."""
        offset = self._places.get(id)
        if offset is None or self._file is None:
            return None
        self._file.seek(offset)
        return msgspec.json.decode(self._file.readline(), type=ResultLine)


def read_earlier(path: Path | None, stdout_fd: int) -> Earlier:
    """The results in a file, which may have been cut off at any byte.

    Raises `KataError`: io, usage for a file that no batch printed, or that is what stdout now writes to.
    """
    if path is None:
        return Earlier()
    try:
        file = path.open("rb")
        is_own = _is_same(file.fileno(), stdout_fd)
    except OSError as error:
        raise KataError("io", f"cannot read {path}: {error.strerror}", "name the earlier output") from None
    if is_own:
        hint = "write to another file: it will hold the results of both"
        raise KataError("usage", f"--resume-batch: {path} is what stdout is written to", hint)
    return _read(file, path)


def _read(file: BinaryIO, path: Path) -> Earlier:
    earlier = Earlier(file)
    offset = 0
    for number, data in enumerate(iter(lambda: file.readline(MAX_RESULT_BYTES), b""), start=1):
        if not data.endswith(b"\n"):
            break  # the batch was killed in the middle of a line
        head = _head(data, number, path)
        if head.id is not None:
            earlier.note(head.id, head.run_id, head.status, offset)
        offset += len(data)
    return earlier


def _head(data: bytes, number: int, path: Path) -> _Head:
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        head = _Head()
    if head.schema not in ("kata.result/v1", "kata.batch/v1"):
        told = f"--resume-batch: line {number} of {path} is no result of a batch"
        raise KataError("usage", told, "name a file that holds what kata batch printed")
    return head


def _is_same(fd: int, other_fd: int) -> bool:
    try:
        return os.path.sameopenfile(fd, other_fd)
    except OSError:
        return False
