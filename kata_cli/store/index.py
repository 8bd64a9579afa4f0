"""The runs of a store, found through an index of them that is derived, and never an error of its own."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import msgspec

from kata_cli.store import names
from kata_cli.store.index_answer import Index
from kata_cli.store.index_refresh import problems, refresh, reread, run_stamp
from kata_cli.store.index_rows import RunFilter, RunRow, decode_row, find_run, find_session, select
from kata_cli.store.index_text import RUNS, Hit, add_texts, find_text, match_expression, run_text
from kata_cli.store.runs import RunStore


class RunPage(msgspec.Struct, kw_only=True):
    """Some runs, and whether more follow them."""

    runs: list[RunRow]
    has_more: bool


class HitPage(msgspec.Struct, kw_only=True):
    """Some hits of a search, and whether more follow them."""

    hits: list[Hit]
    has_more: bool


def open_runs(state_dir: Path) -> IndexedRuns:
    """The runs below a state directory; nothing is read yet."""
    return IndexedRuns(state_dir)


class IndexedRuns(RunStore):
    """A `RunStore` that lists, finds and searches by its index, `index.sqlite` in the state directory.

    The index is brought up to date by each question. Where it cannot be written the runs are read one by
    one. `warnings` has what a person should hear of both, and of what is left out.
    """

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self._index = Index(self.directory, partial(refresh, runs=self))
        self.warnings = self._index.warnings

    def resolve(self, text: str, *, project: str | None) -> str:
        """The id of the run that `text` names: `last` (of a project), an id, a part of one, a session.

        Raises `KataError`: usage for what names no single run, io when the runs cannot be listed.
        """
        names.check(text)
        if self.has(text):
            return text
        return self._index.ask(lambda index: find_run(index, text, project))

    def session(self, text: str) -> str:
        """The id of the session that `text` is, begins or ends. Raises `KataError` as `resolve` does."""
        names.check(text)
        return self._index.ask(lambda index: find_session(index, text))

    def page(self, wanted: RunFilter, *, limit: int, offset: int = 0) -> RunPage:
        """Runs, the one that changed last first. Raises `KataError` io when they cannot be listed."""
        rows, found = self._index.ask(
            lambda index: (self._current(index, wanted, limit + 1, offset), problems(index))
        )
        self.warnings += found
        return RunPage(runs=rows[:limit], has_more=len(rows) > limit)

    def search(self, query: str, *, project: str | None, limit: int, offset: int = 0) -> HitPage:
        """The runs whose goal, draft or answers hold all of a query, newest first.

        Raises `KataError`: usage for a query without words, io when the runs cannot be listed.
        """
        match_expression(query)

        def search(index: sqlite3.Connection) -> list[Hit]:
            add_texts(index, RUNS, lambda run_id: run_text(self.directory / run_id))
            found = find_text(index, RUNS, query, project, limit + 1, offset)
            return [Hit(run=decode_row(row, RunRow), snippet=snippet) for row, snippet in found]

        hits = self._index.ask(search)
        return HitPage(hits=hits[:limit], has_more=len(hits) > limit)

    def _current(self, index: sqlite3.Connection, wanted: RunFilter, limit: int, offset: int) -> list[RunRow]:
        """A page whose runs have not changed since they were read: a mock run may have been made again."""
        rows = select(index, wanted, limit, offset)
        changed = [row.run_id for stamp, row in rows if stamp != run_stamp(self.directory / row.run_id)]
        if changed:
            reread(index, self, changed)
            rows = select(index, wanted, limit, offset)
        return [row for _, row in rows]
