"""What `kata sessions` needs: the runs of the store, newest first, and one of them in detail."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from kata_cli.app.drafts import draft_files
from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import KataError
from kata_cli.core.records import RunRecord
from kata_cli.core.text import one_line
from kata_cli.store.exchanges import read_exchanges
from kata_cli.store.journal import read_journal
from kata_cli.store.runs import RunStore
from kata_cli.store.views import write_views

TITLE_CHARS = 48
STATES = ("queued", "running", "completed", "failed", "interrupted")


class RunRow(msgspec.Struct, kw_only=True):
    """One line of `kata sessions list`."""

    run_id: str
    session_id: str
    status: str
    exit_code: int | None
    title: str
    workflow: str
    runtime_mode: str
    model: str
    project: str
    created_at: str
    duration_s: float | None
    tokens: int
    cost_usd: float | None


class RunList(msgspec.Struct, kw_only=True):
    """A page of runs (`kata.sessions/v1`)."""

    schema: str = "kata.sessions/v1"
    runs: list[RunRow]
    warnings: list[str]


def list_runs(options: Common, *, limit: int, offset: int, status: str | None, is_all: bool) -> RunList:
    """Runs newest first, of this project unless `is_all`. Raises `KataError`."""
    if status is not None and status not in STATES:
        raise KataError("usage", f"--status: expected one of {', '.join(STATES)}, got {status!r}")
    resolved = resolved_settings(options, os.environ, working_directory())
    store = RunStore(resolved.paths.state)
    project = None if is_all else str(resolved.project_root)
    rows: list[RunRow] = []
    warnings: list[str] = []
    matching = 0
    for run in store.each():
        if isinstance(run, KataError):
            warnings.append(run.failure.message)
            continue
        if project not in (None, run.project) or status not in (None, run.status):
            continue
        matching += 1
        if matching > offset:
            rows.append(_row(run))
        if len(rows) == limit:
            break
    return RunList(runs=rows, warnings=warnings)


class RunDetail(msgspec.Struct, kw_only=True):
    """A run as `kata sessions show` tells it; `directory` holds its files."""

    record: RunRecord
    directory: Path


def show_run(options: Common, name: str) -> RunDetail:
    """One run. Raises `KataError`: usage for an unknown name, io for an unreadable run."""
    store, run_id = _resolved_run(options, name)
    detail = RunDetail(record=store.load(run_id), directory=store.directory / run_id)
    _complete(detail)
    return detail


def _complete(detail: RunDetail) -> None:
    """Write the views that a process which died right after the end of its run did not come to."""
    result = detail.record.result
    is_whole = result is None or result.kind != "spec" or (detail.directory / "spec.md").exists()
    if not is_whole:
        recorded = read_journal(detail.directory / "events.jsonl").recorded
        with suppress(KataError):
            write_views(detail.directory, recorded, partial(draft_files, recorded))


def read_exchange(options: Common, name: str, task: str, side: str) -> str:
    """What was sent to the model for a task (`request`), or what came back (`reply`), last attempt."""
    detail = show_run(options, name)
    known = [record.id for record in detail.record.tasks]
    if task not in known:
        raise KataError(
            "usage", f"run {detail.record.run_id} has no task {task!r}", f"tasks: {', '.join(known)}"
        )
    attempts = [
        exchange for exchange in read_exchanges(detail.directory / "exchanges.jsonl") if exchange.task == task
    ]
    request = attempts[-1].request if attempts else None
    reply = attempts[-1].reply if attempts else None
    if side == "reply" and reply is not None:
        return reply.text
    if side == "request" and request is not None:
        turns = [f"[{message.role}]\n{message.text}" for message in request.messages]
        return "\n\n".join([f"[system]\n{request.system}", *turns] if request.system else turns)
    raise KataError("usage", f"task {task!r} has no {side}", f"kata sessions show {detail.record.run_id}")


def _resolved_run(options: Common, name: str) -> tuple[RunStore, str]:
    resolved: Resolved = resolved_settings(options, os.environ, working_directory())
    store = RunStore(resolved.paths.state)
    return store, store.resolve(name, project=str(resolved.project_root))


def _row(record: RunRecord) -> RunRow:
    return RunRow(
        run_id=record.run_id,
        session_id=record.session_id,
        status=record.status,
        exit_code=record.exit_code,
        title=one_line(record.goal, TITLE_CHARS),
        workflow=record.workflow,
        runtime_mode=record.runtime_mode,
        model=record.model,
        project=record.project,
        created_at=record.created_at,
        duration_s=record.duration_s,
        tokens=record.usage.total,
        cost_usd=record.usage.cost_usd,
    )
