"""Tool calls that a client is asked to make, and the wait for what comes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kata_cli.core.messages import ToolCall
from kata_cli.core.session import MessageEntry
from kata_cli.service import errors
from kata_cli.service.documents import ToolResult
from kata_cli.service.live_events import SessionEvent, ToolEvent


class WantedCalls:
    """The calls of one session that wait; each for `limit_s` at most."""

    def __init__(self, limit_s: float, publish: Callable[[SessionEvent], object]) -> None:
        self._limit_s = limit_s
        self._publish = publish
        self._waiting: dict[str, tuple[ToolCall, asyncio.Future[ToolResult]]] = {}

    @property
    def calls(self) -> list[ToolCall]:
        return [call for call, _ in self._waiting.values()]

    async def ask(self, call: ToolCall) -> MessageEntry:
        """What the client says came of a call; silence for too long is a failed call."""
        awaited: asyncio.Future[ToolResult] = asyncio.get_running_loop().create_future()
        self._waiting[call.id] = (call, awaited)
        self._publish(ToolEvent(state="wanted", call_id=call.id, tool=call.name, input=call.arguments))
        try:
            async with asyncio.timeout(self._limit_s):
                result = await awaited
        except TimeoutError:
            told = f"no result came within {self._limit_s:g} s"
            result = ToolResult(call_id=call.id, output=told, is_error=True)
        finally:
            del self._waiting[call.id]
        is_error = result.is_error
        self._publish(ToolEvent(state="answered", call_id=call.id, tool=call.name, is_error=is_error))
        return MessageEntry(role="tool", text=result.output, call_id=call.id, is_error=is_error)

    def take(self, result: ToolResult) -> None:
        """Hand in a result. Raises `KataError` usage when nobody waits for it."""
        _, awaited = self._waiting.get(result.call_id, (None, None))
        if awaited is None or awaited.done():
            raise errors.not_waiting(f"no tool call {result.call_id[:80]!r} is waiting for its result")
        awaited.set_result(result)
