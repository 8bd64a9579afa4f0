"""When the mock provider calls a tool of the caller, with what, and what it says of the result."""

from __future__ import annotations

import json
import re
from itertools import takewhile

from kata_cli.core.fence import outside
from kata_cli.core.messages import Message, Request, Tool, ToolCall
from kata_cli.core.text import one_line
from kata_cli.providers.mock.instance import instance_of
from kata_cli.providers.tool_calls import parameters_of

MAX_WORDS_CHARS = 200
MAX_LINES = 12
MAX_LINE_CHARS = 200


def wished_call(request: Request) -> ToolCall | None:
    """A call of the first tool that the last message names as a whole word, if a user wrote that message."""
    last = request.messages[-1] if request.messages else Message("assistant", "")
    if last.role != "user":
        return None
    asked = outside(last.text)
    tool = next((tool for tool in request.tools if _names(asked, tool.name)), None)
    if tool is None:
        return None
    turn = sum(message.role == "user" for message in request.messages)
    return ToolCall(id=f"call-{turn}-1", name=tool.name, arguments=_arguments(tool, asked))


def results(request: Request) -> str:
    """What the tools returned that the conversation ends with; empty if it ends otherwise."""
    last = list(takewhile(lambda message: message.role == "tool", reversed(request.messages)))
    names = {call.id: call.name for message in request.messages for call in message.calls}
    return "\n\n".join(_result(names.get(message.call_id, "tool"), message) for message in reversed(last))


def _arguments(tool: Tool, asked: str) -> str:
    """The smallest arguments that the tool takes; none at all where its schema is no schema."""
    try:
        arguments = instance_of(parameters_of(tool), one_line(asked, MAX_WORDS_CHARS))
        return json.dumps(arguments, ensure_ascii=False)
    except (TypeError, ValueError, LookupError, AttributeError):
        return "{}"


def _result(name: str, message: Message) -> str:
    lines = [line for line in message.text.splitlines() if line.strip()]
    shown = [f"    {one_line(line, MAX_LINE_CHARS)}" for line in lines[:MAX_LINES]]
    more = [f"    and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    verb = "failed" if message.is_error else "returned"
    return f"`{name}` {verb}:\n\n" + "\n".join([*shown, *more]) if shown else f"`{name}` {verb} nothing."


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None
