"""How a session is called: its id, which is its file's name, and the name that a person gave it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from kata_cli.core.errors import KataError
from kata_cli.core.text import near
from kata_cli.store.names import RUN_ID

SESSION_ID = re.compile(rf"s-{RUN_ID.pattern}")
LISTING = "kata sessions list"

_NAME = re.compile(r"[^\W_](?:[\w .-]{0,62}[\w.-])?")
_RESERVED = re.compile(r"last|s-.*|[0-9]{8}-.*")


def check_id(session_id: str) -> None:
    """Refuse what is no session id before it becomes a path. Raises `KataError` usage."""
    if not SESSION_ID.fullmatch(session_id):
        raise KataError("usage", f"{session_id[:80]!r} is no session id", LISTING)


def check_name(name: str) -> str:
    """A name as it is kept; empty stays empty. Raises `KataError` usage.

    What reads like an id is refused, so that a name and an id never mean two things.
    """
    kept = kept_name(name)
    if name and not kept:
        raise KataError(
            "usage",
            f"{name[:80]!r} cannot name a session",
            "1 to 64 letters, digits, spaces and -_. that begin with a letter and are neither last nor an id",
        )
    return kept


def kept_name(text: str) -> str:
    """The name that a text stands for, in Unicode NFC; empty when it can be none."""
    kept = unicodedata.normalize("NFC", text)
    return kept if _NAME.fullmatch(kept) and not _RESERVED.fullmatch(kept) else ""


def only(text: str, found: list[str], known: Iterable[str]) -> str:
    """The one session found for `text`; `known` are ids and names. Raises `KataError` usage."""
    if not found:
        raise unknown(text, known)
    if len(found) == 1:
        return found[0]
    some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
    raise KataError("usage", f"{text} names {len(found)} sessions: {some}", "name one by its id")


def unknown(text: str, known: Iterable[str]) -> KataError:
    """The error for what names no session."""
    return KataError("usage", f"there is no session {text[:80]!r}", near(text, known) or LISTING)
