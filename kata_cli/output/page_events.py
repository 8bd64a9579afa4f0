"""The stored events of a run as a table: when, what, of which task, and what it says in one line."""

from __future__ import annotations

from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContextGathered,
    DraftCreated,
    Event,
    FindingReported,
    PlanCreated,
    Recorded,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from kata_cli.core.records import RunRecord
from kata_cli.core.text import one_line
from kata_cli.output.figures import count, dollars, plural, seconds
from kata_cli.output.page_markup import Markup, element
from kata_cli.output.spans import second

SUMMARY_CHARS = 300


def events_table(record: RunRecord, recorded: list[Recorded]) -> Markup:
    """One row per event, in order."""
    head = element("tr", *(element("th", name) for name in ("seq", "after", "event", "task", "what")))
    return element(
        "table", element("thead", head), element("tbody", *(_row(record, entry) for entry in recorded))
    )


def summary(event: Event) -> str:
    """What an event says, in one line."""
    return one_line(_said(event), SUMMARY_CHARS)


def _row(record: RunRecord, entry: Recorded) -> Markup:
    event = entry.event
    cells = (
        str(entry.seq),
        seconds(second(entry.ts, record)),
        str(event.__struct_config__.tag),
        one_line(str(getattr(event, "task", "")), SUMMARY_CHARS),
        summary(event),
    )
    return element("tr", *(element("td", cell) for cell in cells))


def _said(event: Event) -> str:
    match event:
        case RunStarted():
            return event.goal
        case ContextGathered():
            parts, seen = plural(len(event.files), "part"), plural(event.seen, "file")
            return f"{parts} of {seen}, {count(event.tokens)} tokens"
        case PlanCreated():
            return plural(len(event.tasks), "task")
        case DraftCreated():
            return str(event.document.get("title", ""))
        case FindingReported():
            return f"{event.rule} {event.severity}: {event.message}"
        case RunFinished():
            failure = f": {event.failure.code}: {event.failure.message}" if event.failure else ""
            return f"{event.status}, exit {event.exit_code}{failure}"
        case _:
            return _said_of_task(event)


def _said_of_task(event: Event) -> str:
    match event:
        case TaskStarted():
            return event.role
        case AttemptStarted():
            return f"attempt {event.attempt}, {event.model}"
        case AttemptFailed():
            again = "" if event.delay_s is None else f"; again in {seconds(event.delay_s)}"
            return f"attempt {event.attempt}: {event.failure.code}: {event.failure.message}{again}"
        case UsageReported(usage=usage):
            parts = (f"{count(usage.total)} tokens", dollars(usage.cost_usd), event.model)
            return " · ".join(part for part in parts if part)
        case ToolStarted():
            return f"{event.tool} {event.input}"
        case ToolFinished():
            return f"{event.tool}{' failed' if event.is_error else ''}"
        case TaskFinished():
            reason = f": {event.failure.code}: {event.failure.message}" if event.failure else ""
            return f"{event.status}{reason}"
        case _:
            return ""
