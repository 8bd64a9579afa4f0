"""What a vendor says on the wire: streams of events, model lists and errors, as bytes."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

Api = Literal["messages", "responses", "chat"]

ANTHROPIC_STOPS = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal", "tool_use": "tool_use"}
CHAT_STOPS = {"stop": "stop", "length": "length", "refusal": "content_filter", "tool_use": "tool_calls"}
DEFAULT_USAGE = {"input": 7, "output": 5, "cache_read": 2, "cache_write": 1, "reasoning": 3}


class Call(msgspec.Struct, kw_only=True):
    """A tool call in an answer; `arguments` is sent in pieces of 8 characters."""

    id: str = "toolu_1"
    name: str
    arguments: str = "{}"

    @property
    def pieces(self) -> list[str]:
        return _eights(self.arguments)


class Content(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An answer to be streamed; `calls`, whose `stop` is tool_use, follow the text.

    `chunks` replaces `text` where the cuts matter; `usage` None leaves it out, and its values may be absurd.
    `error` is an error body sent inside the stream after all text; nothing but it ends the stream then.
    """

    text: str = "Hello from the vendor."
    chunks: list[str] | None = None
    thinking: str = ""
    stop: str = "stop"
    usage: dict[str, Any] | None = msgspec.field(default_factory=lambda: dict(DEFAULT_USAGE))
    model: str = "served-1"
    error: dict[str, Any] | None = None
    calls: list[Call] = []

    @property
    def pieces(self) -> list[str]:
        return _eights(self.text) if self.chunks is None else self.chunks


def _eights(text: str) -> list[str]:
    return [text[at : at + 8] for at in range(0, len(text), 8)]


def events(api: Api, content: Content) -> list[bytes]:
    """The events of a streamed answer, each with its blank line."""
    return {"messages": _messages, "responses": _responses, "chat": _chat}[api](content)


def bytes_until(api: Api, content: Content) -> int:
    """How many bytes of the stream go up to the end of the event that carries the last text."""
    sent = events(api, content)
    last = json.dumps(content.pieces[-1], ensure_ascii=False).encode()
    number = max(number for number, one in enumerate(sent) if last in one)
    return len(b"".join(sent[: number + 1]))


def event(data: dict[str, Any], name: str = "") -> bytes:
    """One event; `data` becomes one line of JSON."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _named(data: dict[str, Any]) -> bytes:
    return event(data, str(data["type"]))


def _messages(content: Content) -> list[bytes]:
    usage = content.usage
    asked = None
    if usage is not None:
        asked = {
            "input_tokens": usage.get("input"),
            "cache_read_input_tokens": usage.get("cache_read"),
            "cache_creation_input_tokens": usage.get("cache_write"),
            "output_tokens": usage.get("output"),
        }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": content.model}
    sent = [_named({"type": "message_start", "message": {**message, **({"usage": asked} if asked else {})}})]
    sent.append(_named({"type": "ping"}))
    if content.thinking:
        sent += _block(0, "thinking", [content.thinking])
    first = int(bool(content.thinking))
    sent += _block(first, "text", content.pieces) if content.pieces else []
    for index, call in enumerate(content.calls, first + bool(content.pieces)):
        sent += _tool_use(index, call)
    if content.error is not None:
        return [*sent, _named({"type": "error", "error": content.error})]
    delta: dict[str, Any] = {
        "type": "message_delta",
        "delta": {"stop_reason": ANTHROPIC_STOPS.get(content.stop, content.stop), "stop_sequence": None},
    }
    if usage is not None:
        details = {"thinking_tokens": usage.get("reasoning")}
        delta["usage"] = {"output_tokens": usage.get("output"), "output_tokens_details": details}
    return [*sent, _named(delta), _named({"type": "message_stop"})]


def _block(index: int, kind: str, pieces: list[str]) -> list[bytes]:
    deltas = [{"type": f"{kind}_delta", kind: piece} for piece in pieces]
    return _whole_block(index, {"type": kind, kind: ""}, deltas)


def _tool_use(index: int, call: Call) -> list[bytes]:
    # The vendor begins with an empty piece.
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *call.pieces)]
    return _whole_block(index, {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, deltas)


def _whole_block(index: int, block: dict[str, Any], deltas: list[dict[str, str]]) -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]
    return [_named(data) for data in events]


def _responses(content: Content) -> list[bytes]:
    response: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "status": "in_progress",
        "model": content.model,
    }
    sent = [_named({"type": "response.created", "response": response})]
    if content.thinking:
        sent.append(_named({"type": "response.reasoning_summary_text.delta", "delta": content.thinking}))
    sent += _output_message(content) if content.pieces else []
    for index, call in enumerate(content.calls, 1):
        sent += _function_call(index, call)
    if content.error is not None:
        return [*sent, _named({**content.error, "type": "error", "sequence_number": 9})]
    if content.usage is not None:
        response = {**response, "usage": _responses_usage(content.usage)}
    if content.stop == "length":
        details: dict[str, Any] = {
            "incomplete_details": {"reason": "max_output_tokens"},
            "status": "incomplete",
        }
        return [*sent, _named({"type": "response.incomplete", "response": {**response, **details}})]
    return [*sent, _named({"type": "response.completed", "response": {**response, "status": "completed"}})]


def _output_message(content: Content) -> list[bytes]:
    item = {"type": "message", "id": "msg_1", "role": "assistant"}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"output_index": 0, "content_index": 0}
    kind = "response.refusal.delta" if content.stop == "refusal" else "response.output_text.delta"
    told = {**part, "text": "".join(content.pieces)}
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": kind, **place, "delta": piece} for piece in content.pieces),
        {"type": "response.output_item.done", "output_index": 0, "item": {**item, "content": [told]}},
    ]
    return [_named(data) for data in events]


def _function_call(index: int, call: Call) -> list[bytes]:
    item = {"type": "function_call", "id": f"fc_{index}", "call_id": call.id, "name": call.name}
    place = {"output_index": index, "item_id": f"fc_{index}"}
    kind = "response.function_call_arguments"
    began = {**item, "arguments": "", "status": "in_progress"}
    ended = {**item, "arguments": call.arguments, "status": "completed"}
    events: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": index, "item": began},
        *({"type": f"{kind}.delta", **place, "delta": piece} for piece in call.pieces),
        {"type": f"{kind}.done", **place, "arguments": call.arguments},
        {"type": "response.output_item.done", "output_index": index, "item": ended},
    ]
    return [_named(data) for data in events]


def _responses_usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": _whole_input(usage),
        "input_tokens_details": {
            "cached_tokens": usage.get("cache_read"),
            "cache_write_tokens": usage.get("cache_write"),
        },
        "output_tokens": usage.get("output"),
        "output_tokens_details": {"reasoning_tokens": usage.get("reasoning")},
    }


def _chat(content: Content) -> list[bytes]:
    base = {"id": "chatcmpl_1", "object": "chat.completion.chunk", "model": content.model}

    def chunk(delta: dict[str, Any], stop: str | None = None) -> bytes:
        return event({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": stop}]})

    sent = [chunk({"role": "assistant", "content": ""})]
    if content.thinking:
        sent.append(chunk({"reasoning_content": content.thinking}))
    sent += [chunk({"content": piece}) for piece in content.pieces]
    for index, call in enumerate(content.calls):
        sent += [chunk({"tool_calls": [piece]}) for piece in _tool_call(index, call)]
    if content.error is not None:
        return [*sent, event({"error": content.error})]
    sent.append(chunk({}, CHAT_STOPS.get(content.stop, content.stop)))
    if content.usage is not None:
        sent.append(event({**base, "choices": [], "usage": _chat_usage(content.usage)}))
    return [*sent, b"data: [DONE]\n\n"]


def _tool_call(index: int, call: Call) -> list[dict[str, Any]]:
    """The pieces of a call; only the first says its id and name."""
    head: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
    rest: list[dict[str, Any]] = [{"function": {"arguments": piece}} for piece in call.pieces]
    return [{"index": index, **piece} for piece in (head, *rest)]


def _chat_usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt_tokens": _whole_input(usage),
        "prompt_tokens_details": {
            "cached_tokens": usage.get("cache_read"),
            "cache_write_tokens": usage.get("cache_write"),
        },
        "completion_tokens": usage.get("output"),
        "completion_tokens_details": {"reasoning_tokens": usage.get("reasoning")},
    }


def _whole_input(usage: dict[str, Any]) -> Any:
    """OpenAI counts what came from or went to the cache as input too."""
    parts = [usage.get(name) for name in ("input", "cache_read", "cache_write")]
    return sum(parts) if all(type(part) is int for part in parts) else usage.get("input")


def example(schema: dict[str, Any]) -> Any:
    """A small value that follows a JSON Schema of objects, arrays, enums, strings, numbers and booleans."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        return {name: example(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"])] if schema.get("items") else []
    return {"integer": 1, "number": 1, "boolean": True, "null": None}.get(kind, "text")
