"""The result of a run on its way out: the text itself, the `-o` file, the stream on stdout."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.app.inputs import MAX_DRAFT_BYTES, text_file
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
    `must_hold` is the text of a draft that is revised: it may be replaced as long as it reads like that.
    """

    def __init__(self, path: Path, ledger: Path, must_hold: str | None = None) -> None:
        self.path = path
        self._must_hold = must_hold
        self._entry = ledger / hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]

    def check(self, *, is_forced: bool) -> None:
        """Refuse a path that could not be written, or that holds what kata did not write.

        Raises `KataError`: io for the place, usage for the content.
        """
        folder = self.path.parent
        if self.path.is_dir():
            raise KataError("io", f"cannot write {self.path}: it is a directory", "name a file")
        if not folder.is_dir():
            raise KataError(
                "io", f"cannot write {self.path}: there is no directory {folder}", f"mkdir -p {folder}"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise KataError("io", f"cannot write {self.path}: no permission in {folder}", f"ls -ld {folder}")
        if self._must_hold is None and not is_forced and self._holds_foreign_text():
            raise KataError(
                "usage",
                f"{self.path} holds text that kata did not write there, or that was edited since",
                "--force to replace it, or name another file",
            )

    def write(self, content: str | bytes) -> list[str]:
        """Replace the file; what a person should hear of it. Raises `KataError` io: the old content stays."""
        data = content.encode() if isinstance(content, str) else content
        self._check_unchanged()
        if self._is_special():
            self._pour(data)
            return []
        write_file(self.path, data, mode=self._mode())
        return self._note(data)

    def _note(self, data: bytes) -> list[str]:
        """Enter the file in the ledger; without room for that it counts as edited by hand."""
        try:
            make_dirs(self._entry.parent)
            write_file(self._entry, hashlib.sha256(data).hexdigest().encode())
        except KataError as error:
            return [f"{self.path} is written, but the next time it needs --force: {error}"]
        return []

    def _mode(self) -> int:
        """A file keeps what its owner allowed others."""
        try:
            return stat.S_IMODE(self.path.stat().st_mode)
        except OSError:
            return 0o644

    def _check_unchanged(self) -> None:
        if self._must_hold is None:
            return
        with suppress(KataError):
            if text_file(self.path, "draft", MAX_DRAFT_BYTES) == self._must_hold:
                return
        raise KataError(
            "io",
            f"{self.path} was changed while kata revised it, and is left as it is",
            f"the new revision is in the run: kata sessions show last; then --revise {self.path} again",
        )

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
