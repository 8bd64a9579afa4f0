"""One answer of a model on its way to a session's events: cleaned of secrets, and summed up in the end.

Text that comes faster than anybody reads is put together: the first piece goes out at once, what follows
within `GATHER_S` shares an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from io import StringIO
from itertools import groupby
from typing import cast

from kata_cli.core.errors import Failure, KataError, document
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContentDelta,
    Event,
    ReplyFailed,
    ReplyFinished,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from kata_cli.core.messages import Reply, Request, ToolCall, Usage
from kata_cli.core.redact import Redactor, StreamRedactor
from kata_cli.core.session import MessageEntry, ToolStep
from kata_cli.service.live_events import Delta, Retrying, SessionEvent, ToolEvent
from kata_cli.service.workplace import Workplace

GATHER_S = 0.01
MAX_STEPS = 100
STEP_CHARS = 2_000


class Answer:
    """One answer while it comes. `partial` is the text so far, as far as it has been shown."""

    def __init__(self, place: Workplace, publish: Callable[[SessionEvent], object]) -> None:
        self.usage = Usage()
        self.model = ""
        self._place = place
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._gathered: list[ContentDelta] = []
        self._timer: asyncio.TimerHandle | None = None
        self._told_s = -GATHER_S
        self._shown = StringIO()
        self._streams: dict[str, StreamRedactor] = {}
        self._steps: dict[str, ToolStep] = {}
        self._end: ReplyFinished | ReplyFailed | None = None

    @property
    def partial(self) -> str:
        return self._shown.getvalue()

    async def ask(self, request: Request) -> MessageEntry:
        """Publish the answer as it comes, and return it whole. Raises `KataError` when there is none."""
        stream = cast(AsyncGenerator[Event, None], self._place.backend.provider.stream(request))
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    self._take(event)
        finally:
            self._tell_gathered()
        if isinstance(self._end, ReplyFinished):
            return self._message(self._end.reply)
        failure = self._end.failure if self._end else Failure(code="interrupted", message="it was broken off")
        raise KataError.of(failure)

    def broken_off(self) -> MessageEntry | None:
        """What had come of an answer that did not get to its end; None for nothing."""
        if not self.partial.strip():
            return None
        return MessageEntry(role="assistant", text=self.partial, is_error=True, model=self.model)

    def _message(self, reply: Reply) -> MessageEntry:
        redact = self._place.redactor.text
        return MessageEntry(
            role="assistant",
            text=redact(reply.text),
            calls=tuple(_without_secrets(call, self._place.redactor) for call in reply.calls),
            model=self.model,
            stop=reply.stop,
            usage=self.usage,
            steps=tuple(self._steps.values()),
        )

    def _take(self, event: Event) -> None:
        if isinstance(event, ContentDelta):
            self._gathered.append(event)
            if self._loop.time() - self._told_s >= GATHER_S:
                self._tell_gathered()
            elif self._timer is None:
                self._timer = self._loop.call_later(GATHER_S, self._tell_gathered)
            return
        self._tell_gathered()
        for shown in self._show(event):
            self._publish(shown)

    def _tell_gathered(self) -> None:
        """Give out the text that has been gathered, thinking and answer apart."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered = self._gathered, []
        for kind, deltas in groupby(gathered, lambda delta: delta.kind):
            for shown in self._clean(kind, "".join(delta.text for delta in deltas)):
                self._publish(shown)
        self._told_s = self._loop.time()

    def _show(self, event: Event) -> Iterator[SessionEvent]:
        match event:
            case ToolStarted() | ToolFinished():
                yield self._tool(event)
            case AttemptStarted(model=model):
                self.model = model
            case AttemptFailed(failure=failure, delay_s=float() as delay_s):
                self._begin_again()
                yield Retrying(error=document(failure, self._place.runtime_mode), delay_s=delay_s)
            case UsageReported(usage=usage):
                self.usage += usage
            case ReplyFinished() | ReplyFailed():
                self._end = event
                yield from self._flush()

    def _clean(self, kind: str, text: str) -> Iterator[Delta]:
        if kind not in self._streams:
            self._streams[kind] = self._place.redactor.stream()
        yield from self._given(kind, self._streams[kind].feed(text))

    def _flush(self) -> Iterator[Delta]:
        for kind, stream in self._streams.items():
            yield from self._given(kind, stream.flush())

    def _given(self, kind: str, text: str) -> Iterator[Delta]:
        if text and kind == "text":
            self._shown.write(text)
        if text:
            yield Delta(text=text, kind="thinking" if kind == "thinking" else "text")

    def _tool(self, event: ToolStarted | ToolFinished) -> ToolEvent:
        redact = self._place.redactor.text
        if isinstance(event, ToolStarted):
            given = redact(event.input[:STEP_CHARS])
            if len(self._steps) < MAX_STEPS:
                self._steps[event.call_id] = ToolStep(tool=event.tool, input=given)
            return ToolEvent(state="started", call_id=event.call_id, tool=event.tool, input=given)
        output = redact(event.output[:STEP_CHARS])
        if begun := self._steps.get(event.call_id):
            done = ToolStep(tool=begun.tool, input=begun.input, output=output, is_error=event.is_error)
            self._steps[event.call_id] = done
        return ToolEvent(
            state="finished",
            call_id=event.call_id,
            tool=event.tool,
            output=output,
            is_error=event.is_error,
        )

    def _begin_again(self) -> None:
        """What came of an attempt that failed does not belong to the answer."""
        self._shown = StringIO()
        self._streams.clear()
        self._steps.clear()


def _without_secrets(call: ToolCall, redactor: Redactor) -> ToolCall:
    return ToolCall(id=call.id, name=call.name, arguments=redactor.text(call.arguments))
