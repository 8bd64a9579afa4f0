"""`kata sessions stats`: sums over past work, of recorded figures only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.session_keep import ALL_ROWS
from kata_cli.app.state import open_state
from kata_cli.core.clock import stamp
from kata_cli.store.index import open_runs
from kata_cli.store.index_conversations import SessionRow
from kata_cli.store.index_rows import RunFilter, RunRow
from kata_cli.store.session_index import open_sessions


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What some runs took. `cost_usd` counts only the `priced_runs`; None when no price is known.

    Durations are those of runs that ended, in seconds; None when there is none.
    """

    name: str
    runs: int
    tokens: int
    cost_usd: float | None
    priced_runs: int
    median_s: float | None
    p95_s: float | None


class ConversationSums(msgspec.Struct, frozen=True, kw_only=True):
    """What sessions without runs took; `cost_usd` is None when no price is known."""

    sessions: int
    messages: int
    tokens: int
    cost_usd: float | None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all runs and by what tells them apart (`kata.stats/v1`); days are UTC dates.

    `conversations` are the sessions without runs, which are in none of the other sums.
    """

    schema: str = "kata.stats/v1"
    total: Sums
    by_status: list[Sums]
    by_workflow: list[Sums]
    by_mode: list[Sums]
    by_model: list[Sums]
    by_day: list[Sums]
    conversations: ConversationSums
    warnings: list[str] = []


def read_stats(options: Common, *, since_s: float | None, is_all: bool, now_s: float) -> Stats:
    """The sums over work of this project, or of all, that began in the last `since_s` seconds."""
    state = open_state(options)
    runs = open_runs(state.directory)
    wanted = RunFilter(
        project=None if is_all else state.project,
        since="" if since_s is None else stamp(now_s - since_s),
    )
    rows = runs.page(wanted, limit=ALL_ROWS).runs
    spoken = open_sessions(state.directory).page(wanted, limit=ALL_ROWS)
    return stats_of(rows, [*state.warnings, *runs.warnings], spoken)


def stats_of(rows: list[RunRow], warnings: list[str], spoken: Iterable[SessionRow] = ()) -> Stats:
    """The sums over some runs, and over some sessions without runs."""
    return Stats(
        total=_sums("total", rows),
        by_status=_grouped(rows, lambda row: row.status),
        by_workflow=_grouped(rows, lambda row: row.workflow),
        by_mode=_grouped(rows, lambda row: row.runtime_mode),
        by_model=_grouped(rows, lambda row: row.model),
        by_day=_grouped(rows, lambda row: row.created_at[:10]),
        conversations=_conversations(list(spoken)),
        warnings=warnings,
    )


def _conversations(rows: list[SessionRow]) -> ConversationSums:
    return ConversationSums(
        sessions=len(rows),
        messages=sum(row.messages for row in rows),
        tokens=sum(row.tokens for row in rows),
        cost_usd=_cost_usd(rows),
    )


def _cost_usd(rows: Sequence[RunRow | SessionRow]) -> float | None:
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    return round(math.fsum(costs), 6) if costs else None


def _grouped(rows: list[RunRow], key: Callable[[RunRow], str]) -> list[Sums]:
    groups: dict[str, list[RunRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [_sums(name, groups[name]) for name in sorted(groups)]


def _sums(name: str, rows: list[RunRow]) -> Sums:
    durations = sorted(row.duration_s for row in rows if row.duration_s is not None)
    return Sums(
        name=name,
        runs=len(rows),
        tokens=sum(row.tokens for row in rows),
        cost_usd=_cost_usd(rows),
        priced_runs=sum(row.cost_usd is not None for row in rows),
        median_s=round(statistics.median(durations), 3) if durations else None,
        p95_s=round(durations[math.ceil(0.95 * len(durations)) - 1], 3) if durations else None,
    )
