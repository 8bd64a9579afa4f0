"""One session on disk: a header line, then entries that form a tree, each added and none ever changed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from kata_cli.core.errors import UPGRADE, KataError
from kata_cli.core.events import encode_json
from kata_cli.core.messages import Usage
from kata_cli.core.text import near
from kata_cli.store.journal import whole_lines
from kata_cli.store.reading import read_file

VERSION = 1

_ENTRY_ID = re.compile(r"e[1-9][0-9]{0,8}")


class Origin(msgspec.Struct, frozen=True):
    """Where a fork left another session; `entry` is None when it took nothing along."""

    session: str
    entry: str | None


class SessionHeader(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session"):
    """The first line of a session file. `project` is the root that its runs were made in."""

    v: int = VERSION
    id: str
    ts: str
    name: str
    project: str
    forked_from: Origin | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all entries. The store gives an entry its `id` (`e1`, `e2`, …), `parent` and time."""

    id: str = ""
    parent: str | None = None
    ts: str = ""


class RunEntry(Entry, frozen=True, kw_only=True, tag="run"):
    """A run that was made in the session."""

    run_id: str


class MessageEntry(Entry, frozen=True, kw_only=True, tag="message"):
    """One turn of a live session."""

    role: Literal["user", "assistant"]
    text: str


class CompactionEntry(Entry, frozen=True, kw_only=True, tag="compaction"):
    """A summary that stands for everything before it on its path; sizes in tokens, estimated."""

    summary: str
    model: str
    tokens_before: int
    tokens_after: int
    usage: Usage = Usage()


class NameEntry(Entry, frozen=True, kw_only=True, tag="name"):
    """The session has a new name; the place in the tree stays."""

    name: str


class HeadEntry(Entry, frozen=True, kw_only=True, tag="head"):
    """The session goes on after `target`; None: from its very beginning."""

    target: str | None


class UnknownEntry(Entry, frozen=True, kw_only=True, tag="unknown"):
    """An entry of a type that only a later kata knows; it keeps its place in the tree."""


KnownEntry = RunEntry | MessageEntry | CompactionEntry | NameEntry | HeadEntry


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its file tells it."""

    header: SessionHeader
    entries: tuple[Entry, ...] = ()
    warnings: tuple[str, ...] = ()
    sound_bytes: int = 0

    @property
    def id(self) -> str:
        return self.header.id

    @property
    def name(self) -> str:
        """The latest name, empty if it never had one."""
        names = [entry.name for entry in self.entries if isinstance(entry, NameEntry)]
        return names[-1] if names else self.header.name

    @property
    def head(self) -> str | None:
        """The id of the entry that the next one follows."""
        for entry in reversed(self.entries):
            if isinstance(entry, HeadEntry):
                return entry.target
            if not isinstance(entry, NameEntry):
                return entry.id
        return None

    @property
    def next_id(self) -> str:
        """The id of the next entry."""
        return f"e{max((int(entry.id[1:]) for entry in self.entries), default=0) + 1}"

    @property
    def nodes(self) -> list[Entry]:
        """The entries that are places in the tree: all but new names and moves of the head."""
        return [entry for entry in self.entries if not isinstance(entry, NameEntry | HeadEntry)]

    def path(self, to: str | None = None) -> list[Entry]:
        """The entries from the root to `to`, by default to the head. Raises `KataError` usage."""
        by_id = {entry.id: entry for entry in self.nodes}
        if to is not None and to not in by_id:
            hint = near(to, by_id) or f"kata sessions tree {self.id}"
            raise KataError("usage", f"session {self.id} has no entry {to[:80]!r} in its tree", hint)
        found = []
        at = to or self.head
        while at is not None:
            found.append(by_id[at])
            at = by_id[at].parent
        return found[::-1]

    def effective_path(self, to: str | None = None) -> list[Entry]:
        """The path without what its last compaction stands for; that entry comes first."""
        path = self.path(to)
        starts = [index for index, entry in enumerate(path) if isinstance(entry, CompactionEntry)]
        return path[starts[-1] :] if starts else path


def encode_line(value: SessionHeader | Entry) -> bytes:
    """The JSON line of a header or an entry, LF included."""
    return encode_json(value) + b"\n"


def read_session(path: Path) -> Session:
    """The session in a file. Raises `KataError` io: unreadable, newer, damaged, or something else."""
    data = read_file(path)
    lines = list(whole_lines(data))
    header = _header(path, lines[0] if lines else b"")
    entries = _entries(path, lines[1:])
    sound_bytes = sum(map(len, lines))
    return Session(
        header=header,
        entries=tuple(entries),
        warnings=tuple(_warnings(entries, is_torn=sound_bytes < len(data))),
        sound_bytes=sound_bytes,
    )


class _Version(msgspec.Struct):
    v: int
    type: str


_decode_version = msgspec.json.Decoder(_Version).decode
_decode_header = msgspec.json.Decoder(SessionHeader).decode
_decode_entry = msgspec.json.Decoder(KnownEntry).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode
_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in KnownEntry.__args__)


def _header(path: Path, line: bytes) -> SessionHeader:
    try:
        version = _decode_version(line)
        if version.type == "session" and version.v > VERSION:
            message = f"cannot read {path}: session version {version.v} is newer than {VERSION}"
            raise KataError("io", message, UPGRADE)
        header = _decode_header(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _damaged(path, "it does not begin with the header of a session") from None
    if header.id != path.stem:
        raise _damaged(path, "it holds no session of that id")
    return header


def _entries(path: Path, lines: Iterable[bytes]) -> list[Entry]:
    entries: list[Entry] = []
    places: set[str | None] = {None}
    ids: set[str] = set()
    for number, line in enumerate(lines, start=2):
        entry = _entry(line)
        if entry is None or entry.id in ids or not _stands_on(entry, places):
            raise _damaged(path, f"line {number} is no entry of its tree")
        ids.add(entry.id)
        if not isinstance(entry, NameEntry | HeadEntry):
            places.add(entry.id)
        entries.append(entry)
    return entries


def _entry(line: bytes) -> Entry | None:
    try:
        plain = _decode_any(line)
        if plain.get("type") in _TYPES:
            entry: Entry = _decode_entry(line)
        else:
            entry = msgspec.convert({**plain, "type": "unknown"}, UnknownEntry)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return entry if _ENTRY_ID.fullmatch(entry.id) else None


def _stands_on(entry: Entry, places: set[str | None]) -> bool:
    """Whether an entry refers only to places before it, so that every path has an end."""
    return entry.parent in places and (not isinstance(entry, HeadEntry) or entry.target in places)


def _warnings(entries: list[Entry], *, is_torn: bool) -> Iterable[str]:
    unknown = sum(isinstance(entry, UnknownEntry) for entry in entries)
    if unknown:
        some = "1 entry" if unknown == 1 else f"{unknown} entries"
        yield f"{some} of a type unknown to this version not shown"
    if is_torn:
        yield "the last entry was torn and is left out"


def _damaged(path: Path, why: str) -> KataError:
    return KataError("io", f"cannot read {path}: {why}", "move the file away; the runs themselves stay")
