"""One request on its way through one session of a service: its events in, the events of a run out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from urllib.parse import quote

import msgspec

from kata_cli.core.errors import MEANINGS, Exit, Failure, KataError
from kata_cli.core.events import ContentDelta, Event, ReplyFailed, ReplyFinished, ToolFinished, ToolStarted
from kata_cli.core.messages import Reply, Request
from kata_cli.core.ports import Timeouts
from kata_cli.pi.prompt import prompt_text
from kata_cli.providers.exchange import Limits
from kata_cli.providers.remote_wire import (
    KINDS,
    Create,
    Delta,
    Done,
    Ended,
    Error,
    Failed,
    Nothing,
    Retry,
    Send,
    Session,
    Tool,
    TurnEvent,
)
from kata_cli.providers.service_client import Sent, ServiceClient

STOP_S = 1.0

# What the statuses of the service mean for one request of a run; a new session may do better after some.
_BY_STATUS = {
    404: "provider_unavailable",
    409: "provider_unavailable",
    413: "context_too_long",
    429: "rate_limited",
}
# Failures of a provider end so; any other speaks of the process at the other end.
_EXITS = frozenset({Exit.AUTH, Exit.PROVIDER, Exit.UNAVAILABLE, Exit.LIMIT, Exit.INVALID_OUTPUT})


class RemoteTurn:
    """Faults of the service become the failure of the request."""

    def __init__(self, client: ServiceClient, request: Request, timeouts: Timeouts) -> None:
        self._client = client
        self._request = request
        self._limits = Limits(timeouts, request.timeout_s)
        self._session: Session | None = None
        self._events: AsyncGenerator[Sent[TurnEvent], None] | None = None
        self._last_id = ""
        self._has_reconnected = False
        self._was_retried = False
        self._new: list[Event] = []
        self._partial: list[str] = []
        self._done: Done | None = None
        self._failure: Failure | None = None

    @property
    def is_over(self) -> bool:
        return self._done is not None or self._failure is not None

    async def advance(self) -> None:
        """One step: the session, then one event at a time."""
        try:
            if self._session is None:
                self._session = await self._limits.first_byte(self._create())
                self._last_id = self._session.last_event_id
            elif self._events is None:
                self._events = self._stream(Send(prompt_text(self._request)))
            else:
                await self._limits.idle(self._next(self._events))
        except KataError as error:
            self._failure = self._addressed(error.failure)

    def take(self) -> list[Event]:
        taken, self._new = self._new, []
        return taken

    async def aclose(self) -> None:
        """Leave the session, whatever became of it; it stays on the service's disk."""
        if self._events is not None:
            await self._events.aclose()
        if self._session is not None:
            # A second cancellation must not leave the agent at work.
            await asyncio.shield(asyncio.create_task(self._stop()))

    def ending(self) -> list[Event]:
        """The text and the terminal event."""
        text = self._done.text if self._done else "".join(self._partial)
        shown: list[Event] = [ContentDelta(task=self._request.task, text=text)] if text else []
        if self._failure is None and not text.strip():
            self._failure = self._failed("invalid_output", f"{self._client.host} sent an answer without text")
        if self._failure is not None:
            usage = self._done.usage if self._done else None
            return [*shown, ReplyFailed(failure=self._failure, seen=text, usage=usage)]
        assert self._done is not None
        assert self._session is not None
        reply = Reply(
            text=text,
            model=self._done.model.removeprefix(f"{self._request.model.provider}/") or self._request.model.id,
            thinking=self._session.thinking,
            stop=self._done.stop,
            usage=self._done.usage,
        )
        return [*shown, ReplyFinished(reply=reply)]

    async def _create(self) -> Session:
        request = self._request
        if request.temperature is not None:
            raise KataError("invalid_request", "Pi takes no temperature", "leave out --temperature")
        asked = Create(f"kata run: {request.task}", str(request.model), request.thinking or "")
        return await self._client.post("/api/sessions/create", asked, Session)

    def _stream(self, asked: object, after: str | None = None) -> AsyncGenerator[Sent[TurnEvent], None]:
        return self._client.stream(self._path("stream"), KINDS, asked=asked, after=after)

    async def _next(self, events: AsyncGenerator[Sent[TurnEvent], None]) -> None:
        """Take in one event. A connection that breaks is made once more, to go on after the last event."""
        try:
            sent = await anext(events, None)
            if sent is None or isinstance(sent.event, Ended):
                raise KataError("provider_unavailable", self._told(sent), "kata agents list")
        except KataError as error:
            if self._has_reconnected or error.failure.status is not None:
                raise
            self._has_reconnected = True
            self._events = self._stream(Nothing(), self._last_id)
            await events.aclose()
        else:
            if sent.id != self._last_id:
                self._last_id = sent.id
                self._take_in(sent.event)

    def _told(self, sent: Sent[TurnEvent] | None) -> str:
        reason = f": {sent.event.reason}" if sent and isinstance(sent.event, Ended) else ""
        return f"{self._client.host} ended the stream before the answer was complete{reason}"

    def _take_in(self, event: TurnEvent) -> None:
        task = self._request.task
        match event:
            case Delta(kind="thinking"):
                self._new.append(ContentDelta(task=task, text=event.text, kind="thinking"))
            case Delta():
                self._partial.append(event.text)
            case Retry():
                self._was_retried = True
                self._partial.clear()
            case Tool(state="started"):
                self._think_aloud()
                shown = ToolStarted(task=task, tool=event.tool, call_id=event.call_id, input=event.input)
                self._new.append(shown)
            case Tool(state="finished"):
                ended = ToolFinished(
                    task=task, tool=event.tool, call_id=event.call_id, is_error=event.is_error
                )
                self._new.append(ended)
            case Done():
                self._done = event
            case Failed(error=error):
                self._failure = self._of_agent(error)

    def _think_aloud(self) -> None:
        """What was said before a tool was called is no part of the answer."""
        if text := "".join(self._partial):
            self._new.append(ContentDelta(task=self._request.task, text=text, kind="thinking"))
        self._partial.clear()

    async def _stop(self) -> None:
        with contextlib.suppress(KataError, TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._client.post(self._path("stop"), Nothing(), Session)

    def _path(self, action: str) -> str:
        assert self._session is not None
        return f"/api/sessions/{quote(self._session.id, safe='')}/{action}"

    def _addressed(self, failure: Failure) -> Failure:
        """A refusal of the service, as one of the request that was on its way."""
        model, status = self._request.model, failure.status
        code = _BY_STATUS.get(status or 0) or _code_of(failure.code)
        if code != failure.code:
            failure = msgspec.structs.replace(failure, should_retry=None)
        if code == "provider_unavailable" and status in _BY_STATUS:
            status = None
        return msgspec.structs.replace(
            failure, code=code, status=status, provider=model.provider, model=str(model)
        )

    def _of_agent(self, error: Error) -> Failure:
        """Why the agent has no answer. What the service has already tried again is not tried once more."""
        failure = self._failed(_code_of(error.code), error.message)
        return msgspec.structs.replace(
            failure,
            remediation=error.remediation,
            request_id=error.request_id,
            should_retry=False if self._was_retried else None,
        )

    def _failed(self, code: str, message: str) -> Failure:
        model = self._request.model
        return Failure(code=code, message=message, provider=model.provider, model=str(model))


def _code_of(code: str) -> str:
    """The code of a failure there, as that of a request of a run here."""
    if code == "usage":
        return "invalid_request"
    meaning = MEANINGS.get(code)
    return code if meaning and meaning.exit in _EXITS else "provider_unavailable"
