"""One attempt: a provider's answer to one request, watched for its end, its times and its usage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from io import StringIO

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContentDelta,
    Event,
    ReplyFailed,
    ReplyFinished,
    UsageReported,
)
from kata_cli.core.messages import ModelRef, Reply, Request, Usage, estimate_tokens, tokens_of_bytes
from kata_cli.core.ports import Clock, Provider


class Attempt:
    """Number `number` (from 1) of a task, with the exact request that leaves the process.

    `priced` adds the cost to a usage whose provider did not tell it.
    """

    def __init__(
        self,
        number: int,
        request: Request,
        clock: Clock,
        deadline_s: float | None,
        priced: Callable[[ModelRef, Usage], Usage] = lambda model, usage: usage,
    ) -> None:
        self.number = number
        self.request = request
        self._priced = priced
        self.is_refused = False
        self._end: ReplyFinished | ReplyFailed | None = None
        self._clock = clock
        self._deadline_s = deadline_s
        self.started_s = clock.monotonic()
        self._first_byte_s: float | None = None
        # A long answer comes in thousands of small pieces: as objects they would take ten times their text.
        self._seen = StringIO()
        self._seen_bytes = 0  # of thinking too
        self._has_tool_calls = False

    @property
    def remaining_s(self) -> float | None:
        """Seconds up to the deadline, which is on the clock's monotonic scale; None without one."""
        return None if self._deadline_s is None else self._deadline_s - self._clock.monotonic()

    async def relay(self, provider: Provider) -> AsyncGenerator[Event, None]:
        """All events of the answer but its last, which is kept in `end`."""
        events = provider.stream(self.request)
        try:
            while (event := await self._next(events)) is not None:
                yield event
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    @property
    def end(self) -> ReplyFinished | ReplyFailed:
        """How the answer ended; known once `relay` has been read to its end."""
        assert self._end is not None
        return self._end

    @property
    def failure(self) -> Failure | None:
        """Why there is no answer, once that is known."""
        return self._end.failure if isinstance(self._end, ReplyFailed) else None

    def refuse(self, failure: Failure) -> None:
        """End the attempt before it began: nothing was sent."""
        self.is_refused = True
        self._end = ReplyFailed(failure=failure)

    @property
    def has_content(self) -> bool:
        """Whether any part of an answer came: it was shown, and will be charged."""
        return self._has_tool_calls or self._seen_bytes > 0

    def started(self) -> AttemptStarted:
        return AttemptStarted(
            task=self.request.task, attempt=self.number, model=str(self.request.model), request=self.request
        )

    def failed(self, failure: Failure, delay_s: float | None) -> AttemptFailed:
        return AttemptFailed(task=self.request.task, attempt=self.number, failure=failure, delay_s=delay_s)

    def charged(self) -> Usage | None:
        """What the attempt cost, by estimate where the provider does not say; None if it was refused.

        An attempt that was broken off from here is charged for what had been sent and seen.
        """
        reported = self._reported()
        if reported is None and not self._is_charged:
            return None
        return self._priced(self.request.model, reported or self._estimate())

    def usage(self) -> UsageReported | None:
        """The same as an event, with who answered and how; for an attempt that has ended."""
        usage = self.charged()
        if usage is None:
            return None
        reply = self.end.reply if isinstance(self.end, ReplyFinished) else None
        return UsageReported(
            task=self.request.task,
            attempt=self.number,
            usage=usage,
            model=self._answered_by(reply),
            thinking=reply.thinking if reply else "",
            host=reply.host if reply else "",
            stop=reply.stop if reply else "",
            request_id=reply.request_id if reply else None,
            is_estimated=self._reported() is None,
            duration_s=self._clock.monotonic() - self.started_s,
            first_byte_s=self._first_byte_s,
        )

    def _answered_by(self, reply: Reply | None) -> str:
        """The model as the provider reports it, else the one that was asked."""
        asked = self.request.model
        return str(ModelRef(asked.provider, reply.model) if reply and reply.model else asked)

    @property
    def _is_charged(self) -> bool:
        return self.has_content or not isinstance(self._end, ReplyFailed)

    def _reported(self) -> Usage | None:
        match self._end:
            case ReplyFinished(reply=reply):
                usage: Usage | None = reply.usage
            case ReplyFailed(usage=usage):
                pass
            case None:
                return None
        return usage if usage is not None and usage.total else None

    def _estimate(self) -> Usage:
        seen_bytes = self._seen_bytes
        if isinstance(self._end, ReplyFinished):
            reply = self._end.reply
            seen_bytes = seen_bytes or _size(reply.text)
            seen_bytes += sum(_size(call.arguments) for call in reply.calls)
        return Usage(input=estimate_tokens(self.request.prompt), output=tokens_of_bytes(seen_bytes))

    async def _next(self, events: AsyncIterator[Event]) -> Event | None:
        try:
            async with asyncio.timeout(self.remaining_s) as limit:
                event = await anext(events, None)
        except TimeoutError:
            if not limit.expired():
                raise
            event = self._broken("timeout", f"no complete answer within {self.request.timeout_s:g} s")
        if event is None:
            event = self._broken("provider_unavailable", "the answer ended before it was complete")
        return self._note(event)

    def _broken(self, code: str, message: str) -> ReplyFailed:
        return ReplyFailed(failure=Failure(code=code, message=message), seen=self._seen.getvalue())

    def _note(self, event: Event) -> Event | None:
        if isinstance(event, ReplyFailed):
            self._end = msgspec.structs.replace(event, failure=self._addressed(event.failure))
            return None
        if self._first_byte_s is None:
            self._first_byte_s = self._clock.monotonic() - self.started_s
        if isinstance(event, ReplyFinished):
            self._end = event
            return None
        if isinstance(event, ContentDelta):
            self._seen_bytes += _size(event.text)
            self._seen.write(event.text if event.kind == "text" else "")
        else:
            self._has_tool_calls = True
        return event

    def _addressed(self, failure: Failure) -> Failure:
        model = self.request.model
        return msgspec.structs.replace(
            failure, provider=failure.provider or model.provider, model=failure.model or str(model)
        )


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
