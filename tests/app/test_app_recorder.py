"""The recorder: numbers, redaction over deltas, durability first, and a journal that refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.app.recorder import Recorder
from kata_cli.core.clock import FixedClock
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import (
    AttemptFailed,
    ContentDelta,
    Event,
    Recorded,
    TaskFinished,
    TaskStarted,
    decode_line,
)
from kata_cli.core.redact import Redactor

SECRET = "canary-" + "4f9a1c" * 5


class Kept:
    """A journal in memory that refuses from the n-th append on."""

    def __init__(self, refuses_at: int = 10_000) -> None:
        self.batches: list[list[bytes]] = []
        self._refuses_at = refuses_at

    def append(self, lines: list[bytes], *, is_durable: bool) -> None:
        if len(self.batches) + 1 >= self._refuses_at:
            raise KataError("io", "no room")
        self.batches.append(lines)


def recorder(journal: Kept) -> Recorder:
    redactor = Redactor()
    redactor.learn(SECRET)
    return Recorder("20261121-054412-k3f9q2", journal, redactor, FixedClock(0))


def shown_text(batches: list[list[Recorded]]) -> str:
    events = [entry.event for batch in batches for entry in batch]
    return "".join(event.text for event in events if isinstance(event, ContentDelta))


def test_stored_events_are_numbered_without_gaps_and_deltas_say_what_they_follow() -> None:
    """`seq` is dense over what is stored; a delta costs no write."""
    journal = Kept()
    log = recorder(journal)
    log.take([TaskStarted(task="a")])
    batch = log.take([ContentDelta(task="a", text="hello "), ContentDelta(task="a", text="you ")])
    log.take([TaskFinished(task="a", status="completed")])
    assert [entry.seq for entry in batch] == [0, 0]
    assert [decode_line(line).seq for lines in journal.batches for line in lines] == [0, 1]  # type: ignore[union-attr]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 60), max_size=8))
def test_f51_a_secret_split_over_deltas_is_shown_nowhere(cuts: list[int]) -> None:
    """However a key is cut into deltas, neither the screen nor the journal ever gets a part of it."""
    text = f"the key is {SECRET}, keep it"
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(text[start : start + cut])
        start += cut
    journal = Kept()
    log = recorder(journal)
    batches = [log.take([ContentDelta(task="a", text=piece)]) for piece in [*pieces, text[start:]]]
    batches.append(log.take([TaskFinished(task="a", status="completed", output=text)]))
    assert SECRET[:12] not in shown_text(batches)
    assert shown_text(batches).startswith("the key is [redacted")
    assert shown_text(batches).endswith(", keep it")
    assert SECRET.encode() not in b"".join(line for lines in journal.batches for line in lines)


def test_what_was_held_of_a_failed_attempt_is_dropped() -> None:
    """The next attempt's text does not begin with the rest of the one that failed."""
    log = recorder(Kept())
    log.take([ContentDelta(task="a", text="start canary-")])
    failed = AttemptFailed(task="a", attempt=1, failure=Failure(code="timeout", message="m"))
    batches = [log.take([event]) for event in (failed, ContentDelta(task="a", text="again "))]
    assert shown_text(batches) == "again "


def test_a_journal_that_refuses_is_told_once_and_the_end_is_still_numbered() -> None:
    """The refused batch can still be shown; later ones are no longer written, and nothing is raised."""
    journal = Kept(refuses_at=2)
    log = recorder(journal)
    log.take([TaskStarted(task="a")])
    lost: list[Event] = [TaskFinished(task="a", status="failed")]
    with pytest.raises(KataError, match="no room"):
        log.take(lost)
    assert log.is_broken
    assert [entry.event for entry in log.last_batch] == lost
    assert [entry.seq for entry in log.take([TaskStarted(task="b")])] == [2]
    assert log.record.task("a").status == "failed"
