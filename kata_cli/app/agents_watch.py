"""`kata agents watch` and `compact`: what goes on in a session by itself."""

from __future__ import annotations

from contextlib import aclosing

import msgspec

from kata_cli.app.agents_follow import follow_all, follow_turn
from kata_cli.app.agents_services import Asking, Found, open_services
from kata_cli.app.agents_turn import failure_of
from kata_cli.app.agents_view import View
from kata_cli.core import loop
from kata_cli.core.errors import KataError
from kata_cli.service.documents import LiveSession, Nothing
from kata_cli.service.live_events import Bye, Compacted, Failed


class Shortened(msgspec.Struct, kw_only=True):
    """A live session after it was compacted (`kata.agent-compaction/v1`); sizes in tokens, estimated.

    `entry` is None when there was nothing to compact.
    """

    schema: str = "kata.agent-compaction/v1"
    service: str
    session_id: str
    entry: str | None = None
    summary: str | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None


def watch(asking: Asking, session: str, view: View) -> None:
    """Show the events of a session until it is closed. Raises `KataError`."""
    loop.run(_watch(asking, session, view))


def compact(asking: Asking, session: str) -> Shortened:
    """Have a summary take the place of what came before, and wait for it. Raises `KataError`."""
    return loop.run(_compact(asking, session))


async def _watch(asking: Asking, session: str, view: View) -> None:
    async with aclosing(open_services(asking)) as services:
        found = await services.find(session)
        view.begin(found.session, found.client.url)
        async with aclosing(follow_all(found)) as events:
            async for sent in events:
                await view.show(sent)
                if isinstance(sent.event, Bye) and await _is_closed(found):
                    return


async def _is_closed(found: Found) -> bool:
    """Whether a stream was ended because its session was. Following on would open the session again."""
    session = await found.client.get(found.path(), LiveSession)
    return session.status == "closed"


async def _compact(asking: Asking, session: str) -> Shortened:
    async with aclosing(open_services(asking)) as services:
        found = await services.find(session)
        begun = await found.client.post(found.path("compact"), Nothing(), LiveSession)
        done = Shortened(service=found.client.url, session_id=begun.id)
        async with aclosing(follow_turn(found, Nothing(), after=begun.last_event_id)) as events:
            async for sent in events:
                match sent.event:
                    case Compacted() as event:
                        done.entry, done.summary = event.entry, event.summary
                        done.tokens_before, done.tokens_after = event.tokens_before, event.tokens_after
                    case Failed(error=error):
                        raise KataError.of(failure_of(error))
        return done
