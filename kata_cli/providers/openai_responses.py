"""OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses)."""

from __future__ import annotations

from typing import Any

import msgspec

from kata_cli.core.messages import Message, Request, Tool, Usage
from kata_cli.providers.answer import Answer, count
from kata_cli.providers.openai_request import EFFORTS, json_schema, output_bound, result_text
from kata_cli.providers.tool_calls import parameters_of

PATH = "/responses"

# The API refuses a lower bound.
MIN_OUTPUT_TOKENS = 16


class _InputDetails(msgspec.Struct):
    cached_tokens: Any = None
    cache_write_tokens: Any = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: Any = None


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    model: str | None = None
    usage: _Usage | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None


class _Item(msgspec.Struct):
    type: str = ""
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class _Event(msgspec.Struct):
    """`code` and `message` are those of an `error` event, which some servers wrap in `error`."""

    type: str = ""
    delta: Any = None
    output_index: int | None = None
    item: _Item | None = None
    arguments: str | None = None
    response: _Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


def body(request: Request) -> dict[str, Any]:
    """The body of `POST /responses`; nothing is kept at the provider."""
    sent: dict[str, Any] = {
        "model": request.model.id,
        "input": [item for message in request.messages for item in _items(message)],
        "stream": True,
        "store": False,
    }
    if request.system.strip():
        sent["instructions"] = request.system
    if request.temperature is not None:
        sent["temperature"] = request.temperature
    if request.thinking is not None:
        sent["reasoning"] = {"effort": EFFORTS[request.thinking]}
    if (bound := output_bound(request)) is not None:
        sent["max_output_tokens"] = max(MIN_OUTPUT_TOKENS, bound)
    if request.tools:
        sent["tools"] = [_tool(tool) for tool in request.tools]
    if request.schema is not None:
        sent["text"] = {"format": {"type": "json_schema", **json_schema(request.schema_name, request.schema)}}
    return sent


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": parameters_of(tool),
        # The default is to check strictly, which refuses most schemas that were not written for it.
        "strict": False,
    }


def _items(message: Message) -> list[dict[str, Any]]:
    """A message as input items.

    A call goes without the id of its item: with it the API asks for the reasoning item that came before,
    which it has not kept (https://github.com/openai/openai-agents-python/issues/919).
    """
    if message.role == "tool":
        return [{"type": "function_call_output", "call_id": message.call_id, "output": result_text(message)}]
    text = [{"role": message.role, "content": message.text}] if message.text or not message.calls else []
    calls = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.calls
    ]
    return [*text, *calls]


def read(payload: bytes, answer: Answer) -> None:
    """Take one event of the stream into the answer. Raises `msgspec.DecodeError`."""
    event = _decode_event(payload)
    match event.type:
        case "response.output_text.delta":
            answer.add_text(str(event.delta or ""))
        case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
            answer.add_thought(str(event.delta or ""))
        case "response.content_part.added" if answer.has_text:
            answer.add_text("\n")
        case "response.refusal.delta":
            answer.stop = "refusal"
        case "response.function_call_arguments.delta":
            answer.calls.add(event.output_index, str(event.delta or ""))
        case "response.function_call_arguments.done":
            answer.calls.replace(event.output_index, event.arguments)
        case "response.output_item.added" | "response.output_item.done" if event.item is not None:
            _read_item(event.output_index, event.item, answer)
        case "error":
            answer.fail_with(event.error or {"code": event.code, "message": event.message})
        case _ if event.response is not None:
            _read_response(event.type, event.response, answer)


def _read_item(index: int | None, item: _Item, answer: Answer) -> None:
    if item.type == "function_call":
        answer.calls.begin(index, item.call_id, item.name)
        answer.calls.replace(index, item.arguments)


def _read_response(kind: str, response: _Response, answer: Answer) -> None:
    answer.model = response.model or answer.model
    if response.usage is not None:
        answer.usage = _usage(response.usage)
    match kind:
        case "response.completed":
            answer.is_complete = True
        case "response.incomplete":
            _end_early(response.incomplete_details, answer)
        case "response.failed" | "response.cancelled":
            answer.fail_with(response.error)


def _end_early(details: _Incomplete | None, answer: Answer) -> None:
    reason = details.reason if details is not None else None
    if reason == "max_output_tokens":
        answer.stop = "length"
        answer.is_complete = True
    else:
        answer.fail_with({"code": reason, "message": f"incomplete: {reason or 'no reason given'}"})


def _usage(usage: _Usage) -> Usage:
    inside = usage.input_tokens_details or _InputDetails()
    outside = usage.output_tokens_details or _OutputDetails()
    cache_read, cache_write = count(inside.cached_tokens), count(inside.cache_write_tokens)
    return Usage(
        input=max(0, count(usage.input_tokens) - cache_read - cache_write),
        output=count(usage.output_tokens),
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=count(outside.reasoning_tokens),
    )
