"""What clients ask of the service, session by session: the one place behind REST and WebSocket."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Literal

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.fence import fence
from kata_cli.core.messages import THINKING_LEVELS, Tool
from kata_cli.core.session import Origin, Session, SettingsEntry
from kata_cli.core.text import one_line
from kata_cli.service import conversation, errors
from kata_cli.service.documents import (
    Accepted,
    Branch,
    Choose,
    Create,
    Fork,
    History,
    LiveSession,
    LiveSessions,
    Say,
    Send,
    ToolResult,
    Tree,
)
from kata_cli.service.live import Live
from kata_cli.service.log import Logged
from kata_cli.service.pool import SessionPool
from kata_cli.service.workplace import Workplace

MAX_LISTED = 200
MAX_TOOLS = 128
# As Anthropic and OpenAI bound the names of tools.
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_TITLE_CHARS = 200
MAX_FILES = 128
MAX_MESSAGE_CHARS = 2 * 1024 * 1024  # with all of its files
TURN_ENDS = ("done", "error", "bye")


class Sessions:
    """The operations on sessions. All errors are `KataError`s."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.pool = SessionPool(place)

    async def create(self, asked: Create) -> LiveSession:
        """A new session, live at once."""
        self.place.workspace.directory(asked.directory)
        _check_tools(asked.tools)
        _check_thinking(asked.thinking)
        settings = SettingsEntry(
            title=self._title(asked.title),
            model=self.place.redactor.text(asked.model),
            thinking=asked.thinking,
            directory=asked.directory,
            tools=self._tools(asked.tools),
        )
        return (await self.pool.create(settings)).told()

    def listed(self) -> LiveSessions:
        """The sessions of the workspace, last written first."""
        limit = self.place.limits.max_sessions
        listed = LiveSessions(sessions=[], live=self.pool.live, max_sessions=limit, warnings=[])
        for found in self.pool.each():
            if isinstance(found, KataError):
                listed.warnings.append(found.failure.message)
            elif len(listed.sessions) < MAX_LISTED:
                listed.sessions.append(self._told(found))
            else:
                listed.warnings.append(f"only the {MAX_LISTED} sessions that were written last are listed")
                break
        return listed

    def get(self, session_id: str) -> LiveSession:
        """A session as it stands, without taking it up."""
        return self._told(self.pool.read(session_id))

    def history(self, session_id: str) -> History:
        """The conversation up to the head."""
        session = self.pool.read(session_id)
        live = self.pool.get(session_id)
        told = self._told(session)
        return History(
            session=told,
            messages=conversation.told(session),
            partial=live.partial if live else "",
            last_event_id=told.last_event_id,
        )

    def tree(self, session_id: str) -> Tree:
        """The session with all its branches."""
        session = self.pool.read(session_id)
        return Tree(session=self._told(session), places=conversation.places(session))

    async def send(self, session_id: str, asked: Send) -> Accepted:
        """Begin a turn, which goes on in the background."""
        live = await self.pool.opened(session_id)
        live.send(self._message(live, asked))
        return _accepted(live, "now")

    async def stream(
        self, session_id: str, asked: Send, after: str | None
    ) -> AsyncGenerator[list[Logged], None]:
        """The events of a turn up to its end; with `after` nothing is sent, and what was missed comes first.

        What is refused is refused before there is a stream.
        """
        live = await self.pool.opened(session_id)
        first = live.snapshot()
        if after is not None:
            return _turn(live, after, [])
        live.send(self._message(live, asked))
        return _turn(live, first.id, [first])

    async def follow(self, session_id: str, after: str | None) -> AsyncGenerator[list[Logged], None]:
        """All events from an id on, or from now on with the session as it stands first."""
        live = await self.pool.opened(session_id)
        if after is not None:
            return live.log.follow(after)
        first = live.snapshot()
        return _following(live, first)

    async def steer(self, session_id: str, asked: Say) -> Accepted:
        """A message for the turn under way."""
        live = await self.pool.opened(session_id)
        return _accepted(live, await live.steer(_checked(asked.message)))

    async def follow_up(self, session_id: str, asked: Say) -> Accepted:
        """A message for when the turn under way is over."""
        live = await self.pool.opened(session_id)
        return _accepted(live, live.follow_up(_checked(asked.message)))

    def tool_result(self, session_id: str, asked: ToolResult) -> LiveSession:
        """What came of a tool call that the client was asked to make."""
        self.pool.read(session_id)
        live = self.pool.get(session_id)
        if live is None:
            raise errors.not_waiting(f"session {session_id} waits for no tool result")
        live.take_result(asked)
        return live.told()

    async def abort(self, session_id: str) -> LiveSession:
        """End the turn under way, if there is one; the session stays live."""
        self.pool.read(session_id)
        if live := self.pool.get(session_id):
            await live.abort()
        return self.get(session_id)

    async def stop(self, session_id: str) -> LiveSession:
        """End the turn under way and let the session go. Idempotent."""
        self.pool.read(session_id)
        await self.pool.close(session_id, "the session was stopped")
        return self.get(session_id)

    async def choose(self, session_id: str, asked: Choose) -> LiveSession:
        """Another model, level of thinking or title from the next request on."""
        _check_thinking(asked.thinking)
        live = await self.pool.opened(session_id)
        settings = live.session.settings
        chosen = SettingsEntry(
            title=settings.title if asked.title is None else self._title(asked.title),
            model=settings.model if asked.model is None else self.place.redactor.text(asked.model),
            thinking=settings.thinking if asked.thinking is None else asked.thinking,
            directory=settings.directory,
            tools=settings.tools,
        )
        live.change(chosen, str(await self.place.backend.choose(chosen.model)))
        return live.told()

    def fork(self, session_id: str, asked: Fork) -> LiveSession:
        """A new session with the path up to a place; it is taken up when it is first used."""
        source = self.pool.read(session_id)
        path = source.path(asked.entry)
        origin = Origin(source.id, path[-1].id if path else None)
        title = self._title(asked.title) or source.title
        settings = msgspec.structs.replace(source.settings, title=title)
        tree = self.pool.new_tree(settings, origin=origin, entries=path)
        tree.close()
        return self._told(tree.session)

    async def branch(self, session_id: str, asked: Branch) -> LiveSession:
        """Go on after another place of the tree."""
        live = await self.pool.opened(session_id)
        live.branch(asked.entry)
        return live.told()

    async def compact(self, session_id: str) -> LiveSession:
        """Let a summary take the place of what came before; events tell when it is done."""
        live = await self.pool.opened(session_id)
        live.compact()
        return live.told()

    async def aclose(self) -> None:
        """Let all sessions go, and take no more."""
        await self.pool.aclose()

    def _message(self, live: Live, asked: Send) -> str:
        """The message with the files that go with it, fenced. Raises `KataError`."""
        if len(asked.files) > MAX_FILES:
            raise errors.bad_request(f"{len(asked.files)} files are more than the {MAX_FILES} of a message")
        directory = live.session.settings.directory
        read = self.place.workspace.read
        message = _checked(asked.message)
        for name in asked.files:
            message += "\n\n" + fence("file", read(directory, name), {"path": name})
            if len(message) > MAX_MESSAGE_CHARS:
                raise errors.too_long(MAX_MESSAGE_CHARS)
        return message

    def _tools(self, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
        return msgspec.convert(self.place.redactor.value(msgspec.to_builtins(tools)), tuple[Tool, ...])

    def _title(self, text: str) -> str:
        return one_line(self.place.redactor.text(text), MAX_TITLE_CHARS)

    def _told(self, session: Session) -> LiveSession:
        live = self.pool.get(session.id)
        return live.told() if live else conversation.describe(session, self.place.runtime_mode, "")


async def _turn(live: Live, after: str, first: list[Logged]) -> AsyncGenerator[list[Logged], None]:
    """The events after an id up to the end of the turn that they belong to."""
    if first:
        yield first
    if not live.is_running and after == live.log.last_id:
        return
    async for batch in live.log.follow(after):
        ends = [number for number, logged in enumerate(batch, 1) if logged.type in TURN_ENDS]
        yield batch[: ends[0]] if ends else batch
        if ends or (not live.is_running and batch[-1].id == live.log.last_id):
            return


async def _following(live: Live, first: Logged) -> AsyncGenerator[list[Logged], None]:
    yield [first]
    async for batch in live.log.follow(first.id):
        yield batch


def _accepted(live: Live, delivery: Literal["now", "steering", "follow_up"]) -> Accepted:
    return Accepted(session_id=live.session.id, delivery=delivery, last_event_id=live.log.last_id)


def _check_thinking(level: str | None) -> None:
    """Raises `KataError` usage for what is no level at all; the model may still not have it."""
    if level and level not in THINKING_LEVELS:
        levels = ", ".join(THINKING_LEVELS)
        raise errors.bad_request(f"thinking: expected one of {levels}, got {level[:40]!r}")


def _check_tools(tools: tuple[Tool, ...]) -> None:
    """What no vendor would take is refused now. Raises `KataError` usage."""
    names = [tool.name for tool in tools]
    bad = next((name for name in names if not TOOL_NAME.fullmatch(name)), None)
    if bad is not None:
        raise errors.bad_request(f"the name of a tool is 1 to 64 of A-Z a-z 0-9 _ -, not {bad[:80]!r}")
    if len(set(names)) < len(names) or len(names) > MAX_TOOLS:
        raise errors.bad_request(f"tools have names of their own, and are {MAX_TOOLS} at most")
    if any(tool.parameters.get("type", "object") != "object" for tool in tools):
        raise errors.bad_request("the parameters of a tool are a JSON Schema of type object")


def _checked(message: str) -> str:
    """A message that says something. Raises `KataError` usage."""
    if not message.strip():
        raise errors.bad_request("the message is empty", "send one that says something")
    return message
