"""The files of a run as one zip, redacted: the same run gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kata_cli.core.events import encode_json
from kata_cli.core.jsonl import split_lines
from kata_cli.core.redact import Redactor
from kata_cli.store.reading import read_file

FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
MODE = 0o100600
OWNER_FILE = "owner"


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the archive as it is in there."""

    path: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds (`kata.archive/v1`), and how many secrets were taken out for it."""

    schema: str = "kata.archive/v1"
    run_id: str
    redactions: int
    files: list[ArchivedFile]


def archive(directory: Path, redactor: Redactor) -> bytes:
    """All regular files of a run directory, below its name, and `manifest.json`. Raises `KataError` io."""
    import zipfile  # slow to import

    before = redactor.count
    files = {name: _redacted(name, read_file(directory / name), redactor) for name in _names(directory)}
    manifest = Manifest(
        run_id=directory.name,
        redactions=redactor.count - before,
        files=[_described(name, data) for name, data in files.items()],
    )
    files["manifest.json"] = msgspec.json.format(encode_json(manifest), indent=2) + b"\n"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as written:
        for name, data in files.items():
            entry = zipfile.ZipInfo(f"{directory.name}/{name}", FIXED_TIME)
            entry.create_system, entry.external_attr = 3, MODE << 16
            written.writestr(entry, data, zipfile.ZIP_DEFLATED, 6)
    return made.getvalue()


def _names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in _files(directory))


def _files(directory: Path) -> Iterator[Path]:
    """Symlinks and what is half written are no evidence; who works on the run is nobody else's business."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            if not (path.is_symlink() or name == OWNER_FILE or name.startswith(".")):
                yield path


def _redacted(name: str, data: bytes, redactor: Redactor) -> bytes:
    """A file without secrets, byte for byte the same if there are none; JSON stays JSON."""
    if name.endswith(".jsonl"):
        return b"".join(_json(line, redactor) + b"\n" for line in split_lines(data))
    return _json(data, redactor) if name.endswith(".json") else _text(data, redactor)


def _json(data: bytes, redactor: Redactor) -> bytes:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _text(data, redactor)
    before = redactor.count
    redacted = redactor.value(value)
    return data if redactor.count == before else encode_json(redacted)


def _text(data: bytes, redactor: Redactor) -> bytes:
    text = data.decode("utf-8", "replace")
    before = redactor.count
    redacted = redactor.text(text)
    return data if redactor.count == before else redacted.encode()


def _described(name: str, data: bytes) -> ArchivedFile:
    return ArchivedFile(path=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
