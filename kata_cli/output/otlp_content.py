"""What was said, as attributes of spans: only for those who ask for it, cleaned of secrets, and bounded.

The forms are the JSON schemas of messages and instructions beside the conventions for generative AI. Spans
know no nested values yet, so each is one text of JSON, as the conventions ask for then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kata_cli.core.events import ToolFinished, ToolStarted, encode_json
from kata_cli.core.messages import Message, Request

# The variable and its values are those of the OpenTelemetry instrumentations for Python.
VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_WANTED = frozenset({"true", "span_only", "span_and_event"})
MAX_CHARS = 16_384  # of one text; a span with all of a large context is refused by most backends
_FINISH_REASONS = {"refusal": "content_filter", "tool_use": "tool_call"}


def is_wanted(env: Mapping[str, str]) -> bool:
    """Whether the user has switched content on."""
    return env.get(VARIABLE, "").strip().lower() in _WANTED


def of_request(request: Request) -> dict[str, object]:
    """What a model was asked, and the tools it was offered. Events are redacted before they are stored."""
    return {
        "gen_ai.system_instructions": _json([_text(request.system)]) if request.system else None,
        "gen_ai.input.messages": _json([_message(message) for message in request.messages]),
        "gen_ai.tool.definitions": _json(
            [{"type": "function", **msgspec.to_builtins(tool)} for tool in request.tools]
        ),
    }


def of_answer(text: str, stop: str) -> dict[str, object]:
    """What a model answered, if anything, and why it ended."""
    if not text:
        return {}
    answer = {"role": "assistant", "parts": [_text(text)], "finish_reason": _FINISH_REASONS.get(stop, stop)}
    return {"gen_ai.output.messages": _json([answer])}


def of_call(event: ToolStarted) -> dict[str, object]:
    return {"gen_ai.tool.call.arguments": _cut(event.input)}


def of_result(event: ToolFinished) -> dict[str, object]:
    return {"gen_ai.tool.call.result": _cut(event.output)}


def _message(message: Message) -> dict[str, object]:
    if message.role == "tool":
        said = [{"type": "tool_call_response", "id": message.call_id, "response": _cut(message.text)}]
    else:
        said = [_text(message.text)] if message.text else []
    called = [{"type": "tool_call", **msgspec.to_builtins(call)} for call in message.calls]
    return {"role": message.role, "parts": [*said, *called]}


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": _cut(text)}


def _cut(text: str) -> str:
    left = len(text) - MAX_CHARS
    return text if left <= 0 else f"{text[:MAX_CHARS]}… ({left:,} more characters)"


def _json(items: list[Any]) -> str | None:
    return encode_json(items).decode() if items else None
