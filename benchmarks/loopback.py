"""A vendor on loopback that costs next to nothing: answers made beforehand, sent after a fixed delay.

It runs as a process of its own: `with vendor(answer, delay_s=0.5) as base_url`. The test servers are too slow
to be measured against; the wire formats are theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
PATHS = {"messages": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
WORDS = ("Every ", "answer ", "is ", "made ", "of ", "words, ", "one ", "after ", "another. ")


@contextmanager
def vendor(
    *, tokens: int = 1, token_bytes: int = 0, delay_s: float = 0.0, pause_s: float | None = None
) -> Iterator[str]:
    """The base URL of a server whose every answer has so many tokens, words or of so many bytes each.

    All of an answer is sent at once, or token by token with a pause between them.
    """
    argv = [sys.executable, __file__, "--tokens", str(tokens), "--delay", str(delay_s)]
    argv += ["--token-bytes", str(token_bytes)] if token_bytes else []
    argv += [] if pause_s is None else ["--pause", str(pause_s)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


class Vendor(asyncio.Protocol):
    """One connection: requests of any size, and for each the answer of its path."""

    def __init__(self, answers: dict[str, list[bytes]], delay_s: float, pause_s: float | None) -> None:
        self._answers = answers
        self._delay_s = delay_s
        self._pause_s = pause_s
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if blank and len(body) >= int(length or 0):
            self._received = b""
            answer = self._answers[head.split(b" ", 2)[1].decode()]
            asyncio.get_running_loop().call_later(self._delay_s, self._answer, answer)

    def _answer(self, answer: list[bytes]) -> None:
        if self._pause_s is None:
            self._transport.write(b"".join([HEAD, *answer, END]))
        else:
            self._paced = asyncio.create_task(self._pour(answer, self._pause_s))

    async def _pour(self, answer: list[bytes], pause_s: float) -> None:
        self._transport.write(HEAD)
        for piece in answer:
            self._transport.write(piece)
            await asyncio.sleep(pause_s)
        self._transport.write(END)


async def serve(answers: dict[str, list[bytes]], delay_s: float, pause_s: float | None) -> None:
    """Serve on a free port, whose URL is printed, until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Vendor(answers, delay_s, pause_s), "127.0.0.1", 0, backlog=4_096
    )
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--token-bytes", type=int, default=0, help="bytes of each token; 0 means words")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--pause", type=float, help="seconds between tokens")
    options = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    from servers import wire

    words = ("x" * options.token_bytes,) if options.token_bytes else WORDS
    content = wire.Content(chunks=list(islice(cycle(words), options.tokens)))
    answers = {
        path: [b"%x\r\n%b\r\n" % (len(event), event) for event in wire.events(api, content)]  # type: ignore[arg-type]
        for api, path in PATHS.items()
    }
    asyncio.run(serve(answers, options.delay, options.pause))


if __name__ == "__main__":
    main()
