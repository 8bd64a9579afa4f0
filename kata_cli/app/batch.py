"""`kata batch`: many runs at once, each a run like any other, from lines that are read one by one."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import msgspec

from kata_cli.app.batch_earlier import Earlier
from kata_cli.app.batch_line import ResultLine, Work, prepared_line, refused_line, result_line
from kata_cli.app.batch_reading import Reading
from kata_cli.app.batch_resume import gone_on
from kata_cli.app.batch_source import BatchLine, Entry
from kata_cli.app.batch_totals import Totals
from kata_cli.app.model_default import with_model
from kata_cli.app.opening import OpenRun, Shared, Streams, open_among
from kata_cli.app.prepare import Prepared
from kata_cli.app.run import attempted
from kata_cli.app.runtime import TICK_S
from kata_cli.app.signals import SignalStop
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Clock
from kata_cli.core.redact import Redactor
from kata_cli.core.stop import Stop
from kata_cli.output.board import Board, Progress
from kata_cli.output.console import Writer
from kata_cli.output.machine import encode
from kata_cli.output.screen import Quiet

T = TypeVar("T")

WAY_ON = "the same command with --resume-batch OUTPUT, the file that its stdout went to, and another > FILE"
WINDOW = 4  # with --ordered: how many times --jobs lines may be ahead of the slowest


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that may start. `total` is the number of lines, where that is known before."""

    work: Work
    shared: Shared
    entries: Iterator[list[Entry]]
    earlier: Earlier
    total: int | None
    stdout: Writer
    board: Board
    redactor: Redactor
    clock: Clock
    is_fixed: bool
    is_ordered: bool


async def run_batch(batch: Batch) -> Failure | None:
    """Run every line, then print the last one. The failure that stands for all, if any."""
    crew = _Crew(batch)
    signals = SignalStop(crew.stop, crew.finish_now, lambda: WAY_ON)
    signals.install()
    watchers = [asyncio.create_task(crew.tick()), asyncio.create_task(crew.pass_on_stop())]
    deadline = _set_deadline(batch, crew.stop)
    try:
        await crew.run_all()
    finally:
        for watcher in watchers:
            watcher.cancel()
        if deadline is not None:
            deadline.cancel()
        await batch.shared.service.aclose()
    failure = crew.finish()
    signals.disarm()
    return failure


def _set_deadline(batch: Batch, stop: Stop) -> asyncio.TimerHandle | None:
    limit_s = batch.work.resolved.settings.timeout
    if limit_s is None:
        return None
    told = f"the batch took longer than --timeout {limit_s:g} s"
    failure = Failure(code="deadline", message=told, remediation=WAY_ON)
    return asyncio.get_running_loop().call_later(limit_s, stop.request, failure)


class _Held:
    """The stdout of one run: its result document, held back until it has its id."""

    error: OSError | None = None

    def __init__(self) -> None:
        self.document = b""

    def write(self, data: bytes) -> None:
        self.document += data

    async def room(self) -> None:
        """There is always room."""

    def flush(self, timeout_s: float | None = None) -> bool:
        return True


class _LineScreen(Quiet):
    """What a run has to say, under the id of its line."""

    def __init__(self, board: Board, id: str) -> None:
        self._board = board
        self._id = id

    def say(self, line: str) -> None:
        self._board.note(f"{self._id}: {line}")


class _Crew:
    """The lines that are at work, at most `jobs` at once, and what came of the others."""

    def __init__(self, batch: Batch) -> None:
        jobs = batch.work.resolved.settings.jobs
        self.stop = Stop()
        self._batch = batch
        self._totals = Totals()
        self._runs: dict[int, OpenRun] = {}
        self._slots = asyncio.Semaphore(jobs)
        self._window = asyncio.Semaphore(jobs * WINDOW)
        self._reading = Reading(batch.entries, self.stop, is_inline=batch.is_fixed)
        self._begun = 0
        self._printed = 0
        self._waiting: dict[int, ResultLine] = {}
        self._started_s = batch.clock.monotonic()

    async def run_all(self) -> None:
        """Begin line after line until there is none, or a reason to begin no more; wait for those begun."""
        async with asyncio.TaskGroup() as group:
            while await self._may_begin():
                entry = await self._reading.next()
                if entry is None:
                    return
                group.create_task(self._do(self._begun, entry))
                self._begun += 1

    async def tick(self) -> None:
        """Keep the board alive until cancelled."""
        while True:
            self._batch.board.progress(self._progress(), self._batch.clock.monotonic())
            await asyncio.sleep(TICK_S)

    async def pass_on_stop(self) -> None:
        """When the batch is to stop, so are its runs."""
        failure = await self.stop.wait()
        for run in self._runs.values():
            run.runtime.stop.request(failure)

    def finish(self) -> Failure | None:
        """Print the last line and say the last words. The failure that stands for the batch."""
        failure = self._totals.failure(self.stop.failure or self._reading.failure)
        duration_s = self._batch.clock.monotonic() - self._started_s
        self._print(self._totals.finished(failure, self._not_begun, duration_s))
        self._batch.board.close(self._progress())
        return failure

    def finish_now(self, failure: Failure) -> None:
        """The watchdog's end: record the interruption of each run that is at work."""
        for run in list(self._runs.values()):
            run.runtime.finish_now(failure)

    async def _may_begin(self) -> bool:
        await self._slots.acquire()
        await self._window.acquire()
        stdout = self._batch.stdout
        is_heard = not stdout.is_broken and stdout.error is None
        return is_heard and not self.stop.is_set and not self._batch.shared.service.is_spent

    async def _do(self, index: int, entry: Entry) -> None:
        try:
            line = self._passed_on(entry) or await self._result(index, entry)
        finally:
            self._slots.release()
        await self._emit(index, line)

    def _passed_on(self, entry: Entry) -> ResultLine | None:
        """The result that an earlier batch had for the line."""
        earlier = self._batch.earlier.take(entry.line.id) if isinstance(entry.line, BatchLine) else None
        if earlier is None:
            return None
        line = msgspec.structs.replace(earlier, line=entry.number)
        self._totals.pass_on(line)
        return line

    async def _result(self, index: int, entry: Entry) -> ResultLine:
        try:
            line = await self._run(index, entry)
        except KataError as error:
            line = self._refused(entry, error.failure)
        except Exception as error:
            if self._batch.work.options.is_debug:
                self._batch.board.say(self._batch.redactor.text(traceback.format_exc()))
            told = f"a bug in kata: {type(error).__name__}: {error}"
            line = self._refused(entry, Failure(code="unexpected_error", message=told))
        self._totals.add(line)
        if line.error is not None and line.exit_code and not self.stop.is_set:
            self._batch.board.note(f"{self._name(entry)}: {line.error.code}: {line.error.message}")
        return line

    async def _run(self, index: int, entry: Entry) -> ResultLine:
        """A whole run, recorded and with all its evidence. Raises `KataError` where there is none."""
        batch, held = self._batch, _Held()
        prepared = await with_model(prepared_line(entry, batch.work), batch.work.env, batch.redactor)
        prepared = await self._gone_on(prepared)
        streams = Streams(held, _LineScreen(batch.board, self._name(entry)), is_watched=False)
        run = await self._in_thread(lambda: self._opened(prepared, streams))
        self._runs[index] = run
        try:
            if self.stop.failure is not None:
                run.runtime.stop.request(self.stop.failure)
            await run.runtime.finish(await attempted(run))
        finally:
            del self._runs[index]
            run.close()
        line = result_line(entry, held.document)
        return msgspec.structs.replace(line, id=self._name(entry))

    async def _gone_on(self, prepared: Prepared) -> Prepared:
        """A line whose run broke off in an earlier batch goes on with it, if nothing else is asked now."""
        run_id = self._batch.earlier.unfinished(prepared.options.batch_id)
        if run_id is None:
            return prepared
        work = partial(gone_on, prepared, run_id, self._batch.redactor)
        return await self._in_thread(work)

    def _opened(self, prepared: Prepared, streams: Streams) -> OpenRun:
        batch = self._batch
        shared = msgspec.structs.replace(batch.shared, service=batch.shared.service.for_run())
        return open_among(prepared, shared, batch.work.env, streams, batch.redactor)

    def _refused(self, entry: Entry, failure: Failure) -> ResultLine:
        line = refused_line(entry, failure, self._batch.work.resolved)
        cleaned = self._batch.redactor.value(msgspec.to_builtins(line))
        return msgspec.convert(cleaned, ResultLine)

    async def _emit(self, index: int, line: ResultLine) -> None:
        """Print a result, in its turn where that is asked for, and wait while the reader is behind."""
        self._waiting[index] = line
        turn = self._printed if self._batch.is_ordered else index
        while (due := self._waiting.pop(turn, None)) is not None:
            self._print(due)
            self._printed += 1
            self._window.release()
            turn = self._printed
        if not self.stop.is_set:
            await self._batch.stdout.room()

    def _print(self, line: object) -> None:
        self._batch.stdout.write(encode(line))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._batch.is_fixed:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._batch.shared.pool, work)

    @property
    def _not_begun(self) -> int | None:
        if self._batch.total is not None:
            return self._batch.total - self._begun
        return 0 if self._reading.is_done else None

    def _progress(self) -> Progress:
        totals = self._totals
        return Progress(
            ended=totals.lines,
            failed=totals.failed,
            running=len(self._runs),
            passed_on=totals.passed_on,
            total=self._batch.total,
            elapsed_s=self._batch.clock.monotonic() - self._started_s,
            usage=totals.usage,
        )

    def _name(self, entry: Entry) -> str:
        """How a line is called: by its id, which is shown like all else without secrets."""
        name = entry.line.id if isinstance(entry.line, BatchLine) else f"line {entry.number}"
        return self._batch.redactor.text(name)
