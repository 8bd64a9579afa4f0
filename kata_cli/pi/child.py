"""A process of Pi: spawned confined, watched, and stopped so that nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kata_cli.core.children import tied
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.jsonl import LineTooLong
from kata_cli.core.text import one_line
from kata_cli.pi.rpc import Rpc

STDERR_BYTES = 64 * 1024
TAIL_BYTES = 4096
EOF_S, TERM_S, KILL_S = 0.5, 2.0, 0.5
# How long the last bytes of a dead process, or the end of one that closed its output, may take to arrive.
LAST_WORDS_S = 0.05
STOPPED = Failure(code="agent_unavailable", message="Pi was stopped", provider="pi")

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class Child(asyncio.SubprocessProtocol):
    """One live process; `rpc` speaks to it. Made by `spawn`."""

    def __init__(self, command_s: float, redact: Callable[[str], str]) -> None:
        self.rpc = Rpc(self._send, command_s=command_s)
        self._redact = redact
        self._transport: asyncio.SubprocessTransport | None = None
        self._stderr = bytearray()
        self._has_lost_stderr = False
        self._open_pipes = {_STDOUT, _STDERR}
        self._exited = asyncio.Event()
        self._is_ended = False

    @property
    def pid(self) -> int:
        return self._live.get_pid()

    @property
    def is_alive(self) -> bool:
        return self.rpc.failure is None

    @property
    def stderr(self) -> str:
        """The last 4 KiB of what it said on stderr, redacted."""
        kept = bytes(self._stderr)
        if self._has_lost_stderr:
            # Half a line could hold half a key, which no redactor would know.
            kept = kept.partition(b"\n")[2]
        return self._redact(kept.decode("utf-8", "replace"))[-TAIL_BYTES:]

    def resume(self) -> None:
        """Read on, after a pause because nobody took what had come."""
        if _STDOUT in self._open_pipes:
            self._pipe(_STDOUT).resume_reading()

    async def stop(self) -> None:
        """End the process and its group: abort, end of input, TERM, KILL; within 3 s, whatever it does.

        A run that is under way is told so at once.
        """
        if self.rpc.listener is not None:
            self.rpc.listener.fail(STOPPED)
        self.rpc.listener = None
        try:
            if not self._exited.is_set():
                self.resume()
                await self._persuade()
        finally:
            self._end(STOPPED)
            await self._has_exited(KILL_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self._keep(data)
        elif not self._is_ended:
            self._hear(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_pipes.discard(fd)
        if fd == _STDOUT or self._exited.is_set():
            self._end_soon()

    def process_exited(self) -> None:
        self._exited.set()
        if self._is_ended:
            self._live.close()
        else:
            self._end_soon()

    @property
    def _live(self) -> asyncio.SubprocessTransport:
        assert self._transport is not None
        return self._transport

    def _pipe(self, fd: int) -> asyncio.ReadTransport:
        pipe = self._live.get_pipe_transport(fd)
        assert isinstance(pipe, asyncio.ReadTransport)
        return pipe

    def _send(self, line: bytes) -> None:
        pipe = self._live.get_pipe_transport(_STDIN)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(line)

    def _hear(self, data: bytes) -> None:
        try:
            self.rpc.feed(data)
        except LineTooLong as error:
            self._end(self._failure(f"Pi broke the protocol: {error}", should_retry=False))
        turn = self.rpc.listener
        if turn is not None and turn.is_full and _STDOUT in self._open_pipes:
            self._pipe(_STDOUT).pause_reading()

    def _keep(self, data: bytes) -> None:
        self._stderr += data
        if len(self._stderr) > STDERR_BYTES:
            del self._stderr[:-STDERR_BYTES]
            self._has_lost_stderr = True

    def _end_soon(self) -> None:
        if self._exited.is_set() and not self._open_pipes:
            self._end(self._death())
        else:
            asyncio.get_running_loop().call_later(LAST_WORDS_S, lambda: self._end(self._death()))

    def _end(self, failure: Failure) -> None:
        """Tell all that wait, once, and leave nobody of the group behind."""
        if self._is_ended:
            return
        self._is_ended = True
        self.rpc.fail(failure)
        self._signal(signal.SIGKILL)
        if self._exited.is_set():
            self._live.close()

    def _death(self) -> Failure:
        status = self._live.get_returncode()
        if status is None:
            how = "closed its output"
        elif status < 0:
            how = f"was ended by {_signal_name(-status)}"
        else:
            how = f"ended with status {status}"
        return self._failure(f"Pi {how} before it had answered")

    def _failure(self, told: str, *, should_retry: bool | None = None) -> Failure:
        said = one_line(self.stderr, TAIL_BYTES)
        return Failure(
            code="provider_unavailable",
            message=f"{told}: {said}" if said else told,
            remediation="kata doctor",
            provider="pi",
            should_retry=should_retry,
        )

    async def _persuade(self) -> None:
        """All that lets Pi end its own tools; the last word is KILL.

        Without an answer to the abort no end of input follows: 0.74 would obey it and leave a tool running.
        """
        with contextlib.suppress(KataError, TimeoutError):
            async with asyncio.timeout(EOF_S):
                await self.rpc.call("abort")
                self._close_input()
                await self._exited.wait()
        if not self._exited.is_set():
            self._signal(signal.SIGTERM)
            await self._has_exited(TERM_S)

    def _close_input(self) -> None:
        if pipe := self._live.get_pipe_transport(_STDIN):
            pipe.close()

    async def _has_exited(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._exited.wait()
        return self._exited.is_set()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    command_s: float,
    redact: Callable[[str], str],
    death_signal: signal.Signals = signal.SIGKILL,
) -> Child:
    """A new process in a group of its own, that gets `death_signal` when this one dies (see `tied`).

    Raises `KataError` agent_unavailable when it cannot be started.
    """
    loop = asyncio.get_running_loop()
    try:
        _, child = await loop.subprocess_exec(
            lambda: Child(command_s, redact),
            *tied(argv, death_signal),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        told = f"cannot start {argv[0]} in {cwd}: {error.strerror}"
        raise KataError("agent_unavailable", told, "kata doctor") from error
    return child


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
