"""The words of ASGI, and reading a request's body within bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = Message
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def read_body(receive: Receive, max_bytes: int) -> tuple[bytes, bool]:
    """The body, and whether it is whole: not when it exceeds the limit or the client has left."""
    body = bytearray()
    while len(body) <= max_bytes:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body), False
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body), len(body) <= max_bytes
    return bytes(body), False


def with_body(body: bytes, receive: Receive) -> Receive:
    """A body that was read, given out once more; then what the client does next."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def drain(receive: Receive, max_bytes: int) -> None:
    """Let a body pass by, up to a limit."""
    drained = 0
    while drained < max_bytes:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        drained += len(message.get("body", b""))
