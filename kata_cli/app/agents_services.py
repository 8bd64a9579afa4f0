"""The services of live sessions that a command talks to, and which session it means."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.core.text import near
from kata_cli.providers.service_client import ServiceClient
from kata_cli.service.documents import LiveSession, LiveSessions
from kata_cli.store.session_names import SESSION_ID

T = TypeVar("T")

SESSIONS = "/api/sessions"
LISTING = "kata agents list"


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A command on live sessions. `say` tells a line on stderr; the redactor learns the token."""

    resolved: Resolved
    redactor: Redactor
    say: Callable[[str], None]


class Found(NamedTuple):
    """A session, and the service that holds it."""

    client: ServiceClient
    session: LiveSession

    def path(self, action: str = "") -> str:
        """Where the session, or something of it, is asked for."""
        return f"{path_of(self.session.id)}/{action}" if action else path_of(self.session.id)


class Services:
    """The services of one command, in the order in which they were named."""

    def __init__(self, clients: Sequence[ServiceClient]) -> None:
        self.clients = clients

    async def find(self, text: str) -> Found:
        """The session that `text` names: `last` (written last), an id, a title, or a unique part of an id.

        Raises `KataError`: usage for what names none or several, and why a service did not answer when
        none of the others has it.
        """
        answers = await self.each(lambda client: _like(client, text))
        found = [one for answer in answers if not isinstance(answer, KataError) for one in answer]
        if not found:
            for answer in answers:
                if isinstance(answer, KataError):
                    raise answer
        return _named(text, found)

    async def each(self, ask: Callable[[ServiceClient], Awaitable[T]]) -> list[T | KataError]:
        """What each service answers, or why it does not; all are asked at the same time."""
        return await asyncio.gather(*(_tried(ask(client)) for client in self.clients))

    async def aclose(self) -> None:
        for client in self.clients:
            await client.aclose()


def path_of(session_id: str) -> str:
    """The address of a session within its service."""
    return f"{SESSIONS}/{quote(session_id, safe='')}"


def asking(options: Common, redactor: Redactor, say: Callable[[str], None]) -> Asking:
    """A command by its options; what is odd about the settings is told. Raises `KataError`."""
    resolved = resolved_settings(options, os.environ, working_directory())
    for warning in resolved.warnings:
        say(f"warning: {warning}")
    return Asking(resolved=resolved, redactor=redactor, say=say)


def open_services(asked: Asking) -> Services:
    """The services of a command; none is asked yet. Raises `KataError`."""
    raise NotImplementedError


async def _tried(answer: Awaitable[T]) -> T | KataError:
    try:
        return await answer
    except KataError as error:
        return error


async def _like(client: ServiceClient, text: str) -> list[Found]:
    """The sessions of a service among which `text` may name one; of a whole id at most that one."""
    if not SESSION_ID.fullmatch(text):
        listed = await client.get(SESSIONS, LiveSessions)
        return [Found(client, session) for session in listed.sessions]
    try:
        return [Found(client, await client.get(path_of(text), LiveSession))]
    except KataError as error:
        if error.failure.status == 404:
            return []
        raise


def _named(text: str, found: list[Found]) -> Found:
    """The one that is meant. A service that was named twice is one."""
    by_id = {one.session.id: one for one in reversed(found)}
    if text == "last" and by_id:
        return max(by_id.values(), key=lambda one: one.session.updated_at)
    meant = _matches(text, by_id.values())
    if len(meant) == 1:
        return meant[0]
    if not meant:
        names = [*by_id, *(one.session.title for one in by_id.values())]
        raise KataError("usage", f"there is no session {text[:80]!r}", near(text, names) or LISTING)
    some = ", ".join(one.session.id for one in meant[:3]) + (", …" if len(meant) > 3 else "")
    raise KataError("usage", f"{text[:80]} names {len(meant)} sessions: {some}", "name one by its id")


def _matches(text: str, found: Iterable[Found]) -> list[Found]:
    known = list(found)
    whole = [one for one in known if text in (one.session.id, one.session.title)]
    part = [one for one in known if one.session.id.startswith(text) or one.session.id.endswith(text)]
    return (whole or part) if text else []
