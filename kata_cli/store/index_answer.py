"""Questions to the index: answered from its file, and without it wherever that cannot be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from kata_cli.store.index_file import discard, identity, in_memory, is_there, is_worthless, opened

T = TypeVar("T")

# A damaged file shows itself in values of another type or text in no encoding, too.
_DAMAGE = (OSError, sqlite3.Error, TypeError, ValueError)
_Question = Callable[[sqlite3.Connection], T]


class Index:
    """What is known of the files in a directory, in `index.sqlite` beside it.

    Each question brings it up to date first, by `refresh`. `warnings` tells what it cannot be used for.
    """

    def __init__(self, directory: Path, refresh: Callable[[sqlite3.Connection], None]) -> None:
        self.warnings: list[str] = []
        self._directory = directory
        self._file = directory.parent / "index.sqlite"
        self._refresh = refresh

    def ask(self, question: _Question[T]) -> T:
        """The answer to a question. Raises `KataError`: io when the directory cannot be listed, its own."""
        if not self._directory.exists():  # looking makes nothing
            with closing(in_memory()) as empty:
                return question(empty)
        try:
            return self._from_file(question)
        except _DAMAGE as error:
            what = self._directory.name
            self.warnings.append(f"the index of {what} cannot be used, they are read one by one: {error}")
        with closing(in_memory()) as index:
            return self._fresh(index, question)

    def _from_file(self, question: _Question[T]) -> T:
        found = identity(self._file)
        try:
            with opened(self._file) as index:
                return self._fresh(index, question)
        except _DAMAGE as error:
            if is_worthless(error):
                discard(self._file, found)
            elif is_there(self._file, found):  # else somebody deleted it while it was in use
                raise
        with opened(self._file) as index:
            return self._fresh(index, question)

    def _fresh(self, index: sqlite3.Connection, question: _Question[T]) -> T:
        self._refresh(index)
        return question(index)
