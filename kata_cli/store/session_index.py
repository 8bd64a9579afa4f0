"""The sessions of a store, found through the derived index: few or many, it costs the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kata_cli.store.owner import owner_of
from kata_cli.store.sessions import SessionStore

if TYPE_CHECKING:
    import sqlite3

    from kata_cli.store.index_conversations import SessionHit, SessionRow
    from kata_cli.store.index_rows import RunFilter

T = TypeVar("T")


def open_sessions(state_dir: Path) -> IndexedSessions:
    """The sessions below a state directory; nothing is read yet."""
    return IndexedSessions(state_dir)


class IndexedSessions(SessionStore):
    """A `SessionStore` that finds sessions by `index.sqlite`, which each question brings up to date.

    Where that cannot be used the sessions are read one by one. SQLite is imported when something is asked.
    """

    def page(self, wanted: RunFilter, *, limit: int, offset: int = 0) -> list[SessionRow]:
        """The sessions without runs, the one that changed last first. Raises `KataError` io."""
        from kata_cli.store import index_conversations

        rows = self._ask_of_conversations(
            partial(index_conversations.select, wanted=wanted, limit=limit, offset=offset)
        )
        return [self.with_status(row) for row in rows]

    def search(self, query: str, *, project: str | None, limit: int, offset: int = 0) -> list[SessionHit]:
        """The sessions without runs whose title or messages hold all of a query, newest first.

        Raises `KataError`: usage for a query without words, io when the sessions cannot be listed.
        """
        from kata_cli.store.index_conversations import SessionHit, find

        found = self._ask_of_conversations(
            partial(find, directory=self.directory, query=query, project=project, limit=limit, offset=offset)
        )
        return [SessionHit(session=self.with_status(row), snippet=snippet) for row, snippet in found]

    def with_status(self, row: SessionRow) -> SessionRow:
        """The row, with whether a process holds the session now."""
        row.status = "open" if owner_of(self.owner_file(row.session_id)) else "closed"
        return row

    def _called(self, name: str, project: str | None) -> list[str]:
        from kata_cli.store import session_rows

        return self._ask(partial(session_rows.called, name=name, project=project))

    def _like(self, part: str) -> list[str]:
        from kata_cli.store import session_rows

        return self._ask(partial(session_rows.like, part=part))

    def _near(self, text: str, project: str | None) -> list[str]:
        from kata_cli.store import session_rows

        return self._ask(partial(session_rows.near, text=text, project=project))

    def _last(self, project: str | None) -> str | None:
        from kata_cli.store import session_rows

        return self._ask(partial(session_rows.last, project=project))

    def _left(self, session_id: str) -> list[str]:
        from kata_cli.store import session_rows

        return self._ask(partial(session_rows.left, session_id=session_id))

    def _ask_of_conversations(self, question: Callable[[sqlite3.Connection], T]) -> T:
        from kata_cli.store.index_answer import Index
        from kata_cli.store.session_rows import refresh_conversations

        return Index(self.directory, partial(refresh_conversations, directory=self.directory)).ask(question)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        from kata_cli.store.index_answer import Index
        from kata_cli.store.session_rows import refresh

        return Index(self.directory, partial(refresh, directory=self.directory)).ask(question)
