"""How a person names a run: `last`, an id, the beginning or end of one, or a session."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kata_cli.core.errors import KataError
from kata_cli.core.events import RunStarted
from kata_cli.core.text import near

RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{6}")
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_LISTING = "kata sessions list"

Started = Callable[[str], RunStarted | None]


def check(text: str) -> None:
    """Refuse what cannot name a run, before it comes near a path. Raises `KataError` usage."""
    if not _NAME.fullmatch(text):
        raise KataError("usage", f"{text[:80]!r} is no run or session id", _LISTING)


def find_run(text: str, ids: list[str], project: str | None, started: Started) -> str:
    """The one run that `text` names. `ids` are newest first. Raises `KataError` usage."""
    if text == "last":
        return _last(ids, project, started)
    if text.startswith("s-"):
        return _last_of_session(text, ids, started)
    return _only("run", text, ids)


def _last(ids: list[str], project: str | None, started: Started) -> str:
    for run_id in ids:
        start = started(run_id)
        if start and project in (None, start.project):
            return run_id
    if not ids:
        raise KataError("usage", "there is no run yet", 'kata run "what you want"')
    raise KataError("usage", "there is no run of this project yet", f"name one: the newest is {ids[0]}")


def _last_of_session(text: str, ids: list[str], started: Started) -> str:
    newest: dict[str, str] = {}
    for run_id in ids:
        if start := started(run_id):
            newest.setdefault(start.session_id, run_id)
    return newest[_only("session", text, newest)]


def _only(what: str, text: str, ids: Iterable[str]) -> str:
    known = list(ids)
    if text in known:
        return text
    found = [known_id for known_id in known if known_id.startswith(text) or known_id.endswith(text)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise KataError("usage", f"there is no {what} {text}", near(text, known) or _LISTING)
    some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
    raise KataError("usage", f"{text} names {len(found)} {what}s: {some}", "give more of the id")
