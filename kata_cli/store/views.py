"""The files of a run that are written from its journal, and can be written again at any time.

That is why only the draft, which users are shown the way to, waits for the disk: what a loss of power takes
of the others is written again when somebody looks (`read_ended`, `is_viewed`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.events import DraftCreated, Recorded, TaskFinished
from kata_cli.core.records import RunRecord
from kata_cli.core.text import neutral
from kata_cli.store.atomic import FileSystem, make_dirs, write_file
from kata_cli.store.exchanges import exchanges
from kata_cli.store.reading import read_file

Render = Callable[[dict[str, Any]], dict[str, bytes]]

EXCHANGES = "exchanges.jsonl"
TERMINAL = ("completed", "failed", "interrupted")
_TASK_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def fold(recorded: Iterable[Recorded]) -> RunRecord:
    """The state of a run after these events; transitions that were refused are among its warnings."""
    record = RunRecord()
    refusals = [refusal for entry in recorded if (refusal := record.apply(entry))]
    record.warnings = [*record.warnings, *refusals]
    return record


def write_views(
    directory: Path, recorded: Iterable[Recorded], render: Render, fs: FileSystem = os
) -> RunRecord:
    """Write all views of a run and return its record; the same events give the same bytes.

    `render` turns the last draft's document into files by name. Raises `KataError` io.
    """
    events = list(recorded)
    for name, data in _drafted(events, render).items():
        write_file(directory / name, data, fs=fs)
    _write_answers(directory / "tasks", events, fs)
    lines = [msgspec.json.encode(exchange) + b"\n" for exchange in exchanges(events)]
    write_file(directory / EXCHANGES, b"".join(lines), is_durable=False, fs=fs)
    record = fold(events)
    write_record(directory, record, fs)
    return record


def write_record(directory: Path, record: RunRecord, fs: FileSystem = os) -> None:
    """Write `run.json`; it comes last, since readers trust it once it says that the run has ended."""
    data = msgspec.json.format(msgspec.json.encode(record), indent=2)
    write_file(directory / "run.json", data + b"\n", is_durable=False, fs=fs)


def read_ended(directory: Path) -> RunRecord | None:
    """The record in `run.json` of a run that has ended; None when only the journal can tell."""
    try:
        record = msgspec.json.decode(read_file(directory / "run.json"), type=RunRecord)
    except (KataError, ValueError, msgspec.MsgspecError, RecursionError):
        return None
    is_ours = record.schema == RunRecord().schema and record.run_id == directory.name
    return record if is_ours and record.status in TERMINAL else None


def is_viewed(directory: Path, record: RunRecord) -> bool:
    """Whether draft, answers and exchanges of a run are there; a crash or a loss of power may take them."""
    files = [
        f"tasks/{task.id}.md"
        for task in record.tasks
        if task.status == "completed" and _is_file_name(task.id)
    ]
    if record.result is not None and record.result.kind == "spec":
        files.append("spec.md")
    if any(task.attempts for task in record.tasks):
        files.append(EXCHANGES)
    return all(_has_bytes(directory / name) for name in files)


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _is_file_name(task: str) -> bool:
    return _TASK_ID.fullmatch(task) is not None


def _drafted(events: list[Recorded], render: Render) -> dict[str, bytes]:
    drafts = [entry.event.document for entry in events if isinstance(entry.event, DraftCreated)]
    return render(drafts[-1]) if drafts else {}


def _write_answers(directory: Path, events: list[Recorded], fs: FileSystem) -> None:
    """One file per answer, safe to show: the journal alone has it raw.

    An id that is no plain file name (a model may have made it up) gets none.
    """
    ended = [entry.event for entry in events if isinstance(entry.event, TaskFinished)]
    answers = {
        event.task: event.output
        for event in ended
        if event.status == "completed" and _is_file_name(event.task)
    }
    if answers:
        make_dirs(directory, fs=fs)
    for task, answer in answers.items():
        text = neutral(answer if answer.endswith("\n") else answer + "\n")
        write_file(directory / f"{task}.md", text.encode(), is_durable=False, fs=fs)
