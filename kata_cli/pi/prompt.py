"""What Pi is asked, as the one message that it takes."""

from __future__ import annotations

import json

import msgspec

from kata_cli.core.fence import fence
from kata_cli.core.messages import Message, Request

MAX_EARLIER_CHARS = 200_000

_EARLIER = "What was said before in this conversation, oldest first:"
_LEFT_OUT = "[what came before is left out]"
_CUT = "[the rest is left out]"


def prompt_text(request: Request) -> str:
    """All that is asked, as one message: Pi's own commands set neither a system prompt nor a schema."""
    parts = [request.system.strip(), *_turns(request.messages)]
    if request.schema is not None:
        schema = json.dumps(request.schema, ensure_ascii=False)
        parts.append(f"Answer with one JSON object in a ```json block, by this JSON Schema:\n{schema}")
    return plain("\n\n".join(part for part in parts if part))


def opening_text(request: Request) -> str:
    """`prompt_text` for a conversation: what came before the user's newest messages is material."""
    newest = len(request.messages)
    while newest and request.messages[newest - 1].role == "user":
        newest -= 1
    new = [message.text for message in request.messages[newest:]]
    text = "\n\n".join(part for part in (earlier_text(request.messages[:newest]), *new) if part)
    return prompt_text(msgspec.structs.replace(request, messages=(Message("user", text),)))


def further_text(request: Request, new: tuple[Message, ...]) -> str:
    """What is asked of a session that knows all of a conversation but its `new` messages."""
    return opening_text(msgspec.structs.replace(request, system="", messages=new))


def earlier_text(messages: tuple[Message, ...]) -> str:
    """Messages as fenced blocks, in about `MAX_EARLIER_CHARS`: the newest whole, an older one cut.

    Empty where there are none.
    """
    blocks: list[str] = []
    room = MAX_EARLIER_CHARS
    for message in reversed(messages):
        if room <= 0:
            blocks.append(_LEFT_OUT)
            break
        text = message.text if len(message.text) <= room else f"{message.text[:room]}\n{_CUT}"
        room -= len(message.text)
        blocks.append(fence("earlier", text, {"role": message.role}))
    return "\n\n".join([_EARLIER, *reversed(blocks)]) if blocks else ""


def plain(text: str) -> str:
    """A text that is no command of Pi's, which a leading slash would make it."""
    return f"\n{text}" if text.startswith("/") else text


def _turns(messages: tuple[Message, ...]) -> list[str]:
    if len(messages) == 1:
        return [messages[0].text]
    return [f"[{message.role}]\n{message.text}" for message in messages]
