"""The process's streams as the commands use them, and the one form in which failures are told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kata_cli.core.errors import Exit, Failure, KataError, document
from kata_cli.core.text import neutral, one_line
from kata_cli.output.console import Writer, refusal

if TYPE_CHECKING:
    from kata_cli.core.redact import Redactor

LINE_CHARS = 4000
STOPPED = (Exit.DEADLINE, Exit.HUP, Exit.INT, Exit.TERM)
STOPPED_FLUSH_S = 0.5
# What a command found is lost with its output; any other failure says by its own code what was wrong first.
YIELDS_TO_IO = (Exit.OK, Exit.FINDINGS)

stdout = Writer(1)
stderr = Writer(2)
_redactor: Redactor | None = None
_told: list[Failure] = []


class Refused(KataError):
    """A failure before the run existed, with the runtime mode that had been decided, and by what."""

    def __init__(self, failure: Failure, runtime_mode: str, mode_source: str) -> None:
        super().__init__(failure.code, failure.message)
        self.failure = failure
        self.runtime_mode = runtime_mode
        self.mode_source = mode_source


def fill_closed_descriptors() -> None:
    """Put an empty stdin, or an output that refuses, behind each standard descriptor the caller has closed.

    Without it the next file to be opened, the journal perhaps, would become stdout.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # Takes the lowest number that is free: this one. Writing to it is refused.
            os.open(os.devnull, os.O_RDONLY)


def redactor() -> Redactor:
    """The process's one redactor: whoever finds a secret teaches it, all that is told goes through it."""
    global _redactor
    if _redactor is None:
        from kata_cli.core.redact import Redactor

        _redactor = Redactor()
    return _redactor


def say(line: str) -> None:
    """One line on stderr."""
    stderr.write(f"{neutral(_clean(line))}\n".encode("utf-8", "backslashreplace"))


def warn(warnings: list[str]) -> None:
    """A line on stderr for each."""
    for warning in warnings:
        say(f"warning: {warning}")


def put(text: str) -> None:
    """Text on stdout, made safe to show."""
    stdout.write(neutral(_clean(text)).encode("utf-8", "backslashreplace"))


def put_json(value: object) -> None:
    """One JSON document on stdout."""
    stdout.write(_document(value))


def _clean(text: str) -> str:
    """No command shows a secret that it has learned; most never learn one."""
    return text if _redactor is None else _redactor.text(text)


def _document(value: object) -> bytes:
    import msgspec

    from kata_cli.output.machine import encode

    return encode(value if _redactor is None else _redactor.value(msgspec.to_builtins(value)))


def tell(failure: Failure, *, as_json: bool, runtime_mode: str | None = None) -> None:
    """A failure on stderr: two lines for a person, one document for a program."""
    _told.append(failure)
    if as_json:
        stderr.write(_document(document(failure, runtime_mode)))
        return
    say(one_line(f"kata: {failure.message}", LINE_CHARS))
    say(one_line(f"hint: {failure.hint}", LINE_CHARS))


def ended(failure: Failure | None, *, as_json: bool, runtime_mode: str | None = None) -> int:
    """The exit status of a command that has said all but this: what failed, if anything did."""
    if failure is None:
        return Exit.OK
    tell(failure, as_json=as_json, runtime_mode=runtime_mode)
    return failure.exit


def close(code: int, *, as_json: bool = False) -> int:
    """Wait until everything is written, and tell once that stdout refused, if so. The exit status.

    A command that was stopped does not wait for a reader who may never come.
    """
    stdout.flush(STOPPED_FLUSH_S if code in STOPPED else None)
    if stdout.error is not None:
        lost = refusal(stdout.error)
        if lost not in _told:
            tell(lost, as_json=as_json)
        code = Exit.IO if code in YIELDS_TO_IO else code
    stderr.flush(STOPPED_FLUSH_S if code in STOPPED else None)
    return int(code)


def end(code: int) -> None:
    """Leave without the interpreter's own long goodbye; everything is flushed and closed."""
    os._exit(code)
