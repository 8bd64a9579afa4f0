"""The WebSocket of the service: one connection for many sessions, from its first message to its close code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from kata_cli.core.clock import stamp
from kata_cli.service import rpc
from kata_cli.service.race import race
from kata_cli.service.rpc_outgoing import Outgoing
from kata_cli.service.rpc_subscriptions import Subscriptions
from kata_cli.service.sessions import Sessions
from kata_cli.service.token import is_same


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one connection. One that takes nothing for `slow_s` is closed, and can go on by `after`."""

    auth_s: float = 5.0
    heartbeat_s: float = 15.0
    slow_s: float = 30.0
    close_s: float = 5.0
    bye_s: float = 0.5
    max_requests: int = 32
    max_waiting: int = 256
    max_waiting_bytes: int = 1024 * 1024


class End(NamedTuple):
    """Why a connection ends (RFC 6455, section 7.4); without a code the client has left."""

    code: int
    reason: str


LEFT = End(0, "the client has left")
NO_TOKEN = End(4401, "the first message must be auth with the service token")
GOING_AWAY = End(1001, "the service is stopping")
SLOW = End(1013, "too slow: connect again and subscribe after the last event seen")


class Sockets:
    """The connections of a service. `token` is what clients show that did not do so in the handshake."""

    def __init__(self, sessions: Sessions, token: str, limits: SocketLimits | None = None) -> None:
        self._sessions = sessions
        self._token = token
        self._limits = limits or SocketLimits()
        self._stopping = asyncio.Event()
        self._open: set[asyncio.Task[Any]] = set()

    async def serve(self, websocket: WebSocket) -> None:
        """One connection. An `Authorization` in its handshake has been checked before (see `guard`)."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            connection = Connection(websocket, self._sessions, self._token, self._limits, self._stopping)
            await connection.run()
        finally:
            self._open.discard(task)

    async def aclose(self) -> None:
        """Tell all clients that the service is stopping, once the events of its sessions are at their end."""
        self._stopping.set()
        if self._open:
            await asyncio.wait(self._open)


class Connection:
    """One client. Requests are done side by side; what the connection itself is asked for, in order."""

    def __init__(
        self,
        websocket: WebSocket,
        sessions: Sessions,
        token: str,
        limits: SocketLimits,
        stopping: asyncio.Event,
    ) -> None:
        self._websocket = websocket
        self._sessions = sessions
        self._token = token
        self._limits = limits
        self._stopping = stopping
        self._outgoing = Outgoing(limits.max_waiting, limits.max_waiting_bytes)
        self._subscriptions = Subscriptions(sessions, self._outgoing)
        self._slots = asyncio.Semaphore(limits.max_requests)

    async def run(self) -> None:
        """Serve until either side ends it. What was asked is done to its end, also for one who has left."""
        async with asyncio.TaskGroup() as requests:
            try:
                await self._websocket.accept()
                end = await self._talk(requests) if await self._is_known() else NO_TOKEN
            except WebSocketDisconnect:
                end = LEFT
            self._outgoing.close()
            await self._subscriptions.aclose()
            await self._close(end)

    async def _is_known(self) -> bool:
        if "authorization" in self._websocket.headers:
            return True
        try:
            async with asyncio.timeout(self._limits.auth_s):
                call = rpc.decode(await self._receive())
            ...
