"""One session on disk: a header line, then a line for each entry of its tree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.core.errors import UPGRADE, KataError
from kata_cli.core.events import encode_json
from kata_cli.core.session import (
    PLACELESS,
    VERSION,
    Entry,
    HeadEntry,
    KnownEntry,
    Session,
    SessionHeader,
    UnknownEntry,
)
from kata_cli.store.journal import whole_lines
from kata_cli.store.reading import read_file

_ENTRY_ID = re.compile(r"e[1-9][0-9]{0,8}")


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
        if not isinstance(entry, PLACELESS):
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
