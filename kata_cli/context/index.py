"""The inverted index of a tree: which of its live files have a word.

The index is a cache: anything wrong with it (missing, corrupt, locked, another schema) means a rebuild.
Scores come from live files alone (see `rank`), so a cold and a warm index give the same answer. A tree is
indexed in two shards, one thread each: SQLite tokenizes outside the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import hashlib
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import msgspec

from kata_cli.context import shard
from kata_cli.context.query import Limits
from kata_cli.context.sensitive import is_sensitive

SCHEMA_VERSION = 3
SHARDS = 2


class ReadPolicy(msgspec.Struct, frozen=True):
    """Which files of a tree are read at all."""

    max_file_bytes: int
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, limits: Limits) -> ReadPolicy:
        return cls(limits.max_file_bytes, limits.exclude)

    def refusal(self, path: bytes) -> str:
        """Why a path is left out by its name alone, or an empty text."""
        if is_sensitive(path):
            return "sensitive"
        try:
            name = path.decode()
        except UnicodeDecodeError:
            return "name_not_utf8"
        return "excluded" if any(fnmatch.fnmatchcase(name, glob) for glob in self.exclude) else ""


class Index:
    """All shards of one tree; `sizes` has the bytes of each live file. Use it in a `with`."""

    def __init__(self, shards: list[shard.Shard], diagnostics: list[str]) -> None:
        self.diagnostics = diagnostics
        self.sizes = _sizes(shards)
        self._shards = shards

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self._shards:
            part.close()

    def left_out(self) -> Counter[str]:
        """How many files are left out, by reason."""
        return Counter(reason for part in self._shards for reason in part.files.reasons.values())

    def documents(self, term: str) -> list[bytes]:
        """The files that have a word beginning with the term (short terms: the word itself)."""
        return [path for part in self._shards for path in part.documents(term)]


def open_index(
    root: Path,
    list_paths: Callable[[], list[bytes]],
    policy: ReadPolicy,
    cache_dir: Path | None,
    is_rebuilt: bool = False,
) -> Index:
    """The current index of the listed paths below a root, from the cache as far as it holds.

    With `is_rebuilt` the cache is not trusted at all. Raises `OSError` when the root cannot be opened.
    """
    parts = functools.cache(lambda: _partition(list_paths()))
    sources = [shard.Source(root, lambda n=n: parts()[n], policy) for n in range(SHARDS)]  # type: ignore[misc]
    files = _cache_files(root, policy, cache_dir)
    shards = {} if is_rebuilt else _updated(sources, files)
    missing = [number for number in range(SHARDS) if number not in shards]
    diagnostics: list[str] = []
    with ThreadPoolExecutor(SHARDS) as pool:
        built = pool.map(lambda number: _rebuilt(sources[number], files[number], diagnostics), missing)
        shards |= dict(zip(missing, built, strict=True))
    return Index(list(shards.values()), sorted(set(diagnostics)))


def _sizes(shards: list[shard.Shard]) -> dict[bytes, int]:
    sizes: dict[bytes, int] = {}
    for part in shards:
        sizes.update(zip(part.files.paths, part.files.sizes, strict=True))
        for path in part.files.reasons:
            del sizes[path]
    return sizes


def _cache_files(root: Path, policy: ReadPolicy, cache_dir: Path | None) -> list[Path | None]:
    if cache_dir is None:
        return [None] * SHARDS
    key = "\0".join([str(SCHEMA_VERSION), str(root), str(policy.max_file_bytes), *policy.exclude])
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:24]
    return [cache_dir / f"{name}-{number}.db" for number in range(SHARDS)]


def _partition(paths: list[bytes]) -> list[list[bytes]]:
    parts: list[list[bytes]] = [[] for _ in range(SHARDS)]
    for path, checksum in zip(paths, map(zlib.crc32, paths), strict=True):
        parts[checksum % SHARDS].append(path)
    return parts


def _updated(sources: list[shard.Source], files: list[Path | None]) -> dict[int, shard.Shard]:
    """The shards whose file could be brought up to date; one after the other, as this is hardly work."""
    shards: dict[int, shard.Shard] = {}
    for number, (source, file) in enumerate(zip(sources, files, strict=True)):
        # Missing, corrupt, locked or worn out: a rebuild mends all of them.
        with contextlib.suppress(shard.Outdated, sqlite3.Error):
            if file is not None:
                shards[number] = shard.update(source, file)
    return shards


def _rebuilt(source: shard.Source, file: Path | None, diagnostics: list[str]) -> shard.Shard:
    try:
        return shard.build(source, file)
    except (OSError, sqlite3.Error) as error:
        if file is None:
            raise
        diagnostics.append(f"the context cache cannot be written ({error}); indexed in memory")
        return shard.build(source, None)
