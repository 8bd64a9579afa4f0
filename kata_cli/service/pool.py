"""The live sessions of a service: at most so many, each closed when it is idle or old."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator

from kata_cli.core.clock import stamp
from kata_cli.core.errors import KataError, Owned
from kata_cli.core.session import Entry, Origin, Session, SettingsEntry
from kata_cli.service import errors
from kata_cli.service.live import Live
from kata_cli.service.workplace import OpenTree, Workplace


class SessionPool:
    """The sessions of one workspace, of which some are live. All errors are `KataError`s."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._live: dict[str, Live] = {}
        self._opening = asyncio.Lock()
        self._is_closing = False
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sweeper = self._loop.create_task(self._sweep())

    @property
    def live(self) -> int:
        """How many sessions are live."""
        return len(self._live)

    @property
    def running(self) -> int:
        """How many of them are at work."""
        return sum(live.is_running for live in self._live.values())

    def get(self, session_id: str) -> Live | None:
        """The live session of an id, if it is live."""
        return self._live.get(session_id)

    def read(self, session_id: str) -> Session:
        """The session of an id, live or on disk; one of another workspace is not found."""
        if live := self._live.get(session_id):
            return live.session
        try:
            session = self._place.trees.read(session_id)
        except KataError as error:
            raise errors.not_found(session_id) if error.failure.code == "usage" else error from None
        if not self._is_ours(session):
            raise errors.not_found(session_id)
        return session

    def each(self) -> Iterator[Session | KataError]:
        """All sessions, last written first, and the error of each that cannot be read."""
        for found in self._place.trees.each():
            if isinstance(found, KataError):
                yield found
            elif self._is_ours(found):
                yield self.read(found.id)

    async def create(self, settings: SettingsEntry) -> Live:
        """A new session, live at once. Raises as for no room, no key, or a file that cannot be written."""
        model = str(await self._place.backend.choose(settings.model))
        async with self._opening:
            self._check_room()
            return self._started(self.new_tree(settings), model)

    async def opened(self, session_id: str) -> Live:
        """The live session of an id, taken up from disk if need be."""
        self.read(session_id)
        async with self._opening:
            live = self._live.get(session_id)
            if live is not None and live.is_spent:
                await self.close(session_id, "its file could not be written")
                live = None
            return live or await self._taken_up(session_id)

    def new_tree(
        self, settings: SettingsEntry, *, origin: Origin | None = None, entries: Iterable[Entry] = ()
    ) -> OpenTree:
        """A new session on disk, with the entries that a fork takes along."""
        ts = stamp(self._place.clock.time())
        tree = self._place.trees.create(
            self._place.new_id(self._place.clock.time()),
            project=str(self._place.workspace.root),
            ts=ts,
            forked_from=origin,
            entries=entries,
        )
        try:
            tree.append(settings, ts=ts)
        except BaseException:
            tree.close()
            raise
        return tree

    async def close(self, session_id: str, reason: str) -> None:
        """Let a session go, if it is live. It may be live anew by the time that this returns."""
        live = self._live.get(session_id)
        if live is None:
            return
        try:
            await live.close(reason)
        finally:
            if self._live.get(session_id) is live:
                del self._live[session_id]

    async def aclose(self) -> None:
        """Let all sessions go, and take no more."""
        self._is_closing = True
        self._sweeper.cancel()
        await asyncio.gather(*(self.close(name, "the service is stopping") for name in list(self._live)))

    async def _taken_up(self, session_id: str) -> Live:
        self._check_room()
        try:
            tree = self._place.trees.open(session_id)
        except Owned as error:
            raise errors.held(session_id, error.failure.message) from None
        try:
            model = await self._place.backend.choose(tree.session.settings.model)
        except BaseException:
            tree.close()
            raise
        return self._started(tree, str(model))

    def _started(self, tree: OpenTree, model: str) -> Live:
        live = Live(tree, self._place, secrets.token_hex(4), model)
        self._live[live.session.id] = live
        self._changed.set()
        return live

    def _check_room(self) -> None:
        if self._is_closing:
            raise errors.stopping()
        limit = self._place.limits.max_sessions
        if len(self._live) >= limit:
            raise errors.too_many(limit, self._next_due_s() or 0.0)

    def _is_ours(self, session: Session) -> bool:
        return session.header.project == str(self._place.workspace.root)

    def _due_s(self, live: Live) -> float:
        """When a session is closed, on the loop's clock: one at work is not idle."""
        limits = self._place.limits
        busy_s = self._loop.time() if live.is_running else live.touched_s
        return min(live.born_s + limits.lifetime_s, busy_s + limits.idle_s)

    def _next_due_s(self) -> float | None:
        """The seconds until the next session is due to be closed."""
        dues_s = [self._due_s(live) for live in self._live.values()]
        return max(0.0, min(dues_s) - self._loop.time()) if dues_s else None

    async def _sweep(self) -> None:
        """Close the sessions that are due, for ever."""
        while True:
            self._changed.clear()
            for session_id, live in list(self._live.items()):
                if self._due_s(live) <= self._loop.time():
                    await self.close(session_id, "the session was idle, or open for too long")
            try:
                async with asyncio.timeout(self._next_due_s()):
                    await self._changed.wait()
            except TimeoutError:
                continue
