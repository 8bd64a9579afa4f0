"""Runs read from their journals, and the end of a run whose process did not live to record it."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

from kata_cli.core.errors import Exit, Failure, KataError
from kata_cli.core.events import Recorded, RunFinished
from kata_cli.core.records import RunRecord, elapsed_s
from kata_cli.store.atomic import FileSystem, sweep
from kata_cli.store.journal import Journal, JournalText, read_journal
from kata_cli.store.owner import Owned, OwnerLock
from kata_cli.store.views import TERMINAL, fold, write_record


def recovered(directory: Path, fs: FileSystem) -> RunRecord:
    """The run in a directory: as its journal tells, or `interrupted` when nobody works on it any more.

    Raises `KataError` io when the journal does not tell.
    """
    text, record = _read(directory)
    try:
        lock = OwnerLock.acquire(directory)
    except Owned:
        return _with_warnings(record, text.warnings)
    except KataError as error:
        is_ended = record.status in TERMINAL
        return _with_warnings(record, text.warnings) if is_ended else _interrupted(text, record, error)
    try:
        _sweep(directory)
        return _end(directory, fs)
    finally:
        lock.release()


def _end(directory: Path, fs: FileSystem) -> RunRecord:
    """Record the interruption, or only write down the end that the owner did record before it died."""
    text, record = _read(directory)
    if record.status in TERMINAL:
        with suppress(KataError):
            write_record(directory, record, fs)
        return _with_warnings(record, text.warnings)
    entry = _interruption(record)
    try:
        _append(directory / "events.jsonl", entry, fs)
        write_record(directory, fold([*text.recorded, entry]), fs)
    except KataError as error:
        return _interrupted(text, record, error)
    return _interrupted(text, record)


def _sweep(directory: Path) -> None:
    """A process that died while it wrote views left one half made."""
    for folder in (directory, directory / "tasks"):
        if folder.is_dir():
            sweep(folder)


def _append(path: Path, entry: Recorded, fs: FileSystem) -> None:
    journal = Journal.open(path, fs)
    try:
        journal.append([entry.line()])
    finally:
        journal.close()


def _read(directory: Path) -> tuple[JournalText, RunRecord]:
    text = read_journal(directory / "events.jsonl")
    record = fold(text.recorded)
    if record.run_id != directory.name:
        raise KataError(
            "io", f"{directory} holds no record of a run of that id", f"ls -la {shlex.quote(str(directory))}"
        )
    return text, record


def _interrupted(text: JournalText, record: RunRecord, error: KataError | None = None) -> RunRecord:
    ended = fold([*text.recorded, _interruption(record)])
    unwritten = [f"the interruption could not be recorded: {error}"] if error else []
    return _with_warnings(ended, [*text.warnings, *unwritten])


def _interruption(record: RunRecord) -> Recorded:
    """The event that was not written; its time is the last sign of life, since nobody knows a later one."""
    failure = Failure(
        code="interrupted",
        message="the process that owned this run is gone",
    )
    finished = RunFinished(
        status="interrupted",
        exit_code=Exit.INT,
        failure=failure,
        usage=record.usage,
        duration_s=round(elapsed_s(record), 3),
    )
    return Recorded(record.last_seq + 1, record.updated_at, record.run_id, finished)


def _with_warnings(record: RunRecord, warnings: list[str]) -> RunRecord:
    record.warnings = [*record.warnings, *warnings]
    return record
