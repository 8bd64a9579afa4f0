"""A request in the words of Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec

from kata_cli.core.messages import THINKING_LEVELS, THINKING_TOKENS, Message, Request, Tool
from kata_cli.providers.tool_calls import parameters_of

# The API insists on a bound; this one holds a long spec draft.
DEFAULT_MAX_TOKENS = 16_384

# The vendor's scale has no word for the least.
EFFORTS = {level: level for level in THINKING_LEVELS if level != "off"} | {"minimal": "low"}

_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def message_body(request: Request) -> dict[str, Any]:
    """The body of `POST /v1/messages`."""
    max_tokens = request.max_tokens or DEFAULT_MAX_TOKENS
    body: dict[str, Any] = {
        "model": request.model.id,
        "max_tokens": max_tokens,
        "messages": list(_messages(request)),
        "stream": True,
        **_tools(request),
    }
    if request.system.strip():
        body["system"] = request.system
    if request.temperature is not None:
        body["temperature"] = request.temperature
    output: dict[str, Any] = {}
    if request.thinking == "off":
        body["thinking"] = {"type": "disabled"}
    elif request.thinking is not None:
        output["effort"] = EFFORTS[request.thinking]
        # Adaptive thinking, unlike a fixed budget, takes back a tool call without the thinking before it
        # (https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking, "Validation changes").
        body["thinking"] = {"type": "adaptive"}
        body["max_tokens"] = max_tokens + THINKING_TOKENS[request.thinking]
    if request.schema is not None:
        output["format"] = {"type": "json_schema", "schema": request.schema}
    return {**body, "output_config": output} if output else body


def _messages(request: Request) -> Iterator[dict[str, Any]]:
    """The conversation; the results of one turn's calls have to stand in one message."""
    for is_result, messages in groupby(request.messages, lambda message: message.role == "tool"):
        if is_result:
            yield {"role": "user", "content": [_result(message) for message in messages]}
        else:
            yield from ({"role": message.role, "content": _content(message)} for message in messages)


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.calls:
        return message.text
    # The API refuses a block of text with nothing in it.
    text = [{"type": "text", "text": message.text}] if message.text.strip() else []
    calls = [
        {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": _input(call.arguments)}
        for call in message.calls
    ]
    return [*text, *calls]


def _result(message: Message) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": _id(message.call_id), "content": message.text}
    return {**block, "is_error": True} if message.is_error else block


def _id(call_id: str) -> str:
    """A call may have its id from a vendor that allows more characters."""
    return _NOT_IN_ID.sub("_", call_id)


def _input(arguments: str) -> dict[str, Any]:
    """Arguments as the object that the API insists on; what is none goes back under a name that says so
    (https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming).
    """
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"INVALID_JSON": arguments}


def _tools(request: Request) -> dict[str, Any]:
    """What may be called. With calls in the conversation the API demands their tools, also when none are on
    offer any more.
    """
    if request.tools:
        return {"tools": [_tool(tool) for tool in request.tools]}
    names = dict.fromkeys(call.name for message in request.messages for call in message.calls)
    if not names:
        return {}
    return {"tools": [_tool(Tool(name=name)) for name in names], "tool_choice": {"type": "none"}}


def _tool(tool: Tool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": parameters_of(tool)}
