"""What a run shows and where: the screen on stderr, the result or the events on stdout, the `-o` file."""

from __future__ import annotations

import asyncio

from kata_cli.app.result import OutputFile, TextStream
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import ContentDelta, Recorded
from kata_cli.core.records import RunRecord
from kata_cli.core.stop import Stop
from kata_cli.output import lines
from kata_cli.output.console import Sink, refusal
from kata_cli.output.machine import ResultBody, encode, result_document
from kata_cli.output.screen import Screen
from kata_cli.workflows.model import Result

POLL_S = 0.02


class Outlet:
    """The two streams of a run. The live display ends before result text goes out."""

    def __init__(
        self,
        *,
        stdout: Sink,
        screen: Screen,
        format: str,
        output: OutputFile | None,
        result: Result,
        stop: Stop,
        is_quiet: bool,
    ) -> None:
        self.screen = screen
        self.output = output
        self._stdout = stdout
        self._format = format
        self._result = result
        self._stop = stop
        self._is_quiet = is_quiet
        is_streamed = format == "text" and output is None and result.kind == "text"
        self._stream = TextStream() if is_streamed else None

    async def show(self, batch: list[Recorded], record: RunRecord) -> None:
        """Show a recorded batch; waits while the reader of stdout is behind."""
        self.screen.show(batch, record)
        if self._format == "jsonl":
            self._stdout.write(b"".join(recorded.line() for recorded in batch))
        elif self._stream is not None:
            self._show_text(batch, self._stream)
        if not self._stop.is_set:
            await self._stdout.room()

    async def bring_out(self, body: ResultBody) -> Failure | None:
        """Write the result to `-o`, or to stdout as text, and wait for its reader. Why it failed, if so."""
        try:
            if self.output is not None:
                for warning in self.output.write(body.text):
                    self.screen.say(f"warning: {warning}")
            elif self._format == "text":
                self.screen.pause()
                self._stdout.write(self._rest_of(body).encode())
        except KataError as error:
            return error.failure
        return await self._drained()

    async def close(self, body: ResultBody | None, record: RunRecord, headline: str) -> Failure | None:
        """Last words: the JSON document on stdout, the summary on stderr. Why stdout refused, if so."""
        if self._format == "json":
            self._stdout.write(encode(result_document(record, body)))
        failure = await self._drained()
        self.screen.pause()
        if body is not None and not self._is_quiet:
            self.screen.say(lines.summary(record, headline))
        return failure

    def close_now(self, last: list[Recorded]) -> None:
        """The watchdog's end: the last event, if a program waits for it."""
        if self._format == "jsonl":
            self._stdout.write(b"".join(recorded.line() for recorded in last))
            self._stdout.flush(0.2)

    def _show_text(self, batch: list[Recorded], stream: TextStream) -> None:
        for recorded in batch:
            match recorded.event:
                case ContentDelta(task=self._result.task, kind="text", text=text):
                    shown = stream.feed(text)
                    if shown:
                        self.screen.pause()
                        self._stdout.write(shown.encode())

    def _rest_of(self, body: ResultBody) -> str:
        return self._stream.finish() if self._stream is not None and self._stream.has_text else body.text

    async def _drained(self) -> Failure | None:
        """Wait for a slow reader, though not after a stop."""
        while not self._stdout.flush(0) and not self._stop.is_set:  # noqa: ASYNC110 - a thread drains it
            await asyncio.sleep(POLL_S)
        return None if self._stdout.error is None else refusal(self._stdout.error)
