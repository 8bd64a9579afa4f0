"""The process's own streams: bytes out through a thread, facts about terminals, one place for colour.

Nothing writes to fd 1 or 2 from the loop's thread: a reader that is slow would stall the loop and every
idle time-out in it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from kata_cli.core.errors import Failure

if TYPE_CHECKING:
    import asyncio

HIGH_WATER_BYTES = 1_048_576
CHUNK_BYTES = 65_536


class Sink(Protocol):
    """Where the result of a run goes. `error` is why it took no more, if so."""

    error: OSError | None

    def write(self, data: bytes) -> None: ...

    async def room(self) -> None: ...

    def flush(self, timeout_s: float | None = None) -> bool: ...


class Writer:
    """Writes bytes to one file descriptor, in order, from a thread that starts with the first of them.

    A closed pipe is quiet: what follows is dropped and `is_broken` is set. Any other refusal is kept in
    `error`. `is_inline` writes at once, for loops on virtual time.
    """

    def __init__(self, fd: int, *, is_inline: bool = False) -> None:
        self._fd = fd
        self._is_inline = is_inline
        self._pending = bytearray()
        self._is_writing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._on_room: Callable[[], object] | None = None
        self.is_broken = False
        self.error: OSError | None = None

    def write(self, data: bytes) -> None:
        """Queue bytes; never blocks unless inline."""
        if not data or self.is_broken or self.error is not None:
            return
        if self._is_inline:
            self._write_out(data)
            return
        with self._changed:
            self._pending += data
            if self._thread is None:
                self._thread = threading.Thread(target=self._drain, name=f"writer-{self._fd}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    @property
    def is_full(self) -> bool:
        return len(self._pending) > HIGH_WATER_BYTES

    async def room(self) -> None:
        """Wait until the reader has taken enough for more to be queued."""
        import asyncio  # most commands have no loop

        loop = asyncio.get_running_loop()
        while self.is_full:
            waiter = loop.create_future()
            with self._changed:
                self._on_room = partial(loop.call_soon_threadsafe, _resolve, waiter)
            if self.is_full:
                await waiter

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all is written. False when `timeout_s` passed first."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while self._pending or self._is_writing:
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return False
                # Short waits: a lock held across a signal handler must not end the process late.
                self._changed.wait(0.1 if left_s is None else min(left_s, 0.1))
        return True

    def _drain(self) -> None:
        while True:
            with self._changed:
                while not self._pending:
                    self._is_writing = False
                    self._changed.notify_all()
                    self._changed.wait()
                chunk = bytes(self._pending[:CHUNK_BYTES])
                del self._pending[:CHUNK_BYTES]
                self._is_writing = True
            self._write_out(chunk)
            with self._changed:
                if not self.is_full and self._on_room is not None:
                    self._on_room()
                    self._on_room = None

    def _write_out(self, data: bytes) -> None:
        view = memoryview(data)
        while view and not self.is_broken and self.error is None:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                select.select([], [self._fd], [], 1.0)
            except BrokenPipeError:
                self._give_up()
            except OSError as error:
                self.error = error
                self._give_up()

    def _give_up(self) -> None:
        self.is_broken = self.error is None
        with self._changed:
            self._pending.clear()


def refusal(error: OSError) -> Failure:
    """The failure of a command whose stdout refused what it had to say."""
    hint = "give stdout room, or a file or pipe that is open"
    return Failure(code="io", message=f"cannot write to stdout: {error.strerror}", remediation=hint)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def is_terminal(fd: int) -> bool:
    """Whether the descriptor is a terminal; a closed one is none."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def columns(fd: int) -> int:
    """The width of a terminal, 80 where it does not say."""
    try:
        return os.get_terminal_size(fd).columns or 80
    except OSError:
        return 80


def wants_colour(choice: str, env: Mapping[str, str], *, is_tty: bool) -> bool:
    """The colour decision: flag, then NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE, TERM, the stream itself.

    Rules: no-color.org, force-color.org and bixense.com/clicolors.
    """
    if choice != "auto":
        return choice == "always"
    if env.get("NO_COLOR"):
        return False
    if any(env.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return is_tty and env.get("TERM") != "dumb"
