"""What a session holds so far, as the next run needs it: turns, and a bounded text for a prompt."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

import msgspec

from kata_cli.app.result import body_of
from kata_cli.core.errors import KataError
from kata_cli.core.fence import fence
from kata_cli.core.messages import estimate_tokens
from kata_cli.core.session import CompactionEntry, Entry, MessageEntry, RunEntry, Session
from kata_cli.core.text import one_line
from kata_cli.spec.document import Document
from kata_cli.store.journal import read_journal
from kata_cli.store.runs import RunStore
from kata_cli.store.soundness import shortcomings
from kata_cli.workflows.model import Result

TITLE_CHARS = 200

_SEPARATOR = "\n\n"
_CUT = "[the rest is left out]"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its goal and result, a message, or the summary of all that came before.

    `kind` says what `text` is: a draft as Markdown, a text or JSON result, a message, a summary; nothing
    when the run made no result.
    """

    kind: Literal["spec", "text", "json", "message", "summary", "nothing"]
    run_id: str = ""
    goal: str = ""
    status: str = ""
    text: str = ""
    document: Document | None = None


def turns(session: Session, runs: RunStore) -> tuple[list[Turn], list[str]]:
    """The turns up to the head, from the last compaction on, and warnings about runs that are gone.

    The last draft before the compaction follows the summary without its text, so that it can be revised.
    Raises `KataError` io when the newest run is there and cannot be read: what it made must not be lost.
    """
    _check_newest(session, runs)
    found: list[Turn] = []
    warnings: list[str] = []
    path = session.effective_path()
    for entry in path:
        try:
            found += _turn(entry, runs)
        except (KataError, msgspec.ValidationError) as error:
            warnings.append(f"session {session.id}, {entry.id}: {error}")
    found[1:1] = _last_draft(session.path()[: -len(path)], runs)
    return found, [*session.warnings, *warnings]


def _check_newest(session: Session, runs: RunStore) -> None:
    run_ids = [entry.run_id for entry in session.path() if isinstance(entry, RunEntry)]
    if not run_ids or not runs.has(run_ids[-1]):
        return
    try:
        _run_turn(run_ids[-1], runs)
    except (KataError, msgspec.ValidationError) as error:
        told = f"the run {run_ids[-1]}, the last of session {session.id}, cannot be gone on from: {error}"
        hint = f"kata sessions show {run_ids[-1]}; a copy of the spec.md there can be revised with --revise"
        raise KataError("io", told, hint) from None


def earlier_text(turns: list[Turn], max_tokens: int) -> str:
    """The turns for a prompt, fenced, oldest first, in at most `max_tokens` (estimated).

    The newest are kept whole as long as they fit, older ones are cut, the oldest may be left out.
    """
    kept: list[str] = []
    room = max_tokens
    for turn in reversed(turns):
        block = _fitting(turn, room)
        room -= estimate_tokens(block + _SEPARATOR)
        if not block or room < 0:
            break
        kept.append(block)
    return _SEPARATOR.join(reversed(kept))


def _turn(entry: Entry, runs: RunStore) -> list[Turn]:
    """The turn of an entry; none for what this version does not know. Raises `KataError`."""
    match entry:
        case RunEntry(run_id=run_id):
            return [_run_turn(run_id, runs)]
        case MessageEntry(role="user", text=text):
            return [Turn(kind="message", goal=text)]
        case MessageEntry(text=text):
            return [Turn(kind="message", text=text)]
        case CompactionEntry(summary=summary):
            return [Turn(kind="summary", text=summary)]
    return []


def _last_draft(entries: list[Entry], runs: RunStore) -> list[Turn]:
    for entry in reversed(entries):
        with suppress(KataError, msgspec.ValidationError):
            for turn in _turn(entry, runs):
                if turn.document is not None:
                    return [msgspec.structs.replace(turn, text="")]
    return []


def _run_turn(run_id: str, runs: RunStore) -> Turn:
    record = runs.load(run_id)
    made = record.result
    journal = read_journal(runs.directory / run_id / "events.jsonl")
    body = body_of(Result(task=made.task, kind=made.kind), journal.recorded) if made else None
    if body is None and (made or journal.is_damaged):
        raise KataError("io", shortcomings(journal)[0])
    return Turn(
        kind=body.kind if body else "nothing",
        run_id=run_id,
        goal=record.goal,
        status=record.status,
        text=body.text if body else "",
        document=msgspec.convert(body.document, Document) if body and body.document else None,
    )


def _fitting(turn: Turn, max_tokens: int) -> str:
    """The fenced turn, its text cut after as many lines as fit; empty if not even its goal does."""
    whole = _block(turn, turn.goal, turn.text)
    if estimate_tokens(whole + _SEPARATOR) <= max_tokens:
        return whole
    lines = turn.text.split("\n")
    fewest, most = 0, len(lines)
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if estimate_tokens(_shortened(turn, lines[:middle]) + _SEPARATOR) <= max_tokens:
            fewest = middle
        else:
            most = middle - 1
    block = _shortened(turn, lines[:fewest])
    return block if estimate_tokens(block + _SEPARATOR) <= max_tokens else ""


def _shortened(turn: Turn, lines: list[str]) -> str:
    return _block(turn, one_line(turn.goal, TITLE_CHARS), "\n".join([*lines, _CUT]))


def _block(turn: Turn, goal: str, text: str) -> str:
    attributes = {"kind": turn.kind, "run": turn.run_id, "status": turn.status}
    told = [f"Goal: {goal}" if turn.run_id else goal, text.strip("\n")]
    return fence(
        "earlier",
        _SEPARATOR.join(part for part in told if part),
        {name: value for name, value in attributes.items() if value},
    )
