"""OpenAI's Chat Completions API, which most compatible servers speak
(https://platform.openai.com/docs/api-reference/chat).
"""

from __future__ import annotations

from typing import Any

import msgspec

from kata_cli.core.messages import Message, Request, StopCause, Tool, Usage
from kata_cli.providers.answer import Answer, count
from kata_cli.providers.openai_request import EFFORTS, json_schema, output_bound, result_text
from kata_cli.providers.tool_calls import parameters_of

PATH = "/chat/completions"

STOPS: dict[str, StopCause] = {
    "length": "length",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    """`reasoning_content` and `reasoning` are what compatible servers call the thinking."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: Any = None
    cache_write_tokens: Any = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: Any = None


class _Usage(msgspec.Struct):
    prompt_tokens: Any = None
    completion_tokens: Any = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None
    usage: _Usage | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


def body(request: Request) -> dict[str, Any]:
    """The body of `POST /chat/completions`."""
    messages = [_message(message) for message in request.messages]
    if request.system.strip():
        messages.insert(0, {"role": "system", "content": request.system})
    sent: dict[str, Any] = {
        "model": request.model.id,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if (bound := output_bound(request)) is not None:
        sent["max_completion_tokens"] = bound
    if request.temperature is not None:
        sent["temperature"] = request.temperature
    if request.thinking is not None:
        sent["reasoning_effort"] = EFFORTS[request.thinking]
    if request.tools:
        sent["tools"] = [_tool(tool) for tool in request.tools]
    if request.schema is not None:
        sent["response_format"] = {
            "type": "json_schema",
            "json_schema": json_schema(request.schema_name, request.schema),
        }
    return sent


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": parameters_of(tool)}
    return {"type": "function", "function": function}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": result_text(message)}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.calls
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls}


def read(payload: bytes, answer: Answer) -> None:
    """Take one chunk of the stream into the answer. Raises `msgspec.DecodeError`."""
    if payload == b"[DONE]":
        answer.is_complete = True
        return
    chunk = _decode_chunk(payload)
    for choice in chunk.choices[:1]:
        _read_choice(choice, answer)
    if chunk.model:
        answer.model = chunk.model
    if chunk.usage is not None:
        answer.usage = _usage(chunk.usage)
    if chunk.error is not None:
        answer.fail_with(chunk.error)


def _read_choice(choice: _Choice, answer: Answer) -> None:
    if choice.finish_reason is not None and answer.stop != "refusal":
        answer.stop = STOPS.get(choice.finish_reason, "stop")
    delta = choice.delta
    if delta is None:
        return
    if delta.content:
        answer.add_text(delta.content)
    if thought := delta.reasoning_content or delta.reasoning:
        answer.add_thought(thought)
    for piece in delta.tool_calls or ():
        _read_call(piece, answer)
    if delta.refusal:
        answer.stop = "refusal"


def _read_call(piece: _ToolCall, answer: Answer) -> None:
    function = piece.function or _Function()
    answer.calls.begin(piece.index, piece.id, function.name)
    answer.calls.add(piece.index, function.arguments or "")


def _usage(usage: _Usage) -> Usage:
    prompt = usage.prompt_tokens_details or _PromptDetails()
    completion = usage.completion_tokens_details or _CompletionDetails()
    cache_read, cache_write = count(prompt.cached_tokens), count(prompt.cache_write_tokens)
    return Usage(
        input=max(0, count(usage.prompt_tokens) - cache_read - cache_write),
        output=count(usage.completion_tokens),
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=count(completion.reasoning_tokens),
    )
