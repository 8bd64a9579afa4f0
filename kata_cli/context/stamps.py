"""Which files of a tree changed since they were last read, told by `lstat` alone."""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable, Iterable
from itertools import compress
from pathlib import Path

import msgspec

RACY_NS = 2_000_000_000  # a file this young may change again within one tick of its clock, as git has it
_NEVER = 0  # the stamp of a file that is read anew each time
_identity = operator.attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")


class Files(msgspec.Struct, array_like=True):
    """The files as they were last read, in columns, as a large tree is loaded at each run.

    `stamps` are hashes of what `lstat` said, `rows` are document numbers, `reasons` say why one is left out.
    """

    paths: list[bytes] = []
    stamps: list[int] = []
    rows: list[int] = []
    sizes: list[int] = []
    reasons: dict[bytes, str] = {}

    def add(self, path: bytes, stamp: int, row: int, size: int) -> None:
        """One more file."""
        self.paths.append(path)
        self.stamps.append(stamp)
        self.rows.append(row)
        self.sizes.append(size)

    def is_whole(self) -> bool:
        """Whether all columns are of one length."""
        return len(self.paths) == len(self.stamps) == len(self.rows) == len(self.sizes)

    def only(self, is_kept: list[bool]) -> Files:
        """The files whose place in a list of flags is true."""
        paths = list(compress(self.paths, is_kept))
        stamps, rows, sizes = (
            list(compress(column, is_kept)) for column in (self.stamps, self.rows, self.sizes)
        )
        kept = self.reasons.keys() & set(paths)
        return Files(paths, stamps, rows, sizes, {path: self.reasons[path] for path in kept})


def compare(root: Path, paths: Callable[[], list[bytes]], known: Files) -> tuple[Files, dict[bytes, int]]:
    """The files that are as they were, and the stamps of those listed that must be read."""
    stamps = _stamps(root, known.paths)  # while git is still listing
    listed = set(paths())
    rows = zip(known.paths, known.stamps, stamps, strict=True)
    kept = known.only([was == now != _NEVER and path in listed for path, was, now in rows])
    stale = sorted(listed.difference(kept.paths))
    return kept, dict(zip(stale, _stamps(root, stale), strict=True))


def _stamps(root: Path, paths: Iterable[bytes]) -> list[int]:
    prefix = os.fsencode(root) + b"/"
    racy_ns = time.time_ns() - RACY_NS
    return [_stamp(prefix + path, racy_ns) for path in paths]


def _stamp(path: bytes, racy_ns: int) -> int:
    """What tells a changed file from an unchanged one, if anything does."""
    try:
        identity = _identity(os.lstat(path))
    except OSError:
        return _NEVER
    return hash(identity) if identity[1] < racy_ns and identity[2] < racy_ns else _NEVER
