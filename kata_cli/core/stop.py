"""The one thing that flows against the stream: a wish to stop, with its reason."""

from __future__ import annotations

import asyncio

from kata_cli.core.errors import Failure


class Stop:
    """Set once; later reasons are ignored. Must be set from the loop's own thread."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self._event = asyncio.Event()

    def request(self, failure: Failure) -> None:
        if self.failure is None:
            self.failure = failure
            self._event.set()

    @property
    def is_set(self) -> bool:
        return self.failure is not None

    async def wait(self) -> Failure:
        """Return the reason once there is one."""
        await self._event.wait()
        assert self.failure is not None
        return self.failure
