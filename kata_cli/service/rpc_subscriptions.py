"""The sessions whose events one WebSocket is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from kata_cli.service import rpc
from kata_cli.service.errors import bad_request
from kata_cli.service.log import Logged
from kata_cli.service.rpc_outgoing import Outgoing
from kata_cli.service.sessions import Sessions


class Subscriptions:
    """A task for each session, which follows its events and puts them out."""

    def __init__(self, sessions: Sessions, outgoing: Outgoing) -> None:
        self._sessions = sessions
        self._outgoing = outgoing
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, session_id: str, after: str) -> rpc.Subscribed:
        """Tell the events of a session that come after one, or from now on. Raises `KataError`."""
        if session_id in self._tasks:
            raise bad_request(f"the events of {session_id} are told already: unsubscribe first")
        batches = await self._sessions.follow(session_id, after or None)
        self._tasks[session_id] = asyncio.create_task(self._tell(session_id, batches))
        return rpc.Subscribed(last_event_id=self._sessions.get(session_id).last_event_id)

    async def end(self, session_id: str) -> None:
        """Tell nothing more of a session."""
        if task := self._tasks.pop(session_id, None):
            await _cancelled(task)

    async def ended(self) -> None:
        """Wait until all have come to their own end."""
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def aclose(self) -> None:
        await asyncio.gather(*(self.end(session_id) for session_id in list(self._tasks)))

    async def _tell(self, session_id: str, batches: AsyncGenerator[list[Logged], None]) -> None:
        async with aclosing(batches):
            async for batch in batches:
                for logged in batch:
                    await self._outgoing.put(rpc.event(session_id, logged))
        del self._tasks[session_id]


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
