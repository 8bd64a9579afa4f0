"""What was asked and what was answered, one record per attempt, for people and for replay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import AttemptFailed, AttemptStarted, Event, Recorded, TaskFinished, UsageReported
from kata_cli.core.exchange import Exchange, RecordedReply
from kata_cli.core.jsonl import split_lines
from kata_cli.core.messages import Usage
from kata_cli.store.reading import read_file


def exchanges(recorded: Iterable[Recorded]) -> list[Exchange]:
    """All attempts of a run in the order they were made."""
    made: list[_Attempt] = []
    latest: dict[str, _Attempt] = {}  # by task: a resumed run may count its attempts anew
    for entry in recorded:
        if isinstance(entry.event, AttemptStarted):
            made.append(_Attempt(entry.event))
            latest[entry.event.task] = made[-1]
        else:
            _note(latest, entry.event)
    return [_exchange(attempt) for attempt in made]


def read_exchanges(path: Path) -> list[Exchange]:
    """The attempts in an `exchanges.jsonl`. Raises `KataError` io naming file and line."""
    decoder = msgspec.json.Decoder(Exchange)
    read: list[Exchange] = []
    for number, line in enumerate(split_lines(read_file(path)), start=1):
        try:
            read.append(decoder.decode(line))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise KataError("io", f"cannot read {path}: line {number} is no exchange") from None
    return read


class _Attempt(msgspec.Struct):
    started: AttemptStarted
    usage: UsageReported | None = None
    answer: str | None = None
    failure: Failure | None = None


def _note(latest: dict[str, _Attempt], event: Event) -> None:
    """Add to an attempt what a later event tells of it."""
    match event:
        case UsageReported(task=task, attempt=number) if attempt := _attempt(latest, task, number):
            attempt.usage = event
        case AttemptFailed(task=task, attempt=number) if attempt := _attempt(latest, task, number):
            attempt.failure = event.failure
            attempt.answer = event.answer or None
        case TaskFinished(task=task) if (attempt := latest.get(task)) and attempt.failure is None:
            attempt.failure = event.failure
            attempt.answer = event.output if event.status == "completed" else None


def _attempt(latest: dict[str, _Attempt], task: str, number: int) -> _Attempt | None:
    attempt = latest.get(task)
    return attempt if attempt and attempt.started.attempt == number else None


def _exchange(attempt: _Attempt) -> Exchange:
    started = attempt.started
    return Exchange(
        task=started.task,
        attempt=started.attempt,
        model=started.model,
        request=started.request,
        reply=None if attempt.answer is None else _reply(attempt, attempt.answer),
        failure=attempt.failure,
    )


def _reply(attempt: _Attempt, text: str) -> RecordedReply:
    usage = attempt.usage
    return RecordedReply(
        text=text,
        stop=usage.stop if usage and usage.stop else "stop",  # type: ignore[arg-type]
        usage=usage.usage if usage else Usage(),
        request_id=usage.request_id if usage else None,
        model=usage.model if usage and usage.model else attempt.started.model,
    )
