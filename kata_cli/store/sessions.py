"""All sessions on disk: a file each, written by one process at a time, read by any."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.session import Entry, NameEntry, Origin, Session, SessionHeader
from kata_cli.store.atomic import FileSystem, make_dirs, refused, sweep, write_file
from kata_cli.store.journal import Journal
from kata_cli.store.locking import locked
from kata_cli.store.open_session import OpenSession
from kata_cli.store.owner import OwnerLock
from kata_cli.store.session_file import encode_line, read_session
from kata_cli.store.session_names import SESSION_ID, check_id, check_name, kept_name, only, unknown
from kata_cli.store.shared_sync import SharedSync


class SessionStore:
    """The sessions under `state_dir/sessions` (0700), a file `<id>.jsonl` (0600) each."""

    def __init__(self, state_dir: Path, fs: FileSystem = os) -> None:
        self.directory = state_dir / "sessions"
        self._fs = fs
        self._names = SharedSync(self.directory, fs)
        self._is_swept = False

    def create(
        self,
        session_id: str,
        *,
        project: str,
        ts: str,
        name: str = "",
        forked_from: Origin | None = None,
        entries: Iterable[Entry] = (),
        replaces: bool = False,
    ) -> OpenSession:
        """A new session, on disk whole or not at all. `entries` are its first run, or the path of a fork.

        With `replaces`, a session of that id that nobody works on makes room.
        Raises `KataError`: usage for a bad id or a name that is bad or another session's of the project, io
        when the session exists, is in use or cannot be written.
        """
        check_id(session_id)
        header = SessionHeader(
            id=session_id,
            ts=ts,
            name=check_name(name),
            project=project,
            forked_from=forked_from,
        )
        session = Session(header=header, entries=tuple(entries))
        self._prepare()
        with self._reserved(header.name, project, session_id):
            lock = self._lock(session_id)
            try:
                self._make_room(session_id, replaces=replaces)
                return self._begun(session, lock)
            except BaseException:
                lock.release()
                raise

    def rename(self, session_id: str, name: str, *, ts: str) -> Session:
        """Give a session another name. Raises `KataError` as `create` and `open` do."""
        project = self.read(session_id).header.project
        with self._reserved(check_name(name), project, session_id), self.open(session_id) as opened:
            opened.append(NameEntry(name=name), ts=ts)
            return opened.session

    def open(self, session_id: str) -> OpenSession:
        """A session to be added to; a torn last entry is cut off.

        Raises `KataError`: usage when there is none, io when it cannot be read or another process has it
        open, which is named.
        """
        self.read(session_id)
        lock = self._lock(session_id)
        try:
            return self._continued(read_session(self._path(session_id)), lock)
        except BaseException:
            lock.release()
            raise

    def read(self, session_id: str) -> Session:
        """A session as it stands. Raises `KataError`: usage when there is none, io when unreadable."""
        check_id(session_id)
        path = self._path(session_id)
        if not os.path.lexists(path):
            raise unknown(session_id, self._near(session_id, None))
        return read_session(path)

    def has(self, session_id: str) -> bool:
        """Whether there is a session of this id; it may be unreadable."""
        return SESSION_ID.fullmatch(session_id) is not None and os.path.lexists(self._path(session_id))

    def ids(self) -> list[str]:
        """The ids of all sessions, the one that was written last first."""
        try:
            with os.scandir(self.directory) as found:
                dated = [(_written_ns(entry), _id_of(entry.name)) for entry in found]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise refused("list", self.directory, error) from error
        return [session_id for _, session_id in sorted(dated, reverse=True) if session_id]

    def each(self) -> Iterator[Session | KataError]:
        """All sessions, last written first, each read when asked for; an unreadable one is its error."""
        return map(self._read_or_error, self.ids())

    def named(self, name: str, project: str | None) -> str | None:
        """The id of the session with exactly this name, in a project if given. Raises `KataError` usage."""
        kept = check_name(name)
        found = self._called(kept, project) if kept else []
        return only(name, found, ()) if found else None

    def resolve(self, text: str, *, project: str | None) -> str:
        """The id that `text` names: `last` (of a project), a name, an id or a unique part of one.

        Raises `KataError` usage.
        """
        if text == "last":
            return self._newest(project)
        if self.has(text):
            return text
        kept = kept_name(text)
        found = self._called(kept, project) if kept else []
        if not found and text:
            found = self._like(text)
        return only(text, found, [] if found else self._near(text, project))

    def forks(self, session_id: str) -> Iterator[Session | KataError]:
        """The sessions that left this one, last written first, and the error of each unreadable session."""
        for other in self._left(session_id):
            found = self._read_or_error(other)
            origin = found.header.forked_from if isinstance(found, Session) else None
            if isinstance(found, KataError) or (origin is not None and origin.session == session_id):
                yield found

    def remove(self, session_id: str) -> None:
        """Delete a session; its runs stay. Raises `KataError` as `open` does."""
        check_id(session_id)
        path = self._path(session_id)
        if not os.path.lexists(path):
            raise unknown(session_id, self._near(session_id, None))
        lock = self._lock(session_id)
        try:
            path.unlink(missing_ok=True)
            self._names.sync()
        except OSError as error:
            raise refused("delete", path, error) from error
        finally:
            lock.release()

    def owner_file(self, session_id: str) -> Path:
        """The file that is locked while a process has the session open."""
        return self.directory / f"{session_id}.owner"

    def _prepare(self) -> None:
        """Make the directory and sweep it, once: with many sessions in it a look at each takes its time."""
        if not self._is_swept:
            make_dirs(self.directory, fs=self._fs)
            sweep(self.directory)
            self._is_swept = True

    def _path(self, session_id: str) -> Path:
        return self.directory / f"{session_id}.jsonl"

    def _lock(self, session_id: str) -> OwnerLock:
        return OwnerLock.take(self.owner_file(session_id), "session", session_id)

    def _make_room(self, session_id: str, *, replaces: bool) -> None:
        """Refuse an id that is taken; what cannot be read as a session is never replaced."""
        path = self._path(session_id)
        if not os.path.lexists(path):
            return
        if not replaces:
            hint = f"kata sessions tree {session_id}"
            raise KataError("io", f"the session {session_id} exists already", hint)
        read_session(path)

    def _begun(self, session: Session, lock: OwnerLock) -> OpenSession:
        path = self._path(session.id)
        data = b"".join([encode_line(session.header), *map(encode_line, session.entries)])
        write_file(path, data, fs=self._fs, sync_names=self._names.sync)
        try:
            return self._continued(msgspec.structs.replace(session, sound_bytes=len(data)), lock)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _continued(self, session: Session, lock: OwnerLock) -> OpenSession:
        journal = Journal.continued(self._path(session.id), session.sound_bytes, self._fs)
        return OpenSession(session, journal, lock)

    @contextmanager
    def _reserved(self, name: str, project: str, session_id: str) -> Iterator[None]:
        """Nobody else names a session meanwhile; a name means one session of a project."""
        if not name:
            yield
            return
        with locked(self.directory):
            holder = self.named(name, project)
            if holder not in (None, session_id):
                raise KataError("usage", f"{name!r} is the name of {holder}", "choose another name")
            yield

    def _newest(self, project: str | None) -> str:
        found = self._last(project)
        if found is None:
            where = "yet" if project is None else "of this project yet"
            raise KataError("usage", f"there is no session {where}", 'kata run "what you want"')
        return found

    # What follows reads every session; an index may know better.

    def _called(self, name: str, project: str | None) -> list[str]:
        """The sessions of this name, in a project if given; last written first, as in all of these."""
        return [session.id for session in self._of(project) if session.name == name]

    def _like(self, part: str) -> list[str]:
        """The sessions whose ids begin or end so."""
        return [known for known in self.ids() if known.startswith(part) or known.endswith(part)]

    def _near(self, text: str, project: str | None) -> list[str]:
        """Ids and names that `text` may have been meant for."""
        return [*self.ids(), *(session.name for session in self._of(project) if session.name)]

    def _last(self, project: str | None) -> str | None:
        """The session that was written last."""
        return next((session.id for session in self._of(project)), None)

    def _left(self, session_id: str) -> list[str]:
        """All that may have left a session."""
        return self.ids()

    def _of(self, project: str | None) -> Iterator[Session]:
        for session in self.each():
            if isinstance(session, Session) and project in (None, session.header.project):
                yield session

    def _read_or_error(self, session_id: str) -> Session | KataError:
        try:
            return self.read(session_id)
        except KataError as error:
            return error


def _id_of(name: str) -> str:
    """The id that a file name stands for, empty for any other file."""
    session_id, _, suffix = name.partition(".")
    return session_id if suffix == "jsonl" and SESSION_ID.fullmatch(session_id) else ""


def _written_ns(entry: os.DirEntry[str]) -> int:
    """When a file was written last; 0 when it has just been deleted."""
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return 0
