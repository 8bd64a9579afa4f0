"""Globs that the user gives to `-f`, expanded in one bounded walk.

The walk carries the set of places of the pattern that a path may stand at, so each directory is listed once
however many `**` there are.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kata_cli.core.errors import KataError

MAX_ENTRIES = 100_000
_MAGIC = frozenset("*?[")
_ANY_DEPTH = "**"


def is_glob(pattern: str) -> bool:
    """Whether a name has characters that stand for others."""
    return not _MAGIC.isdisjoint(pattern)


def fixed_folder(pattern: str) -> str:
    """What comes before the first part with a wildcard: empty, or a path that ends with `/`; `~` expanded."""
    return os.path.expanduser("".join(f"{part}/" for part in _split(pattern)[0]))


def expand(pattern: str, cwd: Path) -> list[str]:
    """The files that match, sorted, each once. `*` and `**` pass names by that begin with a dot.

    No directory symlink is followed below the fixed beginning of the pattern. Raises `KataError` usage when
    more than `MAX_ENTRIES` entries would have to be looked at.
    """
    segments = _split(pattern)[1]
    found: list[str] = []
    looked_at = 0
    pending = [(fixed_folder(pattern), _with_skipped({0}, segments))]
    while pending:
        folder, places = pending.pop()
        for entry in _entries(cwd / folder):
            looked_at += 1
            if looked_at > MAX_ENTRIES:
                raise _too_wide(pattern)
            after = _after(places, segments, entry.name)
            if len(segments) in after and os.path.isfile(entry.path):
                found.append(folder + entry.name)
            if (below := after - {len(segments)}) and entry.is_dir(follow_symlinks=False):
                pending.append((f"{folder}{entry.name}/", below))
    return sorted(found)


def _split(pattern: str) -> tuple[list[str], list[str]]:
    """The parts before the first wildcard and those from it on, without a `**` that repeats another."""
    parts = pattern.split("/")
    first = next((number for number, part in enumerate(parts) if is_glob(part)), len(parts) - 1)
    segments: list[str] = []
    for part in parts[first:]:
        if part != _ANY_DEPTH or segments[-1:] != [_ANY_DEPTH]:
            segments.append(part)
    if segments[-1] == _ANY_DEPTH:
        segments.append("*")
    return parts[:first], segments


def _after(places: set[int], segments: list[str], name: str) -> set[int]:
    """Where in the pattern a path may stand that goes on with this name; behind the last: it matches."""
    matched = [place for place in places if _is_match(name, segments[place])]
    return _with_skipped({place + (segments[place] != _ANY_DEPTH) for place in matched}, segments)


def _with_skipped(places: set[int], segments: list[str]) -> set[int]:
    """These places, and those behind a `**`, which may stand for no directory at all."""
    return places | {place + 1 for place in places if segments[place : place + 1] == [_ANY_DEPTH]}


def _is_match(name: str, segment: str) -> bool:
    is_shown = not name.startswith(".") or segment.startswith(".")
    return is_shown and fnmatch.fnmatchcase(name, segment)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as scan:  # what cannot be listed has no match
        yield from scan


def _too_wide(pattern: str) -> KataError:
    return KataError(
        "usage",
        f"{pattern!r} would look at more than {MAX_ENTRIES:,} files and directories",
        "begin it with a directory, as in -f 'src/**/*.py'",
    )
