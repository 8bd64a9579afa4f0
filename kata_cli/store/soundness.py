"""Whether the journal of a run that has ended still tells all of it: `run.json` may outlive it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.events import RunFinished
from kata_cli.store.journal import JournalText
from kata_cli.store.reading import opened

GLANCE_BYTES = 1 << 18  # of each run of a listing: twenty of them cost about 10 ms


class _Line(msgspec.Struct):
    """What every stored event has."""

    seq: int
    type: str


def shortcomings(text: JournalText) -> list[str]:
    """What the journal of a run that has ended does not tell."""
    is_whole = bool(text.recorded) and isinstance(text.recorded[-1].event, RunFinished)
    return [*text.warnings, *([] if is_whole else ["the journal ends before the run did"])]


def looks_whole(journal: Path) -> bool:
    """Whether the last 256 KiB of the journal of a run that has ended is events, up to the end of the run."""
    try:
        with opened(journal) as file:
            skipped = max(0, file.seek(0, os.SEEK_END) - GLANCE_BYTES)
            file.seek(skipped)
            lines = file.read().split(b"\n")[1 if skipped else 0 :]
        found = [msgspec.json.decode(line, type=_Line) for line in lines[:-1]]
    except (KataError, msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return lines[-1] == b"" and bool(found) and found[-1].type == "run.finished"
