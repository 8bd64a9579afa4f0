"""Runs on disk for the tests of their index, and what the index says about them."""

from __future__ import annotations

import os
from pathlib import Path

from made_events import finished, lines, recorded, started

from kata_cli.core.events import Event, RunFinished
from kata_cli.store.index import IndexedRuns, open_runs
from kata_cli.store.index_rows import RunFilter
from kata_cli.store.runs import RunStore
from kata_cli.store.views import write_views

OLD_NS = 1_000_000_000_000_000_000
EVERY = RunFilter()


def id_of(number: int) -> str:
    """The id of the run of a number; a higher one is later."""
    return f"20261121-0000{number // 60:02d}-{number % 60:06d}"


def add_run(
    state: Path,
    number: int,
    *,
    project: str = "/p",
    session: str = "s-one",
    events: list[Event] | None = None,
) -> Path:
    """A run on disk, with its views when it has ended. Its first event is replaced by one of that project."""
    run_id = id_of(number)
    told = recorded([started(project, session), *(finished() if events is None else events)[1:]], run_id)
    run = RunStore(state).create(run_id)
    run.journal.append(lines(told))
    run.close()
    if isinstance(told[-1].event, RunFinished):
        write_views(run.path, told, lambda document: {"spec.md": str(document["title"]).encode()})
    return run.path


def age_runs(state: Path) -> None:
    """Let the last change of the directory of runs be long past."""
    os.utime(state / "runs", ns=(OLD_NS, OLD_NS))


def listed_ids(runs: IndexedRuns, wanted: RunFilter = EVERY, limit: int = 99, offset: int = 0) -> list[str]:
    """The runs on a page of the listing, in its order."""
    return [row.run_id for row in runs.page(wanted, limit=limit, offset=offset).runs]


def found_ids(state: Path, query: str, project: str | None = None) -> list[str]:
    """The runs that a search finds, best first."""
    return [hit.run.run_id for hit in open_runs(state).search(query, project=project, limit=99).hits]
