"""What `kata sessions list` and `search` need: past work by filter and by its words, a page at a time."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.sessions import STATES
from kata_cli.app.state import State, open_state
from kata_cli.core.clock import stamp
from kata_cli.core.errors import KataError
from kata_cli.core.text import near
from kata_cli.store.index import IndexedRuns, open_runs
from kata_cli.store.index_conversations import SessionHit as SessionHit
from kata_cli.store.index_conversations import SessionRow as SessionRow
from kata_cli.store.index_rows import RunFilter
from kata_cli.store.index_rows import RunRow as RunRow
from kata_cli.store.index_text import Hit as Hit
from kata_cli.store.session_index import IndexedSessions, open_sessions
from kata_cli.store.sessions import SessionStore
from kata_cli.store.soundness import looks_whole
from kata_cli.store.views import TERMINAL

MAX_WARNINGS = 10


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is listed; what is None is not asked for. `since_s` is the age in seconds."""

    status: str | None = None
    since_s: float | None = None
    session: str | None = None
    workflow: str | None = None
    is_all: bool = False


class RunList(msgspec.Struct, kw_only=True):
    """A page of runs, and the same page of the sessions without runs (`kata.sessions/v1`)."""

    schema: str = "kata.sessions/v1"
    runs: list[RunRow]
    sessions: list[SessionRow]
    has_more: bool
    warnings: list[str]


class HitList(msgspec.Struct, kw_only=True):
    """A page of runs, and the same page of the sessions without runs (`kata.search/v1`)."""

    schema: str = "kata.search/v1"
    hits: list[Hit]
    sessions: list[SessionHit]
    has_more: bool
    warnings: list[str]


def list_runs(options: Common, choice: Choice, *, limit: int, offset: int, now_s: float) -> RunList:
    """Past work of this project, or of all: what changed last first. Raises `KataError`."""
    if choice.status is not None and choice.status not in STATES:
        told = f"--status: expected one of {', '.join(STATES)}, got {choice.status!r}"
        raise KataError("usage", told, near(choice.status, STATES) or f"the states are {', '.join(STATES)}")
    state = open_state(options)
    runs = open_runs(state.directory)
    sessions = open_sessions(state.directory)
    wanted = _filter(choice, state, runs, sessions, now_s)
    page = runs.page(wanted, limit=limit, offset=offset)
    rows = sessions.page(wanted, limit=limit + 1, offset=offset)
    return RunList(
        runs=page.runs,
        sessions=rows[:limit],
        has_more=page.has_more or len(rows) > limit,
        warnings=_bounded([*state.warnings, *runs.warnings, *_damaged(page.runs, runs)]),
    )


def search_runs(options: Common, query: str, *, limit: int, offset: int, is_all: bool) -> HitList:
    """Runs whose goal, draft or answers, and sessions whose messages hold all words of a query.

    Each newest first. Raises `KataError`.
    """
    state = open_state(options)
    runs = open_runs(state.directory)
    project = None if is_all else state.project
    page = runs.search(query, project=project, limit=limit, offset=offset)
    found = open_sessions(state.directory).search(query, project=project, limit=limit + 1, offset=offset)
    return HitList(
        hits=page.hits,
        sessions=found[:limit],
        has_more=page.has_more or len(found) > limit,
        warnings=_bounded([*state.warnings, *runs.warnings]),
    )


def _damaged(rows: list[RunRow], runs: IndexedRuns) -> list[str]:
    """Runs whose row is the last that is known of them."""
    return [
        f"the journal of run {row.run_id} is damaged: kata sessions show {row.run_id}"
        for row in rows
        if row.status in TERMINAL and not looks_whole(runs.directory / row.run_id / "events.jsonl")
    ]


def _filter(
    choice: Choice, state: State, runs: IndexedRuns, sessions: IndexedSessions, now_s: float
) -> RunFilter:
    project = None if choice.is_all else state.project
    return RunFilter(
        project=project,
        status=choice.status or "",
        session_id=session_id(choice.session, runs, sessions, project) if choice.session else "",
        workflow=choice.workflow or "",
        since=stamp(now_s - choice.since_s) if choice.since_s else "",
    )


def session_id(text: str, runs: IndexedRuns, sessions: SessionStore, project: str | None) -> str:
    """The session that is meant; one whose file is gone is known by its runs. Raises `KataError` usage."""
    try:
        return sessions.resolve(text, project=project)
    except KataError:
        with suppress(KataError):
            found = runs.session(text) if text.startswith("s-") else ""
            if found and not sessions.has(found):  # else the text means several sessions
                return found
        raise


def _bounded(warnings: list[str]) -> list[str]:
    """Not a screen of warnings above twenty rows."""
    left = len(warnings) - MAX_WARNINGS
    return warnings[:MAX_WARNINGS] + ([f"and {left} more like these"] if left > 0 else [])
