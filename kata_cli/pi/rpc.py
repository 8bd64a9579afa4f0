"""The client side of Pi's RPC: commands out, answers and events in. It does no I/O of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.jsonl import MAX_LINE_BYTES, LineDecoder
from kata_cli.core.text import one_line
from kata_cli.pi import wire
from kata_cli.pi.wire import Frame

T = TypeVar("T")

COMMAND_S = 10.0
MAX_WARNINGS = 20
# Requests of extensions that only show something. Any other blocks the run until it is answered.
_SHOWING = frozenset({"notify", "setStatus", "setWidget", "setTitle", "set_editor_text"})


class Listener(Protocol):
    """Takes the events of a run; `is_full` while it cannot take more."""

    @property
    def is_full(self) -> bool: ...

    def feed(self, frame: Frame) -> None: ...

    def fail(self, failure: Failure) -> None: ...


class Rejected(KataError):
    """Pi answered a command with an error, whose text is `reason`."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__("invalid_request", f"Pi refused {command}: {one_line(reason, 300)}")
        self.reason = reason


class _Call(NamedTuple):
    command: str
    answer: asyncio.Future[msgspec.Raw]


class Rpc:
    """One conversation over a pair of byte streams.

    `send` takes whole lines. `warnings` holds the first few odd lines that came, `oddities` counts them all.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        *,
        command_s: float = COMMAND_S,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.listener: Listener | None = None
        self.failure: Failure | None = None
        self.warnings: list[str] = []
        self.oddities = 0
        self._send = send
        self._command_s = command_s
        self._decoder = LineDecoder(max_line_bytes)
        self._calls: dict[str, _Call] = {}
        self._sent = 0

    async def call(
        self, command: str, fields: dict[str, Any] | None = None, *, within_s: float | None = None
    ) -> msgspec.Raw:
        """The data of Pi's answer. Raises `Rejected`, or `KataError`: timeout, or what ended the process."""
        if self.failure is not None:
            raise KataError.of(self.failure)
        limit_s = self._command_s if within_s is None else within_s
        number = self._number()
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._calls[number] = _Call(command, answer)
        self._write({"id": number, "type": command, **(fields or {})})
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await answer
        except TimeoutError:
            if not limit.expired():
                raise
            raise KataError("timeout", f"Pi did not answer {command} within {limit_s:g} s") from None
        finally:
            self._calls.pop(number, None)

    async def ask(
        self,
        command: str,
        kind: type[T],
        fields: dict[str, Any] | None = None,
        *,
        within_s: float | None = None,
    ) -> T:
        """`call`, with the answer decoded; one of another kind is a `KataError` agent_unavailable."""
        answer = wire.decode(await self.call(command, fields, within_s=within_s), kind)
        if answer is None:
            raise KataError("agent_unavailable", f"Pi's answer to {command} cannot be read", "kata doctor")
        return answer

    def feed(self, data: bytes) -> None:
        """Take what arrived. Raises `LineTooLong`."""
        for line in self._decoder.feed(data):
            self._take(line)

    def fail(self, failure: Failure) -> None:
        """The process is gone or useless: all that wait are told at once, and all that call later."""
        if self.failure is not None:
            return
        self.failure = failure
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(KataError.of(failure))
        if self.listener is not None:
            self.listener.fail(failure)

    def _number(self) -> str:
        self._sent += 1
        return f"k{self._sent}"

    def _write(self, record: dict[str, Any]) -> None:
        self._send(msgspec.json.encode(record) + b"\n")

    def _take(self, line: bytes) -> None:
        frame = wire.frame(line)
        if frame is None:
            self._warn("not a record", line)
        elif frame.type == "response":
            self._answer(frame, line)
        elif frame.type == "extension_ui_request":
            self._decline(frame)
        elif self.listener is not None:
            self.listener.feed(frame)

    def _answer(self, frame: Frame, line: bytes) -> None:
        call = self._call_of(frame)
        if call is None or call.answer.done():
            self._warn("an answer to nothing asked", line)
        elif frame.success is True:
            call.answer.set_result(frame.data)
        else:
            call.answer.set_exception(Rejected(call.command, str(frame.error or "no reason given")))

    def _call_of(self, frame: Frame) -> _Call | None:
        """The call that an answer belongs to; up to 0.79.6 an unknown command is refused without its id."""
        if frame.id is not None:
            call = self._calls.get(frame.id) if isinstance(frame.id, str) else None
            return call if call and frame.command in (call.command, None) else None
        if frame.success is True:
            return None
        return next((call for call in self._calls.values() if call.command == frame.command), None)

    def _decline(self, frame: Frame) -> None:
        """Nobody is there to answer a dialog, and Pi waits for ever, even when told to abort."""
        if frame.method not in _SHOWING:
            self._write({"type": "extension_ui_response", "id": frame.id, "cancelled": True})

    def _warn(self, what: str, line: bytes) -> None:
        self.oddities += 1
        if len(self.warnings) < MAX_WARNINGS:
            shown = one_line(line[:400].decode("utf-8", "replace"), 100)
            self.warnings.append(f"Pi wrote {what}: {shown}")
