"""The service on a socket, from the first connection to an orderly end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import uvicorn

from kata_cli.core.errors import Failure, KataError
from kata_cli.core.stop import Stop
from kata_cli.service import routes
from kata_cli.service.connections import BACKLOG, Limits, uvicorn_options
from kata_cli.service.guard import Guard, guarded
from kata_cli.service.sessions import Sessions
from kata_cli.service.sockets import Sockets
from kata_cli.service.workplace import Workplace

LOGGERS = ("uvicorn", "asyncio")
DRAIN_S = 1.5  # how long answers under way may take once the service stops


class Listener:
    """A socket that listens. `url` is what clients on this machine call."""

    def __init__(self, host: str, port: int) -> None:
        """Raises `KataError` io: the address is taken, or is none of this machine."""
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
            # asyncio sets it only for sockets that it made; without it each later answer waits for 40 ms.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, UnicodeError) as error:
            reason = str(getattr(error, "strerror", None) or error).partition(" (")[0]  # repeats the address
            told = f"cannot listen on {host}:{port}: {reason}"
            raise KataError("io", told, "choose another --port, or 0 for a free one") from None
        self.port: int = self.socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"

    def close(self) -> None:
        self.socket.close()


class _Bugs(logging.Handler):
    """Takes what libraries log: tracebacks are bugs of ours, the rest only says what clients do wrong."""

    def __init__(self, on_bug: Callable[[BaseException], None]) -> None:
        super().__init__()
        self._on_bug = on_bug

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self._on_bug(record.exc_info[1])


@contextmanager
def _logged(on_bug: Callable[[BaseException], None]) -> Iterator[None]:
    """Without a handler logging writes to stderr, whatever clients make it write, and past the redactor."""
    handler = _Bugs(on_bug)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)


class _Server(uvicorn.Server):
    """uvicorn without its own handling of signals, which would end the process behind our back."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    place: Workplace,
    listener: Listener,
    *,
    token: str,
    hosts: Sequence[str],
    limits: Limits,
    stop: Stop,
) -> Failure:
    """Serve until the stop, then drain: streams get a `bye`, agents end. Returns why it stopped."""
    sessions = Sessions(place)
    sockets = Sockets(sessions, token)
    guard = Guard(token=token, port=listener.port, hosts=hosts, runtime_mode=place.runtime_mode)
    server = _Server(
        uvicorn.Config(
            guarded(routes.app(sessions, sockets), guard),
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
            **uvicorn_options(limits),
        )
    )
    with _logged(place.on_bug):
        running = asyncio.create_task(server.serve([listener.socket]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await sessions.aclose()
            await sockets.aclose()
        finally:
            server.should_exit = True
            await running
            stopping.cancel()
    return stop.failure or Failure(code="unexpected_error", message="the server ended by itself")
