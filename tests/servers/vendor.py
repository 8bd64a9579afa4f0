"""A vendor on loopback that speaks the real wire formats and misbehaves on demand.

    with VendorServer([Reply(text="hi")]) as server:
        ...  # ANTHROPIC_BASE_URL=server.base_url, OPENAI_BASE_URL=server.openai_url
    server.requests[0].body

A script is a list of behaviours, one per request in order, of which the last one repeats; or a function from
the request to a behaviour. As a program: `python -m servers.vendor --script FILE.json --log FILE.jsonl`
prints its base URL and serves until its stdin ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from servers import wire
from servers.behaviours import Behaviour, Models, Raw, Reply, Script, Seen, Status, redirect

__all__ = [
    "Behaviour",
    "Models",
    "Raw",
    "Reply",
    "Script",
    "Seen",
    "Status",
    "VendorServer",
    "asked_schema",
    "redirect",
]

DEFAULT_MODELS = Models()


class VendorServer:
    """Serves a script on a port of its own, in a thread of its own, while the `with` block lasts."""

    def __init__(self, script: Script | None = None) -> None:
        self.requests: list[Seen] = []
        self.open_connections = 0
        self.accepted = 0
        self._script: Script = script if script is not None else [Reply()]
        self._answered = 0
        self._is_ready = threading.Event()
        self._is_idle = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        host, port = self._listener.getsockname()
        self.base_url = f"http://{host}:{port}"

    @property
    def openai_url(self) -> str:
        return f"{self.base_url}/v1"

    @property
    def host(self) -> str:
        return self.base_url.removeprefix("http://")

    def __enter__(self) -> VendorServer:
        self._thread.start()
        self._is_ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def is_left_alone(self, timeout_s: float = 5.0) -> bool:
        """Whether every client has hung up, now or within the time given."""
        with self._is_idle:
            return self._is_idle.wait_for(lambda: self.open_connections == 0, timeout_s)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, sock=self._listener)
        self._is_ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # asyncio leaves this to us for a listener that was not made by it: 40 ms an answer otherwise.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._count(+1)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()
            self._count(-1)

    def _count(self, step: int) -> None:
        with self._is_idle:
            self.open_connections += step
            self.accepted += step > 0
            self._is_idle.notify_all()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False when the connection is to end."""
        seen = await read_request(reader)
        self.requests.append(seen)
        behaviour = self._behaviour(seen)
        match behaviour:
            case Reply():
                return await _send_reply(seen, behaviour, reader, writer)
            case Raw():
                writer.write(behaviour.data.encode("latin-1"))
                await _leave(behaviour.is_reset, behaviour.is_stalled, reader, writer)
                return False
            case Models():
                writer.write(_whole(200, json.dumps(_page(seen, behaviour)).encode()))
            case Status():
                writer.write(_status(behaviour))
        await writer.drain()
        return True

    def _behaviour(self, seen: Seen) -> Behaviour:
        if callable(self._script):
            return self._script(seen)
        if seen.path.endswith("/models") and not any(
            isinstance(step, Models | Status) for step in self._script
        ):
            return DEFAULT_MODELS
        number = min(self._answered, len(self._script) - 1)
        self._answered += 1
        return self._script[number]


async def read_request(reader: asyncio.StreamReader) -> Seen:
    """The next request of a connection. Raises `IncompleteReadError` when there is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    try:
        body: Any = json.loads(raw) if raw else None
    except ValueError:
        body = raw.decode("latin-1")
    return Seen(method=method, path=url.path, query=query, headers=headers, body=body)


async def _send_reply(
    seen: Seen, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    headers = {
        "content-type": reply.content_type,
        "transfer-encoding": "chunked",
        "request-id": "req_1",
        **reply.headers,
    }
    writer.write(_head(200, headers))
    for piece in _cut(_stream(seen, reply), reply):
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if reply.piece_bytes:
            # Each piece is to be a read of its own for the client.
            await writer.drain()
            await asyncio.sleep(0)
    if reply.cut_at is not None:
        await _leave(reply.is_reset, reply.is_stalled, reader, writer)
        return False
    if reply.end_after_s:
        await writer.drain()
        await asyncio.sleep(reply.end_after_s)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _stream(seen: Seen, reply: Reply) -> list[bytes]:
    content: wire.Content = reply
    if reply.is_example:
        text = json.dumps(wire.example(asked_schema(seen) or {}))
        content = msgspec.structs.replace(reply, text=text, chunks=None)
    return wire.events(api_of(seen.path), content)


def _cut(pieces: list[bytes], reply: Reply) -> list[bytes]:
    """The pieces up to `cut_at`, in the size that was asked for."""
    whole = b"".join(pieces)
    if reply.cut_at is None and not reply.piece_bytes:
        return pieces
    whole = whole if reply.cut_at is None else whole[: reply.cut_at]
    size = reply.piece_bytes or max(1, len(whole))
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def api_of(path: str) -> wire.Api:
    """Which wire format a path belongs to."""
    if path.endswith("/messages"):
        return "messages"
    return "responses" if path.endswith("/responses") else "chat"


def asked_schema(seen: Seen) -> dict[str, Any] | None:
    """The JSON Schema of a request for a structured answer."""
    body = seen.body or {}
    places = (
        body.get("output_config", {}).get("format", {}).get("schema"),
        body.get("text", {}).get("format", {}).get("schema"),
        body.get("response_format", {}).get("json_schema", {}).get("schema"),
    )
    return next((place for place in places if place is not None), None)


def _page(seen: Seen, models: Models) -> dict[str, Any]:
    ids = [row.get("id") for row in models.rows]
    after = seen.query.get("after_id")
    first = ids.index(after) + 1 if after in ids else 0
    rows = models.rows[first : first + models.page_size]
    has_more = first + len(rows) < len(models.rows)
    return {"data": rows, "has_more": has_more, "last_id": rows[-1].get("id") if rows else None}


def _status(answer: Status) -> bytes:
    if answer.text is not None:
        return _whole(answer.status, answer.text.encode(), answer.headers, answer.content_type)
    error = {"type": answer.error_type, "message": answer.message}
    if answer.code is not None:
        error["code"] = answer.code
    body = answer.body if answer.body is not None else {"type": "error", "error": error}
    return _whole(answer.status, json.dumps(body).encode(), answer.headers, answer.content_type)


def _whole(
    status: int, body: bytes, headers: dict[str, str] | None = None, kind: str = "application/json"
) -> bytes:
    length = {"content-type": kind, "content-length": str(len(body)), "request-id": "req_1"}
    return _head(status, {**length, **(headers or {})}) + body


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _leave(
    is_reset: bool, is_stalled: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await writer.drain()
    if is_stalled:
        await reader.read()
    if is_reset:
        # Linger of zero seconds turns the close into a reset.
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )


def main() -> None:
    """Serve a script file until stdin ends."""
    parser = argparse.ArgumentParser(description="a scripted vendor on loopback")
    parser.add_argument("--script", type=Path, help="JSON list of behaviours, each with its `type`")
    parser.add_argument("--log", type=Path, help="where the requests go at the end, one JSON line each")
    options = parser.parse_args()
    script: list[Behaviour] = [Reply()]
    if options.script is not None:
        script = msgspec.json.decode(options.script.read_bytes(), type=list[Behaviour])
    with VendorServer(script) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()
    if options.log is not None:
        options.log.write_bytes(b"".join(msgspec.json.encode(seen) + b"\n" for seen in server.requests))


if __name__ == "__main__":
    main()
