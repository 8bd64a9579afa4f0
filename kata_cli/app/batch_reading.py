"""The lines of a batch handed out one by one while others are at work: reading never holds those up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kata_cli.app.batch_source import Entry
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.stop import Stop


class Reading:
    """Lines as they are asked for. `is_done` once all are read, `failure` when there is no reading on."""

    def __init__(self, entries: Iterator[list[Entry]], stop: Stop, *, is_inline: bool) -> None:
        self.is_done = False
        self.failure: Failure | None = None
        self._entries = entries
        self._stop = stop
        self._is_inline = is_inline
        self._ahead: deque[Entry] = deque()
        # A read that hangs must hold up nothing else.
        self._thread = ThreadPoolExecutor(1)

    async def next(self) -> Entry | None:
        """The next line; none at the end, after a stop, or when there is no reading on."""
        while not self._ahead and await self._has_more():
            pass
        return self._ahead.popleft() if self._ahead else None

    async def _has_more(self) -> bool:
        try:
            entries = self._read() if self._is_inline else await self._read_or_stopped()
        except KataError as error:
            self.failure = error.failure
            return False
        self._ahead += entries or []
        self.is_done = entries is None and not self._stop.is_set
        return entries is not None

    async def _read_or_stopped(self) -> list[Entry] | None:
        """The lines of one read; None at the end, or when a stop came first: it is left to its thread."""
        reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        stopped = asyncio.ensure_future(self._stop.wait())
        parts: list[asyncio.Future[Any]] = [reading, stopped]
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if reading.done():
            return reading.result()
        reading.cancel()
        return None

    def _read(self) -> list[Entry] | None:
        return next(self._entries, None)
