"""A session that is being added to, by one process at a time."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

import msgspec

from kata_cli.core.session import Entry, HeadEntry, NameEntry, RunEntry, Session
from kata_cli.store.journal import Journal
from kata_cli.store.owner import OwnerLock
from kata_cli.store.session_file import encode_line
from kata_cli.store.session_names import check_name

E = TypeVar("E", bound=Entry)


class OpenSession:
    """A session that this process alone may add to, until `close`. `session` is its state so far."""

    def __init__(self, session: Session, journal: Journal, lock: OwnerLock) -> None:
        self.session = session
        self.id = session.id
        self._journal = journal
        self._lock = lock

    def append_run(self, run_id: str, *, ts: str) -> RunEntry:
        """Add a run after the head, as `append` does."""
        return self.append(RunEntry(run_id=run_id), ts=ts)

    def append(self, entry: E, *, ts: str) -> E:
        """Add an entry after the head, durably; returns it with its id, parent and time.

        Raises `KataError`: io when it cannot be written (then nothing more can be), usage for a bad name
        or a move to a place that is not there.
        """
        if isinstance(entry, NameEntry):
            entry = msgspec.structs.replace(entry, name=check_name(entry.name))
        if isinstance(entry, HeadEntry) and entry.target is not None:
            self.session.path(entry.target)
        added = msgspec.structs.replace(entry, id=self.session.next_id, parent=self.session.head, ts=ts)
        self._journal.append([encode_line(added)])
        self.session = msgspec.structs.replace(self.session, entries=(*self.session.entries, added))
        return added

    def close(self) -> None:
        """Close the file and give the session free; twice is harmless."""
        self._journal.close()
        self._lock.release()

    def __enter__(self) -> OpenSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
