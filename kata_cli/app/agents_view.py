"""What is shown of a live session while it works: its events on stdout, or a line of progress on stderr."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from kata_cli.core.errors import Failure, document
from kata_cli.core.redact import Redactor
from kata_cli.core.text import one_line
from kata_cli.output.console import Sink
from kata_cli.output.figures import count, dollars, seconds
from kata_cli.output.lines import WIDTH
from kata_cli.output.machine import encode
from kata_cli.providers.service_client import Sent
from kata_cli.service.documents import LiveSession
from kata_cli.service.live_events import (
    Bye,
    Compacted,
    Done,
    Failed,
    Reset,
    Retrying,
    SessionEvent,
    ToolEvent,
)

BEAT_S = 30.0
INPUT_CHARS = 120
FLUSH_S = 0.2


class View:
    """Shows events as they come: `is_jsonl` as lines on stdout, and unless `is_quiet` progress on stderr."""

    def __init__(
        self, stdout: Sink, say: Callable[[str], None], redactor: Redactor, *, is_jsonl: bool, is_quiet: bool
    ) -> None:
        self._stdout = stdout
        self._say = say
        self._redactor = redactor
        self._is_jsonl = is_jsonl
        self._is_quiet = is_quiet
        self._session_id = ""
        self._begun_s: dict[str, float] = {}

    def begin(self, session: LiveSession, url: str) -> None:
        """Say which session is meant, and where it is."""
        self._session_id = session.id
        self._tell(one_line(f"{session.id} · {session.runtime_mode} {session.model} · {url}", WIDTH))

    async def show(self, sent: Sent[SessionEvent]) -> None:
        """Show an event; waits while the reader of stdout is behind."""
        if self._is_jsonl:
            self._stdout.write(self._line(sent))
            await self._stdout.room()
        if line := self._progress(sent.event):
            self._tell(one_line(line, WIDTH))

    def end(self, failure: Failure) -> None:
        """Where the service did not say how the turn ended: the last line for a program."""
        if self._is_jsonl:
            self._stdout.write(self._line(Sent("", Failed(error=document(failure)))))

    def end_now(self, failure: Failure) -> None:
        """The same from the watchdog, which ends the process."""
        self.end(failure)
        self._stdout.flush(FLUSH_S)

    async def beat(self) -> None:
        """Say every 30 s that the work goes on, for ever."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            await asyncio.sleep(BEAT_S)
            self._tell(f"still at work: {seconds(loop.time() - began_s)}")

    def _tell(self, line: str) -> None:
        if not self._is_quiet:
            self._say(line)

    def _line(self, sent: Sent[SessionEvent]) -> bytes:
        event = msgspec.to_builtins(sent.event)
        return encode(self._redactor.value({"id": sent.id, **event}))

    def _progress(self, event: SessionEvent) -> str:
        """What a person is told of an event, empty for most."""
        match event:
            case ToolEvent():
                return self._tool(event)
            case Retrying(error=error, delay_s=delay_s):
                return f"{error.code}: {error.message}; again in {seconds(delay_s)}"
            case Compacted():
                return f"compacted: {count(event.tokens_before)} -> {count(event.tokens_after)} tokens"
            case Done():
                return _summary(event)
            case Reset(reason=reason):
                return f"events were missed: {reason}"
            case Bye(reason=reason):
                return f"the service ended the stream: {reason}"
        return ""

    def _tool(self, event: ToolEvent) -> str:
        now_s = asyncio.get_running_loop().time()
        given = one_line(event.input, INPUT_CHARS)
        if event.state == "wanted":
            way = f"kata agents answer {self._session_id} {event.call_id}"
            return f"{event.tool} {given} wants its result: {way}"
        if event.state == "started":
            self._begun_s[event.call_id] = now_s
            return f"{event.tool} {given}"
        took_s = now_s - self._begun_s.pop(event.call_id, now_s)
        return f"{event.tool} {'failed' if event.is_error else event.state} · {seconds(took_s)}"


def _summary(done: Done) -> str:
    """The last line of a turn that has an answer."""
    parts = [done.model, seconds(done.duration_s)]
    if done.usage.total:
        parts.append(f"{count(done.usage.total)} tokens")
    return " · ".join(part for part in [*parts, dollars(done.usage.cost_usd)] if part)
