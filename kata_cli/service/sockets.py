"""All WebSockets of a service: each is served by itself, and all are told when it stops."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.websockets import WebSocket

from kata_cli.service.rpc_socket import Connection, SocketLimits
from kata_cli.service.sessions import Sessions


class Sockets:
    """The endpoint of `/api/ws`. `token` is for clients that showed none in the handshake."""

    def __init__(self, sessions: Sessions, token: str, limits: SocketLimits | None = None) -> None:
        self._sessions = sessions
        self._token = token
        self._limits = limits or SocketLimits()
        self._stopping = asyncio.Event()
        self._open: set[asyncio.Task[Any]] = set()

    async def serve(self, websocket: WebSocket) -> None:
        """One connection; what its handshake says has been checked before (see `guard`)."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            connection = Connection(websocket, self._sessions, self._token, self._limits, self._stopping)
            await connection.run()
        finally:
            self._open.discard(task)

    async def aclose(self) -> None:
        """End all connections, once the sessions have been let go: their last events are sent first.

        What a client has asked for and still waits for is given up.
        """
        self._stopping.set()
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=self._limits.bye_s + self._limits.close_s)
            for task in late:
                task.cancel()
