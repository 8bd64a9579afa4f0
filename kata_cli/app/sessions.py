"""What `kata sessions show` needs: one run of the store in detail."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.state import open_state
from kata_cli.core.errors import KataError
from kata_cli.core.records import RunRecord
from kata_cli.store.exchanges import read_exchanges
from kata_cli.store.index import open_runs
from kata_cli.store.index_rows import TITLE_CHARS as TITLE_CHARS
from kata_cli.store.journal import read_journal
from kata_cli.store.owner import OwnerLock
from kata_cli.store.soundness import shortcomings
from kata_cli.store.views import TERMINAL, fold, is_viewed, write_views

STATES = ("queued", "running", "completed", "failed", "interrupted")


class RunDetail(msgspec.Struct, kw_only=True):
    """A run as `kata sessions show` tells it; `directory` holds its files."""

    record: RunRecord
    directory: Path


def show_run(options: Common, name: str) -> RunDetail:
    """One run. Raises `KataError`: usage for an unknown name, io for an unreadable run."""
    state = open_state(options)
    runs = open_runs(state.directory)
    run_id = runs.resolve(name, project=state.project)
    detail = RunDetail(record=runs.load(run_id), directory=runs.directory / run_id)
    _complete(detail)
    return detail


def damage(detail: RunDetail) -> list[str]:
    """What the journal of a run that has ended does not tell, beside what its record says."""
    if detail.record.status not in TERMINAL:
        return []
    try:
        found = shortcomings(read_journal(detail.directory / "events.jsonl"))
    except KataError as error:
        found = [str(error)]
    return [told for told in found if told not in detail.record.warnings]


def _complete(detail: RunDetail) -> None:
    """Write the views that a process which died did not come to, unless another one goes on with the run."""
    if detail.record.status not in TERMINAL or is_viewed(detail.directory, detail.record):
        return
    from kata_cli.app.drafts import draft_files  # seldom needed, and it knows all of the spec

    with suppress(KataError):
        lock = OwnerLock.acquire(detail.directory)
        try:
            recorded = read_journal(detail.directory / "events.jsonl").recorded
            if fold(recorded).status in TERMINAL:  # a damaged journal may know less than run.json
                write_views(detail.directory, recorded, partial(draft_files, recorded))
        finally:
            lock.release()


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
