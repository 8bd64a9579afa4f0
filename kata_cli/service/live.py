"""One live session: it takes a message at a time, answers it in the background, and tells all who follow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from kata_cli.core.clock import stamp
from kata_cli.core.errors import Failure, KataError, document
from kata_cli.core.events import encode_json
from kata_cli.core.session import CompactionEntry, Entry, HeadEntry, MessageEntry, Session, SettingsEntry
from kata_cli.service import conversation, errors
from kata_cli.service.documents import LiveSession, ToolResult
from kata_cli.service.live_events import (
    Bye,
    Compacted,
    Done,
    Failed,
    MessageAdded,
    SessionChanged,
    SessionEvent,
)
from kata_cli.service.log import Log, Logged
from kata_cli.service.turn import Answer
from kata_cli.service.waiting import Waiting
from kata_cli.service.wanted import WantedCalls
from kata_cli.service.workplace import OpenTree, Workplace

E = TypeVar("E", bound=Entry)

ABORTED = Failure(code="interrupted", message="the turn was aborted", remediation="send another message")


class Live:
    """A session whose tree this process holds. What is said is in the tree before anybody is told of it."""

    def __init__(self, tree: OpenTree, place: Workplace, epoch: str, model: str) -> None:
        self.model = model
        self.is_closed = False
        self.log = Log(epoch)
        self._tree = tree
        self._place = place
        self._closing = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._aborted: asyncio.Task[None] | None = None
        self._reason = ABORTED
        self.is_running = False
        self.is_broken = False
        self._answer: Answer | None = None
        self._waiting = Waiting(tree.session.id)
        self._wanted = WantedCalls(place.limits.tool_s, self._publish)
        self._loop = asyncio.get_running_loop()
        self.born_s = self.touched_s = self._loop.time()

    @property
    def session(self) -> Session:
        return self._tree.session

    @property
    def is_spent(self) -> bool:
        """Whether the session has to be taken up anew: it is closed, or its file cannot be written."""
        return self.is_closed or (self.is_broken and not self.is_running)

    @property
    def partial(self) -> str:
        """What has been shown of an answer under way."""
        return self._answer.partial if self._answer else ""

    def told(self) -> LiveSession:
        """The session as it stands."""
        told = conversation.describe(self.session, self._place.runtime_mode, self.model)
        told.status = "closed" if self.is_closed else "running" if self.is_running else "idle"
        told.queue = self._waiting.told
        told.wanted = self._wanted.calls
        told.last_event_id = self.log.last_id
        return told

    def send(self, text: str) -> None:
        """Begin a turn. Raises `KataError`: busy, or io when the message cannot be kept."""
        self._check_free()
        self._add(MessageEntry(role="user", text=text))
        self._begin(self._converse)

    async def steer(self, text: str) -> Literal["now", "steering"]:
        """Give a message to the turn under way, or begin one. Returns how it is delivered."""
        if self.is_running and await self._place.backend.provider.steer(self.session.id, text):
            self._check_open()
            self._add(MessageEntry(role="user", text=text))
            return "now"
        if not self.is_running:  # it may have ended while the agent was asked
            self.send(text)
            return "now"
        self._waiting.steer(self._place.redactor.text(text))
        self._publish_state()
        return "steering"

    def follow_up(self, text: str) -> Literal["now", "follow_up"]:
        """Send a message after the turn under way, or at once. Returns how it is delivered."""
        if not self.is_running:
            self.send(text)
            return "now"
        self._waiting.follow_up(self._place.redactor.text(text))
        self._publish_state()
        return "follow_up"

    def take_result(self, result: ToolResult) -> None:
        """Take what came of a tool call. Raises `KataError` usage when nobody waits for it."""
        self._wanted.take(result)

    def change(self, settings: SettingsEntry, model: str) -> None:
        """Other settings from the next request on. Raises `KataError` busy when it is closed meanwhile."""
        self._check_open()
        self._append(settings)
        self.model = model
        self._publish_state()

    def branch(self, entry: str | None) -> None:
        """Go on after another place of the tree. Raises `KataError`: busy, usage."""
        self._check_free()
        self._append(HeadEntry(target=entry))
        self._publish_state()

    def compact(self) -> None:
        """Have a summary take the place of what came before, in the background. Raises `KataError` busy."""
        self._check_free()
        self._begin(self._compact)

    async def abort(self, failure: Failure = ABORTED) -> None:
        """End the turn under way, if there is one, and drop what waits; `failure` is told as the reason."""
        self._reason = failure
        self._waiting.clear()
        work = self._work
        if work is None or work.done():
            return
        if self._aborted is not work:  # a second cancellation would break off how the agent is stopped
            self._aborted = work
            work.cancel()
        await asyncio.wait([work])
        if self.is_running and self._work is work:  # it was cancelled before its first step
            self._end_badly(failure)

    async def close(self, reason: str) -> None:
        """Let the session go: it stays on disk. Who says so again waits until it has gone."""
        async with self._closing:
            if self.is_closed:
                return
            self.is_closed = True
            hint = "send the message again"
            await self.abort(Failure(code="provider_unavailable", message=reason, remediation=hint))
            self.log.append(Bye(reason=reason))
            self.log.close()
            self._tree.close()
            await self._place.backend.provider.leave(self.session.id)

    def snapshot(self) -> Logged:
        """The session as it stands, as the event that a stream begins with."""
        return Logged(self.log.last_id, "session", encode_json(SessionChanged(session=self.told())))

    def _check_free(self) -> None:
        if self.is_running:
            raise errors.busy(self.session.id)

    def _check_open(self) -> None:
        if self.is_closed:
            raise errors.closing(self.session.id)

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        self.is_running = True
        self._work = self._loop.create_task(self._guarded(work))
        self._publish_state()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work of a turn; whatever ends it, also a bug, all who follow are told."""
        failure: Failure | None = None
        try:
            await work()
        except KataError as error:
            failure = error.failure
        except asyncio.CancelledError:
            failure = self._reason
        except Exception as error:
            self._place.on_bug(error)
            failure = Failure(code="unexpected_error", message="a bug in kata ended the turn")
        if failure is not None:
            self._end_badly(failure)

    async def _converse(self) -> None:
        """Answer what was said, then what was said meanwhile."""
        while True:
            await self._answer_once()
            if not self._say(*self._waiting.take_next()):
                return

    async def _answer_once(self) -> None:
        """One turn: answers and tool results, until an answer asks for nothing more."""
        started_s = self._loop.time()
        while True:
            entry = self._add(await self._ask())
            for call in entry.calls:
                self._add(await self._wanted.ask(call))
            if not (self._say(*self._waiting.take_steering()) or entry.calls):
                break
        if not self._waiting.has_follow_up:
            self._rest()
        self._publish(
            Done(
                entry=entry.id,
                text=entry.text,
                stop=entry.stop,
                model=entry.model,
                usage=entry.usage,
                duration_s=round(self._loop.time() - started_s, 3),
            )
        )

    async def _ask(self) -> MessageEntry:
        """The next answer. Raises `KataError`; what had come of it by then is kept, marked as broken off."""
        self._answer = Answer(self._place, self._publish)
        model = await self._place.backend.choose(self.session.settings.model)
        self.model = str(model)
        try:
            return await self._answer.ask(conversation.request(self.session, model, self._place))
        except (KataError, asyncio.CancelledError):
            if (broken := self._answer.broken_off()) is not None:
                self._add(broken)
            raise
        finally:
            self._answer = None

    async def _compact(self) -> None:
        summary = await self._place.backend.summary(self.session)
        if summary is not None:
            entry: CompactionEntry = self._append(summary)
            self._publish(
                Compacted(
                    entry=entry.id,
                    summary=entry.summary,
                    tokens_before=entry.tokens_before,
                    tokens_after=entry.tokens_after,
                )
            )
        if self._say(*self._waiting.take_next()):
            await self._converse()
        else:
            self._rest()

    def _say(self, *texts: str) -> bool:
        """Put what had to wait behind the last message, if anything had."""
        for text in texts:
            self._add(MessageEntry(role="user", text=text))
        if texts:
            self._publish_state()
        return bool(texts)

    def _add(self, entry: MessageEntry) -> MessageEntry:
        """Keep a message, durably, then tell it."""
        cleaned = msgspec.structs.replace(entry, text=self._place.redactor.text(entry.text))
        added = self._append(cleaned)
        self.touched_s = self._loop.time()
        self._publish(MessageAdded(message=conversation.tell(added)))
        return added

    def _append(self, entry: E) -> E:
        """Add to the tree. A file that has refused once takes nothing more: it has to be opened anew."""
        try:
            return self._tree.append(entry, ts=self._now())
        except KataError as error:
            self.is_broken = self.is_broken or error.failure.code == "io"
            raise

    def _end_badly(self, failure: Failure) -> None:
        self._waiting.clear()
        self._rest()
        self._publish(Failed(error=document(failure, self._place.runtime_mode)))

    def _rest(self) -> None:
        """The work is done; nothing is awaited between this and the end of its task."""
        self.is_running = False
        self.touched_s = self._loop.time()
        self._publish_state()

    def _publish_state(self) -> None:
        told = self.told()
        told.last_event_id = self.log.next_id
        self._publish(SessionChanged(session=told))

    def _publish(self, event: SessionEvent) -> None:
        self.log.append(event)

    def _now(self) -> str:
        return stamp(self._place.clock.time())
