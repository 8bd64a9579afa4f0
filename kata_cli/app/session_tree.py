"""`kata sessions tree`, `fork` and `rename`: the shape of a session, and new ones that leave it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.state import open_state
from kata_cli.core.clock import run_id, stamp, timed_suffix
from kata_cli.core.errors import KataError
from kata_cli.core.session import CompactionEntry, Entry, MessageEntry, Origin, RunEntry, Session
from kata_cli.core.text import one_line
from kata_cli.store.index import IndexedRuns, open_runs
from kata_cli.store.session_index import open_sessions
from kata_cli.store.sessions import SessionStore

TITLE_CHARS = 72


class Fork(msgspec.Struct, kw_only=True):
    """A session that left another one."""

    session_id: str
    name: str


class TreeEntry(msgspec.Struct, kw_only=True):
    """A place in the tree. `status` is that of a run, `missing` when it is gone; sizes are in tokens."""

    id: str
    parent: str | None
    ts: str
    type: str
    run_id: str | None = None
    status: str | None = None
    title: str = ""
    summary: str | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None
    is_head: bool = False
    forks: list[Fork] = []


class SessionTree(msgspec.Struct, kw_only=True):
    """A session as a tree (`kata.session-tree/v1`). `forks` left it before its first entry."""

    schema: str = "kata.session-tree/v1"
    session_id: str
    name: str
    project: str
    created_at: str
    head: str | None
    forked_from: Origin | None
    entries: list[TreeEntry]
    forks: list[Fork]
    warnings: list[str]


class SessionInfo(msgspec.Struct, kw_only=True):
    """A session without its entries (`kata.session-info/v1`)."""

    schema: str = "kata.session-info/v1"
    session_id: str
    name: str
    project: str
    created_at: str
    head: str | None
    forked_from: Origin | None


class Stores(msgspec.Struct, frozen=True):
    """The sessions and runs of a command, the project it stands in, and what to warn of."""

    sessions: SessionStore
    runs: IndexedRuns
    project: str
    warnings: list[str]

    def session(self, text: str) -> str:
        """The id of the session that is meant. Raises `KataError` usage."""
        return self.sessions.resolve(text, project=self.project)


def open_stores(options: Common) -> Stores:
    """The stores of a command. Raises `KataError`."""
    state = open_state(options)
    return Stores(
        open_sessions(state.directory), open_runs(state.directory), state.project, list(state.warnings)
    )


def read_tree(options: Common, text: str) -> SessionTree:
    """A session with what its runs were about, and the sessions that left it. Raises `KataError`."""
    stores = open_stores(options)
    session = stores.sessions.read(stores.session(text))
    warnings = [*stores.warnings, *session.warnings]
    forks: dict[str | None, list[Fork]] = {}
    for at, fork in _forks(stores.sessions, session.id, warnings):
        forks.setdefault(at, []).append(fork)
    return SessionTree(
        session_id=session.id,
        name=session.name,
        project=session.header.project,
        created_at=session.header.ts,
        head=session.head,
        forked_from=session.header.forked_from,
        entries=[
            _tree_entry(entry, stores.runs, is_head=entry.id == session.head, forks=forks.get(entry.id, []))
            for entry in session.nodes
        ],
        forks=forks.get(None, []),
        warnings=warnings,
    )


def fork_session(options: Common, text: str, *, at: str | None, name: str, now_s: float) -> SessionInfo:
    """A new session that begins with the path of another up to an entry, by default its head.

    Raises `KataError`: usage for an unknown session, an entry that is not in its tree, a name in use.
    """
    stores = open_stores(options)
    source = stores.sessions.read(stores.session(text))
    path = source.path(at)
    with stores.sessions.create(
        f"s-{run_id(now_s, timed_suffix(now_s))}",
        project=source.header.project,
        ts=stamp(now_s),
        name=name,
        forked_from=Origin(source.id, path[-1].id if path else None),
        entries=path,
    ) as fork:
        return _info(fork.session)


def rename_session(options: Common, text: str, name: str, *, now_s: float) -> SessionInfo:
    """Give a session another name. Raises `KataError`: usage for a bad name or one in use, io."""
    if not name:
        raise KataError("usage", "the name is empty", "kata sessions rename SESSION NAME")
    stores = open_stores(options)
    return _info(stores.sessions.rename(stores.session(text), name, ts=stamp(now_s)))


def _info(session: Session) -> SessionInfo:
    return SessionInfo(
        session_id=session.id,
        name=session.name,
        project=session.header.project,
        created_at=session.header.ts,
        head=session.head,
        forked_from=session.header.forked_from,
    )


def _forks(store: SessionStore, session_id: str, warnings: list[str]) -> Iterator[tuple[str | None, Fork]]:
    for other in store.forks(session_id):
        if isinstance(other, KataError):
            warnings.append(other.failure.message)
        elif other.header.forked_from is not None:
            yield other.header.forked_from.entry, Fork(session_id=other.id, name=other.name)


def _tree_entry(entry: Entry, runs: IndexedRuns, *, is_head: bool, forks: list[Fork]) -> TreeEntry:
    told = TreeEntry(
        id=entry.id,
        parent=entry.parent,
        ts=entry.ts,
        type=str(type(entry).__struct_config__.tag),
        is_head=is_head,
        forks=forks,
    )
    match entry:
        case RunEntry(run_id=run_id):
            told.run_id = run_id
            told.status, told.title = _run(run_id, runs)
        case MessageEntry(role=role, text=text):
            told.title = one_line(f"{role}: {text}", TITLE_CHARS)
        case CompactionEntry(summary=summary, model=model):
            told.title, told.summary = f"by {model}", summary
            told.tokens_before, told.tokens_after = entry.tokens_before, entry.tokens_after
    return told


def _run(run_id: str, runs: IndexedRuns) -> tuple[str, str]:
    """Status and goal of a run; one that was deleted leaves its place in the tree."""
    try:
        record = runs.load(run_id)
    except KataError as error:
        return "missing", one_line(error.failure.message, TITLE_CHARS)
    return record.status, one_line(record.goal, TITLE_CHARS)
