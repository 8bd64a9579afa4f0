"""The events of one live session: numbered, kept for a while, followed by any number of clients."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import NamedTuple

from kata_cli.core.events import encode_json
from kata_cli.service.live_events import Reset, SessionEvent

MAX_EVENTS = 1024
MAX_BYTES = 4 * 1024 * 1024


class Logged(NamedTuple):
    """An event as it goes out. `data` is its JSON, `id` where a client that has seen it goes on."""

    id: str
    type: str
    data: bytes


class Log:
    """The latest events, at most `max_events` and `max_bytes` of them.

    `epoch` tells one life of the session from another, so that an id of an earlier one is known as such.
    Followers hold a place in the log and no copy of it: a slow one costs no memory, and learns by a `reset`
    that it has fallen out.
    """

    def __init__(self, epoch: str, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._epoch = epoch
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._kept: deque[Logged] = deque()
        self._kept_bytes = 0
        self._count = 0
        self._is_closed = False
        self._news = asyncio.Event()

    @property
    def last_id(self) -> str:
        """The id of the latest event; also before there is one."""
        return self._id(self._count)

    @property
    def next_id(self) -> str:
        """The id that the next event gets."""
        return self._id(self._count + 1)

    def append(self, event: SessionEvent) -> Logged:
        """Number an event and give it to all who follow."""
        self._count += 1
        logged = Logged(self.last_id, str(event.__struct_config__.tag), encode_json(event))
        self._kept.append(logged)
        self._kept_bytes += len(logged.data)
        while len(self._kept) > self._max_events or (
            self._kept_bytes > self._max_bytes and len(self._kept) > 1
        ):
            self._kept_bytes -= len(self._kept.popleft().data)
        self._wake()
        return logged

    def close(self) -> None:
        """Nothing more comes: those who follow end with what there is."""
        self._is_closed = True
        self._wake()

    async def follow(self, after: str) -> AsyncGenerator[list[Logged], None]:
        """What comes after an id, in batches of all that is there.

        An id that is not of this log, or whose followers are gone, gives a `reset` first.
        """
        place = self._place(after)
        while True:
            if place is None or place < self._first - 1:
                place = self._count
                yield [self._reset()]
            elif place < self._count:
                batch = self._after(place)
                place = self._count
                yield batch
            elif self._is_closed:
                return
            else:
                await self._news.wait()

    @property
    def _first(self) -> int:
        """The number of the oldest event that is kept."""
        return self._count - len(self._kept) + 1

    def _after(self, place: int) -> list[Logged]:
        skipped = place - self._first + 1
        return [self._kept[index] for index in range(skipped, len(self._kept))]

    def _place(self, event_id: str) -> int | None:
        epoch, _, number = event_id.rpartition(".")
        is_ours = epoch == self._epoch and number.isascii() and number.isdigit() and len(number) < 19
        return int(number) if is_ours and int(number) <= self._count else None

    def _reset(self) -> Logged:
        event = Reset(reason="events in between are no longer kept")
        return Logged(self.last_id, "reset", encode_json(event))

    def _id(self, number: int) -> str:
        return f"{self._epoch}.{number}"

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
