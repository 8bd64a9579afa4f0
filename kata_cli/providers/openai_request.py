"""What both of OpenAI's APIs take alike: efforts of thinking, schemas of structured answers, tool results
(https://platform.openai.com/docs/guides/reasoning and .../guides/structured-outputs).
"""

from __future__ import annotations

import re
from typing import Any

from kata_cli.core.messages import THINKING_LEVELS, THINKING_TOKENS, Message, Request

MAX_NAME_CHARS = 64

# The vendor's own scale, but for its word for "off".
EFFORTS = {level: level for level in THINKING_LEVELS} | {"off": "none"}


def output_bound(request: Request) -> int | None:
    """The bound of answer and thinking together; None where the request sets none."""
    if request.max_tokens is None:
        return None
    return request.max_tokens + THINKING_TOKENS[request.thinking or "off"]


def result_text(message: Message) -> str:
    """What came of a tool call; the APIs have no mark of their own for one that failed."""
    return f"Error: {message.text}" if message.is_error else message.text


def json_schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Name, schema, and `strict` where the schema is of the subset that strict mode takes."""
    safe = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:MAX_NAME_CHARS] or "answer"
    return {"name": safe, "schema": schema, "strict": is_strict(schema)}


def is_strict(node: object) -> bool:
    """Whether every object in a schema requires all of its properties and forbids others."""
    if isinstance(node, list):
        return all(is_strict(item) for item in node)
    if not isinstance(node, dict):
        return True
    if node.get("type") == "object":
        names = set(node.get("properties", {}))
        if node.get("additionalProperties") is not False or names != set(node.get("required", [])):
            return False
    return all(is_strict(item) for item in node.values())
