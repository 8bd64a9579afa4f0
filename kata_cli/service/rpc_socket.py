"""One connection of the WebSocket, for many sessions: from its first message to its close code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from kata_cli.core.clock import stamp
from kata_cli.service import rpc
from kata_cli.service.documents import Nothing
from kata_cli.service.hang_up import hang_up
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
    close_s: float = 0.5
    bye_s: float = 0.5
    max_requests: int = 32
    max_waiting: int = 256
    max_waiting_bytes: int = 1024 * 1024


class End(NamedTuple):
    """Why a connection ends, as its close code tells (RFC 6455, section 7.4)."""

    code: int
    reason: str


NO_TOKEN = End(4401, "the first message must be auth with the service token")
GOING_AWAY = End(1001, "the service is stopping")
SLOW = End(1013, "too slow: connect again, and subscribe after the last event seen")


class Connection:
    """One client. Requests are done side by side; what is asked of the connection itself, in order."""

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
        self._own: dict[str, Callable[[object], Awaitable[msgspec.Struct]]] = {
            "auth": self._auth,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "ping": self._ping,
        }

    async def run(self) -> None:
        """Serve until either side ends it. What was asked is done to its end, also for a client that left."""
        await self._websocket.accept()
        async with asyncio.TaskGroup() as requests:
            with suppress(WebSocketDisconnect):
                await self._close(await self._talk(requests))

    async def _talk(self, requests: asyncio.TaskGroup) -> End:
        try:
            return await race(self._read(requests), self._write(), self._beat(), self._leave())
        finally:
            self._outgoing.close()
            await self._subscriptions.aclose()

    async def _read(self, requests: asyncio.TaskGroup) -> End:
        if not await self._is_known():
            return NO_TOKEN
        while True:
            data = await self._receive()
            try:
                await self._take(rpc.decode(data), requests)
            except rpc.RpcError as refused:
                await self._outgoing.put(rpc.error(refused))

    async def _is_known(self) -> bool:
        """Whether the client shows the token: in the handshake, where `guard` checks it, or first of all."""
        if "authorization" in self._websocket.headers:
            return True
        try:
            async with asyncio.timeout(self._limits.auth_s):
                call = rpc.decode(await self._receive())
            is_known = call.method == "auth" and self._has_token(call.params)
        except (TimeoutError, rpc.RpcError):
            return False
        if is_known:
            await self._reply(call, self._auth(call.params))
        return is_known

    async def _take(self, call: rpc.Call, requests: asyncio.TaskGroup) -> None:
        if do := self._own.get(call.method):
            await self._reply(call, do(call.params))
        else:
            await self._slots.acquire()
            requests.create_task(self._perform(call))

    async def _perform(self, call: rpc.Call) -> None:
        try:
            await self._reply(call, rpc.perform(call, self._sessions))
        finally:
            self._slots.release()

    async def _reply(self, call: rpc.Call, doing: Awaitable[object]) -> None:
        answer = await rpc.answer(call, doing, self._sessions.place)
        if answer is not None:
            await self._outgoing.put(answer)

    async def _write(self) -> End:
        while (message := await self._outgoing.take()) is not None:
            try:
                async with asyncio.timeout(self._limits.slow_s):
                    await self._websocket.send_text(message.decode())
            except (TimeoutError, RuntimeError):  # the latter when uvicorn itself has given up on the client
                return SLOW
        return GOING_AWAY

    async def _beat(self) -> End:
        while True:
            await asyncio.sleep(self._limits.heartbeat_s)
            await self._outgoing.put(rpc.notification("heartbeat", self._now()))

    async def _leave(self) -> End:
        """Once the service stops: let the events come to their end, and all that waits be sent."""
        await self._stopping.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.bye_s):
                await self._subscriptions.ended()
                await self._outgoing.put(None)
                await asyncio.sleep(self._limits.bye_s)  # `_write` ends first when it comes to the None
        return GOING_AWAY

    async def _close(self, end: End) -> None:
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self._websocket.close(end.code, end.reason)
        except (TimeoutError, RuntimeError):
            hang_up(self._websocket.scope)

    async def _receive(self) -> bytes:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        return message.get("bytes") or str(message.get("text") or "").encode()

    async def _auth(self, params: object) -> rpc.Time:
        if not self._has_token(params):
            raise rpc.RpcError(rpc.INVALID_PARAMS, "the service token is wrong")
        return self._now()

    async def _subscribe(self, params: object) -> rpc.Subscribed:
        asked = rpc.arguments(params, rpc.Subscribe)
        return await self._subscriptions.begin(asked.session, asked.after)

    async def _unsubscribe(self, params: object) -> rpc.Time:
        await self._subscriptions.end(rpc.arguments(params, rpc.Unsubscribe).session)
        return self._now()

    async def _ping(self, params: object) -> rpc.Time:
        rpc.arguments(params, Nothing)
        return self._now()

    def _has_token(self, params: object) -> bool:
        return is_same(rpc.arguments(params, rpc.Auth).token, self._token)

    def _now(self) -> rpc.Time:
        return rpc.Time(ts=stamp(self._sessions.place.clock.time()))
