"""A token session as a person or a program hands it over: the token alone, or a JSON object around it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from kata_cli.config import keys
from kata_cli.config.stored_keys import StoredSession
from kata_cli.core.clock import random_suffix, stamp
from kata_cli.core.errors import KataError

_FORM = '{"token": "…", "id": "…", "expires_at": "2027-01-31T12:00:00Z"}, the last two if you like'


class TokenInput(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The JSON form; a time is RFC 3339 with its offset."""

    token: str
    id: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def parse(text: str, source: str) -> TokenInput:
    """What was handed over, its token clean and perhaps empty. Raises `KataError` invalid_auth.

    No message repeats any of it: a token may stand where it does not belong.
    """
    if not text.lstrip().startswith("{"):
        return TokenInput(token=keys.clean(text, source))
    try:
        given = msgspec.json.decode(text, type=TokenInput)
        if given.expires_at is not None:
            given.expires_at = given.expires_at.astimezone(UTC)
    except (msgspec.MsgspecError, UnicodeError, OverflowError):
        raise KataError("invalid_auth", f"{source}: expected {_FORM}", "kata auth login --help") from None
    given.token = keys.clean(given.token, source)
    if given.id is not None and not given.id.strip():
        raise KataError("invalid_auth", f"{source}: the id of the token session is blank", "leave id out")
    return given


def issued(given: TokenInput, host: str, now_s: float) -> StoredSession:
    """The session to be stored, issued now. Raises `KataError` session_expired for one that has ended."""
    ends = given.expires_at
    if ends is not None and ends.timestamp() <= now_s:
        raise KataError(
            "session_expired",
            f"the token session has expired at {stamp(ends.timestamp())}",
            "get a new token from the provider",
        )
    return StoredSession(
        id=given.id or f"token-{random_suffix()}",
        token=given.token,
        host=host,
        issued_at=stamp(now_s),
        expires_at=stamp(ends.timestamp()) if ends else "",
    )
