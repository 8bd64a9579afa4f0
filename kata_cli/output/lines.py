"""The sentences of a run's progress, the same for a log and for a live display."""

from __future__ import annotations

from kata_cli.core.events import AttemptFailed, RunFinished
from kata_cli.core.records import RunRecord, TaskRecord, elapsed_s
from kata_cli.core.text import one_line
from kata_cli.output.figures import count, dollars, plural, seconds

WIDTH = 400


def header(record: RunRecord) -> str:
    """First line of a run: mode, model, key source, context and host."""
    parts = [f"{record.runtime_mode} {record.model}", key_phrase(record.key_source)]
    context = record.context
    if context is not None:
        parts.append(f"context {plural(len(context.files), 'file')}, {count(context.tokens)} tokens")
    parts.append(record.host)
    return " · ".join(part for part in parts if part)


def key_phrase(source: str) -> str:
    """Where the key comes from; a source that says there is none stands for itself."""
    return source if source.startswith("no ") else f"key {source}"


def task_line(task: TaskRecord) -> str:
    """One line about the state a task is in."""
    parts = [f"{task.id} {task.status}"]
    if task.skipped_for:
        parts = [f"{task.id} skipped: {task.skipped_for} failed"]
    if task.duration_s is not None and task.status != "skipped":
        parts.append(seconds(task.duration_s))
    if task.usage.total:
        parts.append(f"{count(task.usage.total)} tokens")
    if task.thinking:
        parts.append(f"thinking {task.thinking}")
    if task.error is not None:
        parts.append(one_line(f"{task.error.code}: {task.error.message}", WIDTH))
    return " · ".join(parts)


def attempt_line(event: AttemptFailed) -> str:
    """One line about a failed attempt and what follows."""
    after = ""
    if event.delay_s is not None:
        after = f"; again in {seconds(event.delay_s)}" if event.delay_s else "; asking once more"
    return (
        one_line(
            f"{event.task} attempt {event.attempt}: {event.failure.code}: {event.failure.message}", WIDTH
        )
        + after
    )


def warning_lines(event: RunFinished) -> list[str]:
    """What was odd about a run that is over, in one line at most; the record holds all of it."""
    first, *others = event.warnings or [""]
    more = f" (and {plural(len(others), 'more warning')} in the record)" if others else ""
    return [one_line(f"warning: {first}", WIDTH) + more] if first else []


def heartbeat(record: RunRecord) -> str:
    """What is still running."""
    names = [task.id for task in record.tasks if task.status in ("delegating", "delegated", "running")]
    return "still running: " + ", ".join(names) if names else ""


def summary(record: RunRecord, headline: str) -> str:
    """Last line of a run: what came of it, time, tokens, cost, run id and path."""
    parts = [headline, seconds(elapsed_s(record))]
    if record.usage.total:
        parts.append(f"{count(record.usage.total)} tokens")
    parts.append(dollars(record.usage.cost_usd))
    if record.findings:
        parts.append(plural(len(record.findings), "finding"))
    parts.append(record.run_id)
    if record.result is not None and record.result.path:
        parts.append(record.result.path)
    return " · ".join(part for part in parts if part)
