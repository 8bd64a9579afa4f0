"""P-11: 200 live sessions of 20 events a second; P-12: what a token costs on its way through the service.

    python benchmarks/serve.py [--seconds 30] [--sessions 200] [--tokens 20000]

The provider writes the time into each delta, on the clock that all processes of a machine share, so that the
delay is what lies between the provider and the client, the service's socket included. The floor of P-12 is a
bare Starlette endpoint that sends the same bytes as server-sent events. `--seconds 600` is the whole goal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from table import Row, show

from kata_cli.core.clock import SystemClock, random_suffix, run_id
from kata_cli.core.events import ContentDelta, Event, ReplyFinished
from kata_cli.core.messages import ModelInfo, ModelRef, Reply, Request, Usage
from kata_cli.core.ports import Credential, Endpoint, LiveProvider, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.core.session import CompactionEntry, Session
from kata_cli.core.stop import Stop
from kata_cli.providers.service import Policy, ProviderService

RATE = 20
WARM_S = 60  # after which the log of each session is full, and should take no more memory
TOKEN = "t" * 43
FRAME = b'id: 0123abcd.%d\nevent: delta\ndata: {"type":"delta","text":"%.6f\\n","kind":"text"}\n\n'


class Ticker:
    """A provider that writes the time: the message tells how many deltas a second, and how many in all."""

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        rate, count = map(int, request.messages[-1].text.split())
        started_s = asyncio.get_running_loop().time()
        for number in range(count):
            due_s = started_s + number / rate if rate else 0.0
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
            yield ContentDelta(task=request.task, text=f"{time.monotonic():.6f}\n")
        usage = Usage(input=1, output=count)
        yield ReplyFinished(reply=Reply(text="done", model="ticker", usage=usage))

    async def models(self) -> list[ModelInfo]:
        return []

    async def aclose(self) -> None:
        return None


class Keyless:
    def find(self, endpoint: Endpoint) -> Credential:
        return Credential(kind="none")


class Backend:
    """The ticker behind the provider service that every command uses."""

    def __init__(self, redactor: Redactor) -> None:
        self.provider: LiveProvider = ProviderService(
            policy=Policy(mode="mock", mode_source="flag", timeouts=Timeouts()),
            endpoints={},
            credentials=Keyless(),
            clock=SystemClock(),
            on_secret=redactor.learn,
            connect=lambda endpoint, credential, timeouts: Ticker(),
        )

    async def choose(self, model: str) -> ModelRef:
        return ModelRef("mock", "ticker")

    async def models(self) -> list[ModelInfo]:
        return []

    def system(self, session: Session) -> str:
        return ""

    async def summary(self, session: Session) -> CompactionEntry | None:
        return None


async def serve_kata(folder: Path) -> None:
    """The service itself, over a store of its own."""
    from kata_cli.service.connections import Limits as Connections
    from kata_cli.service.server import Listener, serve
    from kata_cli.service.workplace import Limits, Workplace
    from kata_cli.service.workspace import Workspace
    from kata_cli.store.sessions import SessionStore

    listener = Listener("127.0.0.1", 0)
    redactor = Redactor()
    place = Workplace(
        trees=SessionStore(folder),
        backend=Backend(redactor),
        workspace=Workspace(folder),
        redactor=redactor,
        clock=SystemClock(),
        limits=Limits(max_sessions=1_000),
        runtime_mode="mock",
        version="0",
        url=listener.url,
        new_id=lambda now_s: f"s-{run_id(now_s, random_suffix())}",
        on_bug=lambda error: print(error, file=sys.stderr),
    )
    print(listener.port, flush=True)
    connections = Connections(max_connections=2_000)
    await serve(place, listener, token=TOKEN, hosts=(), limits=connections, stop=Stop())


async def serve_bare(folder: Path) -> None:
    """The floor: the same bytes from an endpoint that does nothing else."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request as HttpRequest
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    from kata_cli.service.server import Listener

    async def ticks(count: int) -> AsyncIterator[bytes]:
        for number in range(count):
            await asyncio.sleep(0)
            yield FRAME % (number, time.monotonic())

    async def stream(request: HttpRequest) -> StreamingResponse:
        count = int((await request.json())["message"].split()[1])
        return StreamingResponse(ticks(count), media_type="text/event-stream")

    listener = Listener("127.0.0.1", 0)
    print(listener.port, flush=True)
    app = Starlette(routes=[Route("/api/sessions/{id}/stream", stream, methods=["POST"])])
    config = uvicorn.Config(app, log_config=None, access_log=False, http="httptools", lifespan="off")
    await uvicorn.Server(config).serve([listener.socket])


@contextmanager
def server(kind: str) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and its process id."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, __file__, "--serve", kind, "--folder", folder]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            try:
                yield int(child.stdout.readline()), child.pid
            finally:
                child.kill()


async def post(port: int, path: str, asked: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request and read the head of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    data = json.dumps(asked).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data)
    status = await reader.readline()
    assert status.split()[1] in (b"200", b"201"), status
    while await reader.readline() != b"\r\n":
        pass
    return reader, writer


async def create(port: int) -> str:
    reader, writer = await post(port, "/api/sessions/create", {})
    made = json.loads(await reader.read(65_536))
    writer.close()
    return str(made["id"])


async def ticks_of(port: int, session_id: str, rate: int, count: int, delays: list[float]) -> int:
    """Read one turn; the delay of each tick is added to `delays`. Returns how many came."""
    reader, writer = await post(port, f"/api/sessions/{session_id}/stream", {"message": f"{rate} {count}"})
    came = 0
    while not (line := await reader.readline()).startswith(b"event: done") and line != b"0\r\n":
        if line.startswith(b'data: {"type":"delta"'):
            now_s = time.monotonic()
            for told in json.loads(line[6:])["text"].split():
                delays.append(now_s - float(told))
                came += 1
    writer.close()
    return came


async def created(port: int, sessions: int) -> list[str]:
    return [await create(port) for _ in range(sessions)]


async def crowd(port: int, ids: list[str], seconds: int) -> tuple[list[float], int]:
    """A turn in all sessions at once; the delays in seconds, and how many ticks were lost."""
    sessions = len(ids)
    delays: list[float] = []
    count = RATE * seconds

    async def one(number: int, session_id: str) -> int:
        await asyncio.sleep(number / sessions / RATE)
        return await ticks_of(port, session_id, RATE, count, delays)

    came = await asyncio.gather(*(one(number, name) for number, name in enumerate(ids)))
    return delays, sessions * count - sum(came)


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


def measure_crowd(sessions: int, seconds: int) -> list[Row]:
    with server("kata") as (port, pid):
        ids = asyncio.run(created(port, sessions))
        asyncio.run(crowd(port, ids, min(WARM_S, seconds)))
        before_mb, before_s = rss_mb(pid), cpu_s(pid)
        delays, lost = asyncio.run(crowd(port, ids, seconds))
        used_s, after_mb = cpu_s(pid) - before_s, rss_mb(pid)
    delays.sort()
    what = f"{sessions} sessions, {seconds} s: "
    return [
        Row(
            what + "p99 of the delay, ms", 0, delays[int(len(delays) * 0.99)] * 1_000, 50, is_difference=True
        ),
        Row(what + "median, ms", 0, delays[len(delays) // 2] * 1_000),
        Row(what + "events lost", 0, lost, 0, is_difference=True),
        Row(what + "memory, MB", before_mb, after_mb, 10, is_difference=True),
        Row(what + "CPU, % of a processor", 0, used_s / seconds * 100),
    ]


def measure_token(tokens: int) -> Row:
    taken = {}
    for kind in ("bare", "kata"):
        with server(kind) as (port, pid):
            session_id = asyncio.run(create(port)) if kind == "kata" else "x"
            asyncio.run(ticks_of(port, session_id, 0, tokens // 10, []))
            least_s = []
            for _ in range(3):
                before_s = cpu_s(pid)
                asyncio.run(ticks_of(port, session_id, 0, tokens, []))
                least_s.append(cpu_s(pid) - before_s)
            taken[kind] = min(least_s) * 1e6 / tokens
    return Row("a token through the service / bare SSE, CPU µs", taken["bare"], taken["kata"], 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--serve", choices=["kata", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serving = serve_kata if options.serve == "kata" else serve_bare
        asyncio.run(serving(Path(options.folder)))
        return
    show([measure_token(options.tokens), *measure_crowd(options.sessions, options.seconds)])


if __name__ == "__main__":
    main()
