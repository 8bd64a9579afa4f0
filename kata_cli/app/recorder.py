"""The one place that gives events their number and time, cleans them of secrets, and stores them."""

from __future__ import annotations

import threading
from typing import Protocol

from kata_cli.core.clock import stamp
from kata_cli.core.events import (
    AttemptFailed,
    ContentDelta,
    Event,
    Recorded,
    TaskFinished,
)
from kata_cli.core.ports import Clock
from kata_cli.core.records import RunRecord
from kata_cli.core.redact import Redactor, StreamRedactor


class Lines(Protocol):
    """Where stored lines go. `append` raises `KataError` io.

    With `is_durable` they, and all before them, outlive a loss of power once it returns.
    """

    def append(self, lines: list[bytes], *, is_durable: bool) -> None: ...


class Recorder:
    """Turns events into records: redacted, numbered, folded into `record`, stored.

    After the journal has refused once nothing more is stored, so that the end can still be told.
    """

    def __init__(self, run_id: str, journal: Lines, redactor: Redactor, clock: Clock) -> None:
        self.record = RunRecord(run_id=run_id)
        self.stored: list[Recorded] = []
        self.is_broken = False
        self._run_id = run_id
        self._journal = journal
        self._redactor = redactor
        self._clock = clock
        self._seq = 0
        self._ts = ""
        self._streams: dict[str, dict[str, StreamRedactor]] = {}  # by task and kind of text
        # The watchdog's thread records the end of a run whose loop no longer answers.
        self._lock = threading.Lock()

    def take(self, events: list[Event], *, is_durable: bool = True) -> list[Recorded]:
        """Store a batch with one write, then fold it in. Deltas alone cost no write.

        Raises `KataError` io when the journal refuses; the batch is numbered and folded all the same.
        """
        with self._lock:
            self._ts = stamp(self._clock.time())
            batch = [recorded for event in events for recorded in self._number(event)]
            for recorded in batch:
                self.record.apply(recorded)
            stored = [recorded for recorded in batch if recorded.is_stored]
            self.stored += stored
            self._last = batch
            if stored and not self.is_broken:
                self._append([recorded.line() for recorded in stored], is_durable=is_durable)
            return batch

    @property
    def last_batch(self) -> list[Recorded]:
        """The batch of the latest `take`, also of one that raised."""
        return self._last

    def _append(self, lines: list[bytes], *, is_durable: bool) -> None:
        try:
            self._journal.append(lines, is_durable=is_durable)
        except BaseException:
            self.is_broken = True
            raise

    def _number(self, event: Event) -> list[Recorded]:
        if isinstance(event, ContentDelta):
            return self._delta(event)
        held = self._release(event)
        recorded = Recorded(self._seq, self._ts, self._run_id, self._redactor.event(event))
        self._seq += 1
        return [*held, recorded]

    def _delta(self, event: ContentDelta) -> list[Recorded]:
        """A delta as far as it can be no part of a secret; what could be waits for what follows."""
        streams = self._streams.setdefault(event.task, {})
        if event.kind not in streams:
            streams[event.kind] = self._redactor.stream()
        return self._shown(event.task, event.kind, streams[event.kind].feed(event.text))

    def _release(self, event: Event) -> list[Recorded]:
        """What is still held of a task's text when its answer ends; that of a failed attempt is dropped."""
        if not isinstance(event, TaskFinished | AttemptFailed):
            return []
        streams = self._streams.pop(event.task, {})
        if isinstance(event, AttemptFailed):
            return []
        return [
            shown
            for kind, stream in streams.items()
            for shown in self._shown(event.task, kind, stream.flush())
        ]

    def _shown(self, task: str, kind: str, text: str) -> list[Recorded]:
        if not text:
            return []
        delta = ContentDelta(task=task, kind=kind, text=text)  # type: ignore[arg-type]
        return [Recorded(self._seq - 1, self._ts, self._run_id, delta)]
