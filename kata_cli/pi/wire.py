"""The records of `pi --mode rpc`, as observed from 0.74.2 to 1.5.2; every field that is not read is skipped.

Fields that Pi might one day fill differently are `Any` and read with care: one odd number must not cost the
answer that stands beside it.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from kata_cli.core.messages import THINKING_LEVELS, Usage

T = TypeVar("T")

MAX_NUMBER = 10**9
# Levels that a reasoning model has only if its own table names them.
NAMED_LEVELS = ("xhigh", "max")


class Delta(msgspec.Struct):
    """What one update adds to a message; the cumulative copy that old versions send along is not read."""

    type: str = ""
    delta: str = ""


class Frame(msgspec.Struct, rename="camel"):
    """One line from Pi: an answer (`type` is `response`) or an event."""

    type: str
    id: Any = None
    command: Any = None
    success: Any = None
    data: msgspec.Raw = msgspec.Raw(b"{}")
    error: Any = None
    error_message: Any = None
    message: msgspec.Raw = msgspec.Raw(b"{}")
    assistant_message_event: Delta | None = None
    tool_call_id: Any = ""
    tool_name: Any = ""
    args: msgspec.Raw = msgspec.Raw(b"")
    is_error: Any = False
    result: msgspec.Raw = msgspec.Raw(b"{}")
    will_retry: Any = False
    method: Any = ""


class Said(msgspec.Struct, rename="camel"):
    """What somebody or some tool said; `content` is a list of blocks, or a text."""

    content: Any = None

    @property
    def text(self) -> str:
        """The text blocks, joined; neither thinking nor tool calls."""
        if isinstance(self.content, str):
            return self.content
        blocks = self.content if isinstance(self.content, list) else []
        parts = [block for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
        texts = [part.get("text") for part in parts]
        return "".join(text for text in texts if isinstance(text, str))


class Message(Said, rename="camel"):
    """A finished message."""

    role: Any = ""
    stop_reason: Any = ""
    error_message: Any = None
    usage: Any = None
    model: Any = ""
    response_id: Any = None


class Model(msgspec.Struct, rename="camel"):
    """A model as Pi describes it."""

    id: str
    provider: str
    name: str = ""
    reasoning: bool = False
    thinking_level_map: dict[str, Any] | None = None
    context_window: int | None = None
    max_tokens: int | None = None


class Models(msgspec.Struct):
    """The answer to `get_available_models`."""

    models: list[Model]


class Levels(msgspec.Struct):
    """The answer to `get_available_thinking_levels`."""

    levels: list[str]


class State(msgspec.Struct, rename="camel"):
    """The answer to `get_state`, as far as it is read."""

    model: Model | None = None
    thinking_level: str = ""
    is_compacting: bool = False
    session_id: str = ""
    message_count: int = 0


_decode_frame = msgspec.json.Decoder(Frame).decode


def frame(line: bytes) -> Frame | None:
    """The record of a line, or None for what is none.

    JavaScript may write half a surrogate pair where a delta cuts a character, and the whole line must not be
    lost for it: such a half becomes U+FFFD, like a byte that is no UTF-8.
    """
    try:
        return _decode_frame(line)
    except (msgspec.ValidationError, RecursionError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _lenient_frame(line)


def _lenient_frame(line: bytes) -> Frame | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line.decode("utf-8", "replace"))
        text = json.dumps(value, ensure_ascii=False)
        return _decode_frame(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        return None


def decode(raw: msgspec.Raw, kind: type[T]) -> T | None:
    """A part of a record, or None if it is not of that kind."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None


def usage(reported: object) -> Usage:
    """Pi's counts of one message. It reports a cost of 0 where it knows no price."""
    counts = reported if isinstance(reported, dict) else {}
    cost = counts.get("cost")
    total = _number(cost.get("total")) if isinstance(cost, dict) else 0.0
    return Usage(
        input=int(_number(counts.get("input"))),
        output=int(_number(counts.get("output"))),
        cache_read=int(_number(counts.get("cacheRead"))),
        cache_write=int(_number(counts.get("cacheWrite"))),
        reasoning=int(_number(counts.get("reasoning"))),
        cost_usd=total or None,
    )


def _number(value: object) -> float:
    """A number as reported, or 0 for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value <= MAX_NUMBER else 0.0


def thinking_levels(model: Model) -> list[str]:
    """The levels of a model by Pi's own rule, for versions that cannot be asked (before 0.81.0)."""
    if not model.reasoning:
        return ["off"]
    table = model.thinking_level_map or {}
    return [
        level
        for level in THINKING_LEVELS
        if (table[level] is not None if level in table else level not in NAMED_LEVELS)
    ]
