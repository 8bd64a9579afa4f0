"""Many writers, one reader: the queue in which the tasks' events become one stream."""

from __future__ import annotations

import asyncio
from collections import deque

from kata_cli.core.events import Event

CAPACITY = 1_024


class MergeQueue:
    """A bounded list with one wake future; the reader takes all that is there at once.

    Taking whole batches is what gives group commit in the journal. `put` waits for room, `put_last` never
    does: the end of a task must not be held up by a slow reader.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._items: list[Event] = []
        self._capacity = capacity
        self._is_closed = False
        self._reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()

    async def put(self, event: Event) -> None:
        while len(self._items) >= self._capacity:
            room = asyncio.get_running_loop().create_future()
            self._writers.append(room)
            await room
        self.put_last(event)

    def put_last(self, event: Event) -> None:
        self._items.append(event)
        self._wake_reader()

    async def take(self) -> list[Event]:
        """All waiting events, at least one; [] once the queue is closed and empty."""
        while not self._items and not self._is_closed:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        batch, self._items = self._items, []
        while self._writers:
            writer = self._writers.popleft()
            if not writer.done():
                writer.set_result(None)
        return batch

    def close(self) -> None:
        self._is_closed = True
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
