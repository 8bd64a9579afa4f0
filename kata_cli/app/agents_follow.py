"""The events of a live session, each once, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from kata_cli.app.agents_services import Found
from kata_cli.core.errors import KataError
from kata_cli.providers.service_client import Sent
from kata_cli.service.documents import Asked
from kata_cli.service.live_events import TYPES, SessionEvent

MAX_TRIES = 5
FIRST_DELAY_S = 0.25

Events = AsyncGenerator[Sent[SessionEvent], None]


def follow_turn(found: Found, asked: Asked, *, after: str | None = None) -> Events:
    """The events of the turn that `asked` begins, or with `after` of the one that is under way."""
    return _followed(found, "stream", asked, after)


def follow_all(found: Found) -> Events:
    """All events of a session from now on."""
    return _followed(found, "events", None, None)


async def _followed(found: Found, action: str, asked: Asked | None, after: str | None) -> Events:
    """Events until the service has nothing more to tell; a message is sent at most once.

    A connection that breaks, or that the service ends, is made again behind the last event that came; a
    few times in vain, then its `KataError` is raised, as is every refusal.
    """
    connect = partial(found.client.stream, found.path(action), TYPES, asked=asked)
    seen = after or found.session.last_event_id
    tries = 0
    while True:
        has_news = False
        try:
            async with aclosing(connect(after=after)) as events:
                async for sent in events:
                    has_news, tries, seen = True, 0, sent.id or seen
                    yield sent
            if not has_news:
                return
        except KataError as error:
            tries += 1
            if not seen or tries > MAX_TRIES or not _may_pass(error):
                raise
            await asyncio.sleep(FIRST_DELAY_S * 2**tries)
        after = seen


def _may_pass(error: KataError) -> bool:
    """Whether it was the connection that failed, and no refusal."""
    return error.failure.status is None and error.failure.is_retryable
