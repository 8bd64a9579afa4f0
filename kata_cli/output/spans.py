"""When each task of a run was at work, on the run's own clock."""

from __future__ import annotations

import msgspec

from kata_cli.core.clock import parse_stamp
from kata_cli.core.records import RunRecord, TaskRecord

AT_WORK = ("delegating", "delegated", "running")


class Span(msgspec.Struct, frozen=True):
    """A stretch of time, in seconds since the run began."""

    start_s: float
    end_s: float


def spans(record: RunRecord) -> list[Span | None]:
    """One per task of the record, in its order; None for a task that never began.

    A task that is still at work ends at the last sign of life of its run.
    """
    return [_span(task, record) for task in record.tasks]


def last_second(record: RunRecord) -> float:
    """Seconds from the start of a run to its end, or to its last event; 0 where nothing took time."""
    ends = [span.end_s for span in spans(record) if span is not None]
    return max([record.duration_s or 0.0, *ends])


def second(at: str, record: RunRecord) -> float:
    """Seconds from the start of a run to a stamp; 0 for what is no stamp."""
    try:
        return max(0.0, parse_stamp(at) - parse_stamp(record.created_at))
    except ValueError:
        return 0.0


def _span(task: TaskRecord, record: RunRecord) -> Span | None:
    # The last time: a resumed run may have had it begin anew.
    began = next((step.at for step in reversed(task.timeline) if step.state == "delegating"), None)
    if began is None:
        return None
    end_s = second(record.updated_at if task.status in AT_WORK else task.timeline[-1].at, record)
    start_s = second(began, record)
    if task.duration_s is not None:  # stamps are those of the batch in which both ends may have been recorded
        start_s = min(start_s, end_s - task.duration_s)
    return Span(max(0.0, start_s), max(start_s, end_s))
