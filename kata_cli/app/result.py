"""The result of a run on its way out: the text itself, the `-o` file, the stream on stdout."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.events import DraftCreated, Recorded, TaskFinished
from kata_cli.core.text import NeutralStream, neutral
from kata_cli.output.machine import ResultBody
from kata_cli.spec.document import Document
from kata_cli.spec.render import render
from kata_cli.store.atomic import make_dirs, write_file
from kata_cli.workflows.model import Result


def body_of(result: Result, recorded: list[Recorded]) -> ResultBody | None:
    """The result as text, from the stored events alone; None when the result task did not complete."""
    for entry in reversed(recorded):
        match entry.event:
            case DraftCreated(document=document) if result.kind == "spec":
                return ResultBody(kind="spec", text=_markdown(document), document=document)
            case TaskFinished(task=result.task, status="completed", output=output) if result.kind != "spec":
                return ResultBody(kind=result.kind, text=neutral(output).strip() + "\n")
    return None


def _markdown(document: dict[str, Any]) -> str:
    return render(msgspec.convert(document, Document))


class TextStream:
    """A text answer as it arrives: what it has shown in the end is exactly the result's text."""

    def __init__(self) -> None:
        self._neutral = NeutralStream()
        self._blank = ""
        self.has_text = False

    def feed(self, text: str) -> str:
        """The part to show now; white space at either end of the answer never is."""
        shown = self._blank + self._neutral.feed(text)
        if not self.has_text:
            shown = shown.lstrip()
        kept = shown.rstrip()
        self._blank = shown[len(kept) :]
        self.has_text = self.has_text or bool(kept)
        return kept

    def finish(self) -> str:
        """The last part with the closing line end."""
        rest = (self._blank + self._neutral.flush()).rstrip()
        return f"{rest}\n" if self.has_text or rest else ""


class OutputFile:
    """The file of `-o`: checked before the first request, written whole or not at all.

    `ledger` holds, per path, a hash of what kata wrote there, so that a draft edited by hand is not lost.
    """

    def __init__(self, path: Path, ledger: Path) -> None:
        self.path = path
        self._entry = ledger / hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]

    def check(self, *, is_forced: bool) -> None:
        """Refuse a path that could not be written, or that holds what kata did not write.

        Raises `KataError`: io for the place, usage for the content.
        """
        folder = self.path.parent
        if self.path.is_dir():
            raise KataError("io", f"cannot write {self.path}: it is a directory", "name a file after -o")
        if not folder.is_dir():
            raise KataError(
                "io", f"cannot write {self.path}: there is no directory {folder}", f"mkdir -p {folder}"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise KataError("io", f"cannot write {self.path}: no permission in {folder}", f"ls -ld {folder}")
        if not is_forced and self._holds_foreign_text():
            raise KataError(
                "usage",
                f"{self.path} holds text that kata did not write there, or that was edited since",
                "--force to replace it, or name another file after -o",
            )

    def write(self, text: str) -> None:
        """Replace the file. Raises `KataError` io, the old content is then intact."""
        data = text.encode()
        if self._is_special():
            self._pour(data)
            return
        write_file(self.path, data, mode=0o644)
        make_dirs(self._entry.parent)
        write_file(self._entry, hashlib.sha256(data).hexdigest().encode())

    def _is_special(self) -> bool:
        """A device or pipe is written to; replacing it by a file would be a disaster (`-o /dev/null`)."""
        return self.path.exists() and not self.path.is_file()

    def _pour(self, data: bytes) -> None:
        try:
            # A pipe that nobody reads is refused here; a blocking open would wait for a reader for ever.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.set_blocking(descriptor, True)
            with open(descriptor, "wb") as file:
                file.write(data)
        except OSError as error:
            raise KataError(
                "io", f"cannot write {self.path}: {error.strerror}", "name a file after -o"
            ) from None

    def _holds_foreign_text(self) -> bool:
        if self._is_special():
            return False
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise KataError("io", f"cannot read {self.path}: {error.strerror}") from None
        if not data:
            return False
        try:
            return self._entry.read_bytes() != hashlib.sha256(data).hexdigest().encode()
        except OSError:
            return True
