"""`kata sessions rm` and `prune`: past work that is no longer wanted."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.session_list import session_id as session_of
from kata_cli.app.sessions import STATES
from kata_cli.app.state import open_state
from kata_cli.core.clock import stamp
from kata_cli.core.errors import KataError
from kata_cli.store.index import IndexedRuns, open_runs
from kata_cli.store.index_conversations import SessionRow
from kata_cli.store.index_conversations import row_of as session_row
from kata_cli.store.index_rows import RunFilter, RunRow, row_of
from kata_cli.store.owner import Owned, owner_file, owner_of
from kata_cli.store.removal import drop_empty, remove_run, size_of
from kata_cli.store.session_index import IndexedSessions, open_sessions

ENDED = tuple(state for state in STATES if state not in ("queued", "running"))
ALL_ROWS = 1 << 62


class Removed(msgspec.Struct, kw_only=True):
    """A run that was deleted, or would be; `bytes` is what its files take."""

    run_id: str
    status: str = "unreadable"
    updated_at: str = ""
    title: str = ""
    bytes: int
    is_deleted: bool = False


class RemovedSession(msgspec.Struct, kw_only=True):
    """A session without runs that was deleted, or would be."""

    session: SessionRow
    is_deleted: bool = False


class Removal(msgspec.Struct, kw_only=True):
    """What was deleted, or would be (`kata.removal/v1`).

    `sessions` are those that went with their runs, `conversations` those that had none.
    """

    schema: str = "kata.removal/v1"
    runs: list[Removed]
    sessions: list[str] = []
    conversations: list[RemovedSession] = []
    warnings: list[str] = []


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs a prune takes: ended, quiet for `older_than_s`, beyond the newest `keep`, in one state.

    And which sessions without runs: closed ones that were quiet so long, beyond the newest `keep`.
    """

    older_than_s: float | None = None
    keep: int | None = None
    status: str | None = None


class _Stores(msgspec.Struct):
    runs: IndexedRuns
    sessions: IndexedSessions
    project: str


def remove(options: Common, names: list[str]) -> Removal:
    """Delete runs, and sessions with the runs made in them. Nothing is deleted when one name is wrong.

    Raises `KataError`: usage for an unknown name, io for a run in use, naming its owner.
    """
    stores = _stores(options)
    run_ids: dict[str, None] = {}
    session_ids: dict[str, None] = {}
    for name in names:
        runs, session_id = _named(stores, name)
        run_ids |= dict.fromkeys(runs)
        session_ids |= dict.fromkeys([session_id] if session_id else [])
    for run_id in run_ids:
        _check_free(f"run {run_id}", owner_file(stores.runs.directory / run_id))
    for session_id in session_ids:
        _check_free(f"session {session_id}", stores.sessions.owner_file(session_id))
    homes = {run_id: _home(stores.runs, run_id) for run_id in run_ids}
    removal = Removal(
        runs=[_described(stores.runs, run_id) for run_id in run_ids],
        conversations=_conversations(stores.sessions, session_ids),
    )
    for run in removal.runs:
        remove_run(stores.runs.directory / run.run_id)
        run.is_deleted = True
    for session_id in session_ids:
        stores.sessions.remove(session_id)
    for conversation in removal.conversations:
        conversation.is_deleted = True
        del session_ids[conversation.session.session_id]
    _follow(stores, removal, homes)
    removal.sessions = [*session_ids, *removal.sessions]
    return removal


def prune(options: Common, choice: Choice, *, is_all: bool, is_confirmed: bool, now_s: float) -> Removal:
    """Find past work of this project, or of all, that is no longer wanted; delete it once confirmed.

    A run at work never goes, nor one that cannot be read. A session without runs goes by its age alone.
    Raises `KataError`.
    """
    _check(choice)
    stores = _stores(options)
    wanted = RunFilter(project=None if is_all else stores.project, status=choice.status or "")
    ended = [row for row in stores.runs.page(wanted, limit=ALL_ROWS).runs if row.status in ENDED]
    oldest = None if choice.older_than_s is None else stamp(now_s - choice.older_than_s)
    found = [row for row in ended[choice.keep or 0 :] if oldest is None or row.updated_at < oldest]
    removal = Removal(
        runs=[_listed(stores.runs, row) for row in found],
        conversations=_aged(stores.sessions.page(wanted, limit=ALL_ROWS), oldest, choice.keep or 0),
        warnings=stores.runs.warnings,
    )
    if is_confirmed:
        _delete(stores, removal, {row.run_id: row.session_id for row in found})
    return removal


def _aged(rows: list[SessionRow], oldest: str | None, keep: int) -> list[RemovedSession]:
    """The closed ones, beyond the newest, that have been quiet since `oldest`; none without a time."""
    closed = [row for row in rows[keep:] if row.status == "closed"]
    return [RemovedSession(session=row) for row in closed if oldest is not None and row.updated_at < oldest]


def _delete(stores: _Stores, removal: Removal, homes: dict[str, str]) -> None:
    """Delete what was found; what somebody took up meanwhile stays, with a warning."""
    for run in removal.runs:
        try:
            remove_run(stores.runs.directory / run.run_id)
            run.is_deleted = True
        except Owned as error:
            removal.warnings.append(error.failure.message)
    for conversation in removal.conversations:
        try:
            stores.sessions.remove(conversation.session.session_id)
            conversation.is_deleted = True
        except Owned as error:
            removal.warnings.append(error.failure.message)
    _follow(stores, removal, homes)


def _follow(stores: _Stores, removal: Removal, homes: dict[str, str]) -> None:
    """Sessions that are empty now go with their runs, and the index forgets what all of them said."""
    deleted = {run.run_id: homes[run.run_id] for run in removal.runs if run.is_deleted}
    if deleted:
        removal.sessions = drop_empty(stores.sessions, stores.runs, deleted)
        stores.runs.page(RunFilter(), limit=1)
    if any(conversation.is_deleted for conversation in removal.conversations):
        stores.sessions.page(RunFilter(), limit=1)


def _check(choice: Choice) -> None:
    hint = "kata sessions prune --help"
    if choice.older_than_s is None and choice.keep is None:
        raise KataError("usage", "prune needs --older-than or --keep", "kata sessions prune --older-than 30d")
    if choice.keep is not None and choice.keep < 0:
        raise KataError("usage", "--keep is at least 0", hint)
    if choice.status is not None and choice.status not in ENDED:
        raise KataError("usage", f"--status: expected one of {', '.join(ENDED)}, got {choice.status!r}", hint)


def _stores(options: Common) -> _Stores:
    state = open_state(options)
    return _Stores(open_runs(state.directory), open_sessions(state.directory), state.project)


def _named(stores: _Stores, name: str) -> tuple[list[str], str | None]:
    """The runs that a name stands for, and the session if it names one: a run goes before a session."""
    if not name.startswith("s-"):
        try:
            return [stores.runs.resolve(name, project=stores.project)], None
        except KataError as unknown:
            return _of_session(stores, _session(stores, name, unknown))
    return _of_session(stores, session_of(name, stores.runs, stores.sessions, stores.project))


def _session(stores: _Stores, name: str, unknown: KataError) -> str:
    try:
        return stores.sessions.resolve(name, project=stores.project)
    except KataError:
        raise unknown from None


def _of_session(stores: _Stores, session_id: str) -> tuple[list[str], str | None]:
    """The runs made in a session; those that a fork took along belong to the session it left."""
    rows = stores.runs.page(RunFilter(session_id=session_id), limit=ALL_ROWS).runs
    return [row.run_id for row in rows], session_id if stores.sessions.has(session_id) else None


def _conversations(sessions: IndexedSessions, session_ids: Iterable[str]) -> list[RemovedSession]:
    """Those of some sessions that are known to have no runs."""
    found = []
    for session_id in session_ids:
        with suppress(KataError):
            session = sessions.read(session_id)
            if session.is_conversation:
                found.append(RemovedSession(session=session_row(session)))
    return found


def _check_free(what: str, owner_path: Path) -> None:
    owner = owner_of(owner_path)
    if owner is not None:
        message = f"the {what} is in use by process {owner.pid} on {owner.host}; nothing was deleted"
        raise KataError("io", message, "wait for it, or stop that process: kata sessions stop --help")


def _home(runs: IndexedRuns, run_id: str) -> str:
    """The session that a run was made in; one that cannot be read tells none, and began its own."""
    try:
        return runs.load(run_id).session_id
    except KataError:
        return f"s-{run_id}"


def _described(runs: IndexedRuns, run_id: str) -> Removed:
    """What a run was; one that cannot be read may be deleted all the same."""
    try:
        return _listed(runs, row_of(runs.load(run_id)))
    except KataError:
        return Removed(run_id=run_id, bytes=size_of(runs.directory / run_id))


def _listed(runs: IndexedRuns, row: RunRow) -> Removed:
    return Removed(
        run_id=row.run_id,
        status=row.status,
        updated_at=row.updated_at,
        title=row.title,
        bytes=size_of(runs.directory / row.run_id),
    )
