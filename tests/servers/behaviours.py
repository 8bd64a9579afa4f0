"""What a scripted vendor can do, as data. A script file in JSON has the same names, each with a `type`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from servers import wire


class Seen(msgspec.Struct, kw_only=True):
    """A request as it arrived; header names in lower case, `body` decoded from JSON where it is JSON."""

    method: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: Any = None


class Reply(wire.Content, tag=True, kw_only=True, omit_defaults=True):
    """A streamed answer. `is_example` answers with an instance of the JSON Schema that was asked for.

    After `cut_at` bytes of the event stream the connection is closed, reset (`is_reset`) or kept silent until
    the client leaves (`is_stalled`). `piece_bytes` sends the stream in pieces of that size; the end of the
    HTTP body follows the last event after `end_after_s`.
    """

    is_example: bool = False
    cut_at: int | None = None
    is_reset: bool = False
    is_stalled: bool = False
    piece_bytes: int = 0
    end_after_s: float = 0.0
    content_type: str = "text/event-stream; charset=utf-8"
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Status(msgspec.Struct, tag=True, kw_only=True, omit_defaults=True):
    """An answer that is no stream: a JSON body (the vendor's error shape by default) or a text."""

    status: int = 500
    error_type: str = "api_error"
    code: str | None = None
    message: str = "it went wrong"
    body: Any = None
    text: str | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = {}


class Raw(msgspec.Struct, tag=True, kw_only=True, omit_defaults=True):
    """Bytes as they are, status line and all; then the connection is closed, reset or kept silent."""

    data: str = ""
    is_reset: bool = False
    is_stalled: bool = False


class Models(msgspec.Struct, tag=True, kw_only=True, omit_defaults=True):
    """A model list, `page_size` rows at a time; rows are the vendor's own."""

    rows: list[dict[str, Any]] = msgspec.field(default_factory=lambda: [{"id": "served-1"}])
    page_size: int = 1000


Behaviour = Reply | Status | Raw | Models
Script = Sequence[Behaviour] | Callable[[Seen], Behaviour]


def redirect(to: str, status: int = 307) -> Status:
    """A redirect to another address."""
    return Status(status=status, headers={"location": to}, text="moved")
