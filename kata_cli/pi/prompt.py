"""What Pi is asked, as the one message that it takes."""

from __future__ import annotations

import json

from kata_cli.core.messages import Message, Request


def prompt_text(request: Request) -> str:
    """All that is asked, as one message: Pi's own commands set neither a system prompt nor a schema."""
    parts = [request.system.strip(), *_turns(request.messages)]
    if request.schema is not None:
        schema = json.dumps(request.schema, ensure_ascii=False)
        parts.append(f"Answer with one JSON object in a ```json block, by this JSON Schema:\n{schema}")
    text = "\n\n".join(part for part in parts if part)
    # A leading slash would name one of Pi's own commands.
    return f"\n{text}" if text.startswith("/") else text


def _turns(messages: tuple[Message, ...]) -> list[str]:
    if len(messages) == 1:
        return [messages[0].text]
    return [f"[{message.role}]\n{message.text}" for message in messages]
