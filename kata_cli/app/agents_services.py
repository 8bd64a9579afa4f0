"""The services of live sessions that a command talks to, and which session it means."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.app.services import addresses, open_client
from kata_cli.config.resolve import Resolved
from kata_cli.config.settings import SETTINGS
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.core.text import near
from kata_cli.providers.service_client import ServiceClient
from kata_cli.service.documents import Health, LiveSession, LiveSessions
from kata_cli.store.session_names import SESSION_ID

T = TypeVar("T")

SESSIONS = "/api/sessions"
LISTING = "kata agents list"
ANSWER_S = 30.0  # only the answer to a message takes longer, and that one is a stream
DEFAULT_PORT: int = SETTINGS["serve_port"].default


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
        missed = [answer for answer in answers if isinstance(answer, KataError)]
        found = [one for answer in answers if not isinstance(answer, KataError) for one in answer]
        known = list({one.session.id: one for one in reversed(found)}.values())  # one service by two names
        meant = _meant(text, known)
        if len(meant) == 1:
            return meant[0]
        if missed and not meant:
            raise missed[0]
        raise _unclear(text, meant, known)

    async def each(self, ask: Callable[[ServiceClient], Awaitable[T]]) -> list[T | KataError]:
        """What each service answers, or why it does not; all are asked at the same time."""
        return await asyncio.gather(*(_tried(ask(client)) for client in self.clients))

    async def roomiest(self) -> ServiceClient:
        """The service for a new session: of several the one that is least loaded now.

        Raises `KataError` when none of several can take one.
        """
        if len(self.clients) == 1:
            return self.clients[0]
        answers = await self.each(_load)
        free = [answer for answer in answers if not isinstance(answer, KataError)]
        if free:
            return min(free, key=lambda one: one.load).client
        raise next(answer for answer in answers if isinstance(answer, KataError))

    async def aclose(self) -> None:
        for client in self.clients:
            await client.aclose()


def path_of(session_id: str) -> str:
    """The address of a session within its service."""
    return f"{SESSIONS}/{quote(session_id, safe='')}"


def asked_by(options: Common, redactor: Redactor, say: Callable[[str], None]) -> Asking:
    """A command by its options; what is odd about the settings is told. Raises `KataError`."""
    resolved = resolved_settings(options, os.environ, working_directory())
    for warning in resolved.warnings:
        say(f"warning: {warning}")
    return Asking(resolved=resolved, redactor=redactor, say=say)


def open_services(asking: Asking) -> Services:
    """The services of a command; none is asked yet. Raises `KataError`, as where a token is missing."""
    settings = asking.resolved.settings
    timeouts = Timeouts(connect_s=settings.connect_timeout, request_s=min(ANSWER_S, settings.request_timeout))
    default_url = f"http://127.0.0.1:{settings.serve_port or DEFAULT_PORT}"
    named = addresses(asking.resolved, default_url)
    if not named:
        raise KataError("usage", "none of the services is one of live sessions", f"--service {default_url}")
    return Services([open_client(address, asking.redactor, timeouts) for address in named])


class _Load(NamedTuple):
    """How much of what a service takes on is taken."""

    client: ServiceClient
    load: float


async def _load(client: ServiceClient) -> _Load:
    health = await client.get("/healthz", Health)
    load = health.live / max(1, health.max_sessions)
    if health.status != "ok" or load >= 1:
        why = "is stopping" if health.status != "ok" else f"has {health.live} live sessions, its most"
        raise KataError("limit_reached", f"{client.url} {why}", "stop a session: kata agents stop SESSION")
    return _Load(client, load)


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


def _meant(text: str, known: list[Found]) -> list[Found]:
    """The sessions that a text names, best reading first: an id or a title, else a part of an id."""
    if text == "last":
        return sorted(known, key=lambda one: one.session.updated_at)[-1:]
    whole = [one for one in known if text and text in (one.session.id, one.session.title)]
    part = [one for one in known if text and _is_part(text, one.session.id)]
    return whole or part


def _is_part(text: str, session_id: str) -> bool:
    return session_id.startswith(text) or session_id.endswith(text)


def _unclear(text: str, meant: list[Found], known: list[Found]) -> KataError:
    """The error for what names no session, or several."""
    if meant:
        some = ", ".join(one.session.id for one in meant[:3]) + (", …" if len(meant) > 3 else "")
        return KataError("usage", f"{text[:80]} names {len(meant)} sessions: {some}", "name one by its id")
    names = [name for one in known for name in (one.session.id, one.session.title) if name]
    return KataError("usage", f"there is no session {text[:80]!r}", near(text, names) or LISTING)
