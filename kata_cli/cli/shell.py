"""The process's streams as the commands use them, and the one form in which failures are told."""

from __future__ import annotations

import os

from kata_cli.core.errors import Exit, Failure, document
from kata_cli.core.text import neutral
from kata_cli.output.console import Writer

stdout = Writer(1)
stderr = Writer(2)


def say(line: str) -> None:
    """One line on stderr."""
    stderr.write(f"{neutral(line)}\n".encode("utf-8", "backslashreplace"))


def put(text: str) -> None:
    """Data on stdout; what is untrusted in it has been neutralised by who made it."""
    stdout.write(text.encode("utf-8", "backslashreplace"))


def put_json(value: object) -> None:
    """One JSON document on stdout."""
    from kata_cli.output.machine import encode

    stdout.write(encode(value))


def tell(failure: Failure, *, as_json: bool, runtime_mode: str | None = None) -> None:
    """A failure on stderr: two lines for a person, one document for a program."""
    if as_json:
        from kata_cli.output.machine import encode

        stderr.write(encode(document(failure, runtime_mode)))
        return
    say(f"kata: {failure.message}")
    if failure.hint:
        say(f"hint: {failure.hint}")


def close(code: int) -> int:
    """Wait until everything is written. The exit status, which is io when stdout refused."""
    stdout.flush()
    if stdout.error is not None and code == Exit.OK:
        tell(Failure(code="io", message=f"cannot write to stdout: {stdout.error.strerror}"), as_json=False)
        code = Exit.IO
    stderr.flush()
    return int(code)


def end(code: int) -> None:
    """Leave without the interpreter's own long goodbye; everything is flushed and closed."""
    os._exit(code)
