"""All that a past run tells, read once and redacted once more: what leaves the store goes to other people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.app.known_secrets import learn_environment
from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.app.sessions import show_run
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import KataError
from kata_cli.core.events import DraftCreated, Recorded, TaskFinished
from kata_cli.core.records import RunRecord
from kata_cli.core.redact import Redactor
from kata_cli.store.journal import read_journal
from kata_cli.store.soundness import shortcomings
from kata_cli.store.views import TERMINAL


class Evidence(msgspec.Struct, kw_only=True):
    """A run with its events; `directory` holds its files as they are. `warnings` tell what is missing."""

    record: RunRecord
    recorded: list[Recorded]
    directory: Path
    warnings: list[str] = []

    @property
    def draft(self) -> dict[str, Any] | None:
        """The last draft, if the run made one."""
        drafts = [entry.event.document for entry in self.recorded if isinstance(entry.event, DraftCreated)]
        return drafts[-1] if drafts else None

    @property
    def text(self) -> str:
        """The answer that is the result of a run with a text result; empty while there is none."""
        result = self.record.result
        ended = [entry.event for entry in self.recorded if isinstance(entry.event, TaskFinished)]
        answers = [event.output for event in ended if result is not None and event.task == result.task]
        return answers[-1] if answers else ""


def read_evidence(options: Common, name: str, redactor: Redactor) -> Evidence:
    """The evidence of a run. Raises `KataError`: usage for an unknown name, io for an unreadable run."""
    learn_environment(redactor, _settings(options), os.environ)
    detail = show_run(options, name)
    plain = redactor.value(msgspec.to_builtins(detail.record))
    stored = read_journal(detail.directory / "events.jsonl")
    return Evidence(
        record=msgspec.convert(plain, RunRecord),
        recorded=[
            msgspec.structs.replace(entry, event=redactor.event(entry.event)) for entry in stored.recorded
        ],
        directory=detail.directory,
        warnings=shortcomings(stored) if detail.record.status in TERMINAL else [],
    )


def _settings(options: Common) -> Resolved:
    """The settings, for the names of keys; a past run can be looked at while a config file is broken."""
    try:
        return resolved_settings(options, os.environ, working_directory())
    except KataError:
        isolated = msgspec.structs.replace(options, is_isolated=True)
        return resolved_settings(isolated, os.environ, working_directory())


def events_since(evidence: Evidence, since_seq: int | None) -> bytes:
    """The stored events as JSON Lines, only those after number `since_seq` if it is given.

    Raises `KataError` usage for a number that the run has not reached.
    """
    last = evidence.recorded[-1].seq if evidence.recorded else -1
    if since_seq is not None and not 0 <= since_seq <= last:
        raise KataError(
            "usage",
            f"--since-seq: run {evidence.record.run_id} has events 0 to {last}, not {since_seq}",
            f"kata sessions show {evidence.record.run_id} --events",
        )
    after = -1 if since_seq is None else since_seq
    return b"".join(entry.line() for entry in evidence.recorded if entry.seq > after)
