"""The live objects of one run, and the three things done with them: record, show, finish."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec

from kata_cli.app.ending import failure_of_tasks, finished
from kata_cli.app.outlet import Outlet
from kata_cli.app.recorder import Recorder
from kata_cli.app.result import body_of
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import AttemptFailed, ContentDelta, Event, ResultInfo, TaskFinished
from kata_cli.core.ports import Clock
from kata_cli.core.stop import Stop
from kata_cli.core.text import neutral
from kata_cli.output.machine import ResultBody
from kata_cli.store.runs import RunDir
from kata_cli.workflows.model import Result

T = TypeVar("T")

TICK_S = 0.125


class Runtime:
    """One run in progress. Whatever is shown is durable first.

    Nothing of a run that is not `is_watched` is shown before its end: only that end, and what a provider was
    paid for on the way there, are made durable as they come.

    Blocking work is done in `pool`; `is_inline` keeps it on the loop's own thread, for runs on virtual time.
    `write_evidence` writes what is derived from the journal; `headline` says in few words what the result is.
    Without `is_kept` the run's directory goes with the run, so no path into it is told.
    """

    def __init__(
        self,
        *,
        recorder: Recorder,
        outlet: Outlet,
        run_dir: RunDir,
        stop: Stop,
        clock: Clock,
        result: Result,
        pool: ThreadPoolExecutor,
        is_strict: bool,
        is_inline: bool,
        is_kept: bool,
        is_watched: bool,
        write_evidence: Callable[[], object],
        headline: Callable[[ResultBody], str],
    ) -> None:
        self.recorder = recorder
        self.stop = stop
        self.is_resumable = False  # whether there will be a context in the record, to go on from
        self.is_inline = is_inline
        self._is_kept = is_kept
        self._is_watched = is_watched
        self._outlet = outlet
        self._run_dir = run_dir
        self._clock = clock
        self._result = result
        self._is_strict = is_strict
        self._write_evidence = write_evidence
        self._headline = headline
        self._started_s = clock.monotonic()
        self._pool = pool

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Blocking work, off the loop; on virtual time it is done at once."""
        if self.is_inline:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def handle(self, events: list[Event]) -> None:
        """Record a batch, durable first, then show it. A journal that refuses stops the run."""
        with self._stopping():
            if any(map(self._must_last, events)):
                await self.in_thread(partial(self.recorder.take, events))
            else:
                self.recorder.take(events, is_durable=False)
        await self._outlet.show(self.recorder.last_batch, self.recorder.record)

    def _must_last(self, event: Event) -> bool:
        """Whether an event has to be durable now."""
        if self._is_watched or self._outlet.output is not None:
            return not isinstance(event, ContentDelta)
        # After the task of the result the run ends, and both are made durable together.
        return isinstance(event, TaskFinished | AttemptFailed) and event.task != self._result.task

    @contextlib.contextmanager
    def _stopping(self) -> Iterator[None]:
        """Stop the run when the journal refuses; what it did not take is shown all the same."""
        try:
            yield
        except KataError as error:
            self.stop.request(error.failure)

    async def tick(self) -> None:
        """Keep the screen alive until cancelled."""
        while True:
            self._outlet.screen.tick(self.recorder.record, self._clock.monotonic())
            await asyncio.sleep(TICK_S)

    async def finish(self, bug: Failure | None = None, warnings: Sequence[str] = ()) -> Failure | None:
        """Bring the result out, record the end, write the views, say the last words. Why it failed, if so.

        `warnings` is what was odd about the run on the whole, whether it failed or not.
        """
        failure = self.stop.failure or bug or failure_of_tasks(self.recorder.stored, self._result.task)
        body = None if failure else body_of(self._result, self.recorder.stored)
        info = None
        if body is not None:
            info = self._info(body)
            body = msgspec.structs.replace(body, path=info.path or None)
            failure = await self._outlet.bring_out(body) or self._strictness() or self.stop.failure
        with self._stopping():
            await self.in_thread(partial(self._end, self._finished(failure, info, warnings)))
        await self._outlet.show(self.recorder.last_batch, self.recorder.record)
        refused = await self._outlet.close(body, self.recorder.record, self._headline(body) if body else "")
        return failure or (self.stop.failure if self.recorder.is_broken else None) or refused

    def say(self, text: str) -> None:
        """Some lines on the screen, made safe to show."""
        for line in neutral(text).splitlines():
            self._outlet.screen.say(line)

    def finish_now(self, failure: Failure) -> None:
        """The watchdog's end: record the interruption and nothing else."""
        with contextlib.suppress(KataError):
            self.recorder.take([self._finished(failure, None)])
        self._outlet.close_now(self.recorder.last_batch)

    def _finished(
        self, failure: Failure | None, info: ResultInfo | None, warnings: Sequence[str] = ()
    ) -> Event:
        return finished(
            failure,
            info,
            usage=self.recorder.record.usage,
            duration_s=self._clock.monotonic() - self._started_s,
            warnings=warnings,
        )

    def _info(self, body: ResultBody) -> ResultInfo:
        output = self._outlet.output
        own = str(self._run_dir.path / "spec.md") if body.kind == "spec" and self._is_kept else ""
        return ResultInfo(kind=body.kind, task=self._result.task, path=str(output.path) if output else own)

    def _strictness(self) -> Failure | None:
        found = [finding for finding in self.recorder.record.findings if finding.severity != "info"]
        if not self._is_strict or not found:
            return None
        rules = ", ".join(dict.fromkeys(finding.rule for finding in found))
        return Failure(code="findings", message=f"{len(found)} findings under --strict: {rules}")

    def _end(self, last: Event) -> None:
        """Record the end, write the views, give the run free. Raises `KataError` io."""
        try:
            self.recorder.take([last])
        finally:
            self._save_evidence()
            self._run_dir.close()

    def _save_evidence(self) -> None:
        """The journal holds everything already, so a view that cannot be written is only a warning."""
        try:
            self._write_evidence()
        except KataError as error:
            self._outlet.screen.say(f"warning: {error.failure.message}")
