"""Sessions on disk for the tests of their store."""

from __future__ import annotations

from pathlib import Path

from kata_cli.core.session import Entry
from kata_cli.store.sessions import SessionStore

ID = "s-20261121-054412-k3f9q2"
OTHER = "s-20261121-054413-aaaaaa"
RUN = "20261121-054412-k3f9q2"
TS = "2026-11-21T05:44:12.000Z"


def make_session(
    store: SessionStore, session_id: str = ID, *entries: Entry, name: str = "", project: str = "/p"
) -> Path:
    """The file of a new session with these entries."""
    with store.create(session_id, project=project, name=name, ts=TS) as session:
        for entry in entries:
            session.append(entry, ts=TS)
    return store.directory / f"{session_id}.jsonl"


def append_entry(store: SessionStore, entry: Entry) -> Entry:
    """Add an entry to the session `ID`."""
    with store.open(ID) as session:
        return session.append(entry, ts=TS)


def names_in(path: Path) -> list[str]:
    """The names of the files in a directory."""
    return sorted(entry.name for entry in path.iterdir())
