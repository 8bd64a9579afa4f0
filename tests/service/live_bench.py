"""The service of live sessions on a real socket, over a real store and a model that answers by script."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from kata_cli.core.clock import SystemClock
from kata_cli.core.events import ContentDelta, Event, ReplyFinished
from kata_cli.core.messages import ModelInfo, ModelRef, Reply, Request, ToolCall
from kata_cli.core.redact import Redactor
from kata_cli.core.session import CompactionEntry, Session
from kata_cli.service import routes
from kata_cli.service.connections import Limits as ConnectionLimits
from kata_cli.service.connections import uvicorn_options
from kata_cli.service.documents import Create, Send
from kata_cli.service.guard import Guard, guarded
from kata_cli.service.rpc_socket import SocketLimits
from kata_cli.service.sessions import Sessions
from kata_cli.service.sockets import Sockets
from kata_cli.service.workplace import Limits, Workplace
from kata_cli.service.workspace import Workspace
from kata_cli.store.session_index import open_sessions
from service.loopback import WAIT_S, Loopback, listen, port_of

TOKEN = "t" * 43
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MODEL = ModelRef("script", "one")

SOCKET_BYTES = 16_384  # little, so that a client that does not read is soon noticed

T = TypeVar("T")


def small_listener() -> socket.socket:
    """A free port whose connections hold little that is not sent."""
    listener = listen()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return listener


def slow_socket(port: int) -> socket.socket:
    """A connection that holds little that is not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    client.connect(("127.0.0.1", port))
    return client


class Script:
    """A provider whose answer depends on the last message alone.

    `count N`: N pieces. `hold`: a piece, then nothing until `release`. `large N`: N pieces of 64 KiB.
    `tool`: a call of the client's tool, whose result is the next answer. `bug`: raises.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        message = request.messages[-1]
        word, _, number = message.text.partition(" ")
        calls: tuple[ToolCall, ...] = ()
        pieces = []
        if word == "hold":
            pieces = ["begun "]
        elif word == "count":
            pieces = [f"{n} " for n in range(int(number))]
        elif word == "large":
            pieces = ["word " * 13_000] * int(number)
        if word == "bug":
            raise RuntimeError("a bug of the script")
        if word == "tool" and message.role == "user":
            calls = (ToolCall(id="c1", name="look", arguments='{"at":1}'),)
        for piece in pieces:
            await asyncio.sleep(0)
            yield ContentDelta(task=request.task, text=piece)
        if word == "hold":
            await self.gate.wait()
        text = "".join(pieces) or f"answer to {message.text}"
        reply = Reply(text=text, model="one", calls=calls, stop="tool_use" if calls else "stop")
        yield ReplyFinished(reply=reply)

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(provider="script", id="one")]

    async def steer(self, task: str, text: str) -> bool:
        return False

    async def leave(self, task: str) -> None:
        return None

    async def aclose(self) -> None:
        return None


def story(events: Iterable[Any]) -> list[str]:
    """What events tell: their types, and in place of pieces of an answer, the text that they come to."""
    told: list[str] = []
    for kind, group in groupby(events, lambda event: str(event["type"])):
        found = list(group)
        told += ["".join(event["text"] for event in found)] if kind == "delta" else [kind] * len(found)
    return told


class Backend:
    """One model, and no summaries."""

    def __init__(self) -> None:
        self.provider = Script()
        self.listing = asyncio.Event()  # `models` waits for it
        self.listing.set()
        self.asking = 0

    async def choose(self, model: str) -> ModelRef:
        if model == "bug":
            raise RuntimeError("a bug of the backend")
        return MODEL

    async def models(self) -> list[ModelInfo]:
        self.asking += 1
        await self.listing.wait()
        self.asking -= 1
        return await self.provider.models()

    def system(self, session: Session) -> str:
        return "answer"

    async def summary(self, session: Session) -> CompactionEntry | None:
        return None


def workplace(root: Path, backend: Backend, bugs: list[BaseException]) -> Workplace:
    """What sessions below `root` work with. Their ids count up."""
    (root / "work").mkdir(exist_ok=True)
    ids = iter(range(1, 1000))
    return Workplace(
        trees=open_sessions(root / "state"),
        backend=backend,
        workspace=Workspace(root / "work"),
        redactor=Redactor(),
        clock=SystemClock(),
        limits=Limits(),
        runtime_mode="mock",
        version="0",
        url="http://127.0.0.1:8765",
        new_id=lambda now_s: f"s-20261121-000000-{next(ids):06}",
        on_bug=bugs.append,
    )


class Site:
    """The service on a loopback port while the `with` block lasts. `on_loop` runs things beside it."""

    def __init__(
        self,
        root: Path,
        *,
        sockets: SocketLimits | None = None,
    ) -> None:
        self.bugs: list[BaseException] = []
        self._root = root
        self._socket_limits = sockets
        listener = small_listener()
        guard = Guard(token=TOKEN, port=port_of(listener))
        options = uvicorn_options(ConnectionLimits())
        self.server = Loopback(guarded(self._app, guard), listener=listener, lifespan="on", **options)
        self.url = self.server.url
        self.socket_url = f"ws://127.0.0.1:{self.server.port}/api/ws"

    def __enter__(self) -> Site:
        self.server.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self.on_loop(self.stop)
        self.server.__exit__(*problem)

    def on_loop(self, do: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something on the server's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(WAIT_S)

    async def stop(self) -> None:
        """What `serve` does before uvicorn stops."""
        await self.sessions.aclose()
        await self.sockets.aclose()

    def create(self) -> str:
        """A new session."""
        return self.on_loop(lambda: self.sessions.create(Create())).id

    def turn(self, session_id: str, message: str) -> list[tuple[str, str]]:
        """Send a message and wait for the end of the turn; ids and types of all events so far."""

        async def send() -> list[tuple[str, str]]:
            stream = await self.sessions.stream(session_id, Send(message=message), None)
            return [(logged.id, logged.type) async for batch in stream for logged in batch][1:]

        return self.on_loop(send)

    def send(self, session_id: str, message: str) -> None:
        """Begin a turn."""
        self.on_loop(lambda: self.sessions.send(session_id, Send(message=message)))

    def wait_for_turn(self, session_id: str) -> None:
        """Wait until no turn is under way."""

        async def wait() -> None:
            live = self.sessions.pool.get(session_id)
            assert live is not None
            while live.is_running:
                await anext(live.log.follow(live.log.last_id))

        self.on_loop(wait)

    def release(self) -> None:
        """Let a `hold` go on."""
        self._loop.call_soon_threadsafe(self.backend.provider.gate.set)

    def tasks(self) -> set[asyncio.Task[Any]]:
        """All that the loop does now."""

        async def found() -> set[asyncio.Task[Any]]:
            return asyncio.all_tasks() - {asyncio.current_task()}

        return self.on_loop(found)

    def wait_for_end_of_all_but(self, tasks: set[asyncio.Task[Any]], spared: int = 0) -> None:
        """Wait until the loop does nothing but these, and so many other things; fails if it goes on."""

        async def wait() -> None:
            async with asyncio.timeout(WAIT_S):
                while len(others := asyncio.all_tasks() - tasks - {asyncio.current_task()}) > spared:
                    await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)

        self.on_loop(wait)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self._open()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await self._routes(scope, receive, send)

    def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.backend = Backend()
        self.sessions = Sessions(workplace(self._root, self.backend, self.bugs))
        self.sockets = Sockets(self.sessions, TOKEN, self._socket_limits)
        self._routes = routes.app(self.sessions, self.sockets)


class Peer:
    """A client of the WebSocket: answers by id, notifications in their order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.socket = connection
        self._sent = 0
        self._answers: dict[object, Any] = {}
        self._told: list[Any] = []

    async def ask(self, method: str, **params: Any) -> Any:
        """The result of a call. Raises `Refused`."""
        answer = await self.answer(method, params)
        if "error" in answer:
            raise RefusedError(answer["error"])
        return answer["result"]

    async def answer(self, method: str, params: object) -> Any:
        """The whole answer to a call."""
        self._sent += 1
        id = self._sent
        await self._send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        while id not in self._answers:
            await self._read()
        return self._answers.pop(id)

    async def tell(self, method: str, **params: Any) -> None:
        """A call that is not answered."""
        await self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def event(self) -> Any:
        """The next event."""
        return (await self.told("event"))["params"]

    async def told(self, method: str) -> Any:
        """The next notification of a kind; others before it are dropped."""
        while True:
            while not self._told:
                await self._read()
            if (told := self._told.pop(0))["method"] == method:
                return told

    async def events_to_end(self) -> list[Any]:
        """All events until the service closes the connection."""
        events = []
        with suppress(ConnectionClosed):
            while True:
                events.append(await self.event())
        return events

    async def _send(self, call: dict[str, Any]) -> None:
        await self.socket.send(msgspec.json.encode(call).decode())

    async def _read(self) -> None:
        message = msgspec.json.decode(await asyncio.wait_for(self.socket.recv(), WAIT_S))
        if "method" in message:
            self._told.append(message)
        else:
            self._answers[message["id"]] = message


class RefusedError(Exception):
    """A call was answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error
