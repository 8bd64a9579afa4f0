"""One question to a model and what came of it, as a run keeps it for people and for replay."""

from __future__ import annotations

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.messages import Request, StopCause, ToolCall, Usage


class RecordedReply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An answer as it came, whether or not it held."""

    text: str
    stop: StopCause
    usage: Usage
    request_id: str | None
    model: str
    calls: tuple[ToolCall, ...] = ()


class Exchange(msgspec.Struct, kw_only=True):
    """One line of `exchanges.jsonl`. Both a reply and a failure: an answer came and did not hold."""

    v: int = 1
    task: str
    attempt: int
    model: str
    request: Request
    reply: RecordedReply | None = None
    failure: Failure | None = None
