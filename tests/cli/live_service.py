"""A real `kata serve` for tests of its clients, and a proxy in front of it whose connections break."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from cli.shell import TIMEOUT_S, Shell


class LiveService:
    """A service in mock mode over the home and the project of a shell, while the `with` block lasts."""

    def __init__(self, shell: Shell, *args: str | Path, port: int = 0) -> None:
        self.shell = shell
        self._process = shell.start("serve", "--mode", "mock", "--port", str(port), "--json", *args)
        assert self._process.stdout is not None
        told = self._process.stdout.readline()
        assert told, self._process.communicate()[1]
        serving = json.loads(told)
        self.url: str = serving["url"]
        self.token_file = Path(serving["token_file"])
        self.token = self.token_file.read_text().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End the process as a crash would."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> LiveService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class BreakingProxy:
    """Passes connections on to a service; each breaks at the first read of an answer that `breaks_at` names.

    `breaks_at` gets all that was answered on a connection and the number of connections that broke before.
    """

    def __init__(self, port: int, breaks_at: Callable[[bytes, int], bool]) -> None:
        self.broken = 0
        self.requests = b""
        self._target = port
        self._breaks_at = breaks_at
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> BreakingProxy:
        self._thread.start()
        assert self._is_ready.wait(TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMEOUT_S)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._is_ready.set()
        await self._stop.wait()
        server.close()

    async def _accept(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        service, request = await asyncio.open_connection("127.0.0.1", self._target)
        both = [
            asyncio.create_task(self._ask(client, request)),
            asyncio.create_task(self._answer(service, answer)),
        ]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        for writer in (request, answer):
            writer.close()

    async def _ask(self, client: asyncio.StreamReader, request: asyncio.StreamWriter) -> None:
        """The service knows itself by its own port alone."""
        own, its = f"127.0.0.1:{self._port}".encode(), f"127.0.0.1:{self._target}".encode()
        while data := await client.read(65_536):
            self.requests += data
            request.write(data.replace(own, its))

    async def _answer(self, service: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        told = b""
        while data := await service.read(65_536):
            told += data
            with contextlib.suppress(ConnectionError):
                answer.write(data)
                await answer.drain()
            if self._breaks_at(told, self.broken):
                self.broken += 1
                return
