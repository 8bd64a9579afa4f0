"""How a person names a run: `last`, an id, the beginning or end of one, or a session."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kata_cli.core.errors import KataError
from kata_cli.core.text import near

RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{6}")
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_LISTING = "kata sessions list"


def check(text: str) -> None:
    """Refuse what cannot name a run, before it comes near a path. Raises `KataError` usage."""
    if not _NAME.fullmatch(text):
        raise KataError("usage", f"{text[:80]!r} is no run or session id", _LISTING)


def only(what: str, text: str, ids: Iterable[str]) -> str:
    """The one of these ids that `text` is, begins or ends. Raises `KataError` usage, naming the nearest."""
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
