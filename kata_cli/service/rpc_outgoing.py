"""What waits to be sent on a WebSocket: in the order in which it was put there, and never too much of it."""

from __future__ import annotations

import asyncio
from collections import deque


class Outgoing:
    """A queue of messages; who puts one in waits while there are too many, or too large ones."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[bytes | None] = deque()
        self._bytes = 0
        self._is_closed = False
        self._turn = asyncio.Lock()  # it is fair: a message that found room late is not overtaken
        self._room = asyncio.Event()
        self._news = asyncio.Event()

    async def put(self, message: bytes | None) -> None:
        """Add a message, or None for the end."""
        async with self._turn:
            while self._is_full and not self._is_closed:
                self._room.clear()
                await self._room.wait()
            if not self._is_closed:
                self._messages.append(message)
                self._bytes += len(message or b"")
                self._news.set()

    async def take(self) -> bytes | None:
        """The next message; None at the end."""
        while not self._messages:
            self._news.clear()
            await self._news.wait()
        message = self._messages.popleft()
        self._bytes -= len(message or b"")
        self._room.set()
        return message

    def close(self) -> None:
        """Nobody takes anything any more: what is put in is dropped."""
        self._is_closed = True
        self._room.set()

    @property
    def _is_full(self) -> bool:
        return len(self._messages) >= self._max_messages or self._bytes >= self._max_bytes
