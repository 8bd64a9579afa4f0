"""The server around the app: what goes wrong in it reaches neither stderr nor the client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kata_cli.core import loop
from kata_cli.core.errors import Failure
from kata_cli.core.stop import Stop
from kata_cli.service.connections import Limits
from kata_cli.service.server import Listener, serve
from service.service_world import World

TOKEN = "t" * 43


@contextmanager
def _no_logging() -> Iterator[None]:
    """As in the process, where nobody has set logging up: what no handler takes goes to stderr."""
    handlers, logging.root.handlers = logging.root.handlers, []
    try:
        yield
    finally:
        logging.root.handlers = handlers


async def _ask(port: int, request: bytes) -> bytes:
    """All that is answered until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


def _get(path: str, port: int, *more: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {TOKEN}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def _served(world: World, scene: Callable[[int], Awaitable[bytes]]) -> bytes:
    """What a scene gets from a server that is stopped after it."""

    async def main() -> bytes:
        place, listener, stop = world.place(), Listener("127.0.0.1", 0), Stop()
        serving = asyncio.create_task(
            serve(place, listener, token=TOKEN, hosts=(), limits=Limits(), stop=stop)
        )
        try:
            return await scene(listener.port)
        finally:
            stop.request(Failure(code="interrupted", message="stopped"))
            await serving
            listener.close()

    with _no_logging():
        return loop.run(main())


def test_a_bug_is_kept_and_neither_shown_nor_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The client gets one line; the traceback goes where bugs are kept, and not to stderr."""
    world = World(tmp_path)

    async def broken() -> None:
        raise RuntimeError("a secret in a traceback")

    async def scene(port: int) -> bytes:
        world.backend.models = broken  # type: ignore[assignment,method-assign]
        return await _ask(port, _get("/api/models", port, "Connection: close"))

    answer = _served(world, scene)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"unexpected_error" in answer
    assert b"secret" not in answer
    assert {str(bug) for bug in world.bugs} == {"a secret in a traceback"}
    assert capfd.readouterr().err == ""


def test_what_is_no_http_leaves_no_line_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever sends garbage gets 400, and cannot fill the log of the service with it."""
    world = World(tmp_path)
    answer = _served(world, lambda port: _ask(port, b"\x16\x03\x01 garbage\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert capfd.readouterr().err == ""
    assert world.bugs == []


def test_a_handshake_elsewhere_is_refused_with_a_document(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A WebSocket to an address that has none gets 404 and the error document, like any other request."""
    key = f"Sec-WebSocket-Key: {'a' * 22}=="
    handshake = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
    world = World(tmp_path)
    answer = _served(world, lambda port: _ask(port, _get("/api/sessions", port, *handshake)))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"kata.error/v1" in answer
    assert capfd.readouterr().err == ""


def test_s1_a_refused_request_does_not_repeat_a_key(tmp_path: Path) -> None:
    """What a client has named wrongly is shown to it, but for secrets."""
    world = World(tmp_path)
    world.redactor.learn("canary-4711-a-key-that-nobody-may-see")
    path = "/api/sessions/canary-4711-a-key-that-nobody-may-see"
    answer = _served(world, lambda port: _ask(port, _get(path, port, "Connection: close")))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"canary" not in answer
