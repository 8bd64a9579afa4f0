"""A run as a readable Markdown report: facts, tasks, what went wrong, the result, every answer."""

from __future__ import annotations

import re

from kata_cli.core.events import Recorded, TaskFinished
from kata_cli.core.records import RunRecord, TaskRecord, elapsed_s
from kata_cli.core.text import neutral, one_line
from kata_cli.output.figures import count, dollars, seconds
from kata_cli.output.lines import task_line

CELL_CHARS = 300
_TICKS = re.compile(r"`{3,}")
_MATTER = re.compile(r"\A---\n.*?\n---\n", re.S)
_HEADING = re.compile(r"^(?=#{1,5} )", re.M)


def report(record: RunRecord, recorded: list[Recorded], *, draft: str, text: str) -> str:
    """The report of a run. `draft` is Markdown of ours, `text` the answer of a run with a text result."""
    ended = [entry.event for entry in recorded if isinstance(entry.event, TaskFinished)]
    answers = [(event.task, event.output) for event in ended if event.output]
    parts = [
        f"# {_inline(record.goal) or record.run_id}",
        _facts(record),
        *_tasks(record.tasks),
        *_problems(record),
    ]
    if draft:
        parts += ["## Draft", _HEADING.sub("#", _MATTER.sub("", neutral(draft))).strip()]
    elif text:
        parts += ["## Result", _fenced(text)]
    if answers:
        parts.append("## Answers")
    for task, answer in answers:
        parts += [f"### {_inline(task)}", _fenced(answer)]
    return "\n\n".join(parts) + "\n"


def _facts(record: RunRecord) -> str:
    facts = {
        "run": record.run_id,
        "session": record.session_id,
        "status": record.status if record.exit_code is None else f"{record.status}, exit {record.exit_code}",
        "workflow": record.workflow,
        "mode": record.runtime_mode,
        "model": record.model,
        "began": record.created_at,
        "time": seconds(elapsed_s(record)),
        "tokens": count(record.usage.total),
        "cost": dollars(record.usage.cost_usd) or "unknown",
    }
    return _table(["", ""], [[name, value] for name, value in facts.items() if value])


def _tasks(tasks: list[TaskRecord]) -> list[str]:
    rows = [
        [
            task.id,
            task.status,
            "" if task.duration_s is None else seconds(task.duration_s),
            count(task.usage.total) if task.usage.total else "",
            dollars(task.usage.cost_usd),
        ]
        for task in tasks
    ]
    return ["## Tasks", _table(["task", "state", "time", "tokens", "cost"], rows)] if rows else []


def _problems(record: RunRecord) -> list[str]:
    """Tasks before the run, since they say why."""
    told = [task_line(task) for task in record.tasks if task.error or task.skipped_for]
    if record.error is not None:
        told.append(f"{record.error.code}: {record.error.message}")
    told += [f"{finding.rule} {finding.severity}: {finding.message}" for finding in record.findings]
    told += record.warnings
    return ["## Problems", "\n".join(f"- {_inline(line)}" for line in told)] if told else []


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_inline(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _inline(text: str) -> str:
    """Untrusted text as one line in which nothing opens a cell, a tag or a heading."""
    return re.sub(r"[\\|<`*_\[\]#]", r"\\\g<0>", one_line(text, CELL_CHARS))


def _fenced(text: str) -> str:
    """Untrusted text in a fence that is longer than any in it."""
    ticks = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(text)), default=0))
    return f"{ticks}\n{neutral(text).strip(chr(10))}\n{ticks}"
