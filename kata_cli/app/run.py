"""`kata run`: one straight line from the goal to the draft."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import traceback
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial

from kata_cli.app.model_default import with_model
from kata_cli.app.opening import OpenRun, Streams, open_run, started
from kata_cli.app.plan import context_query, make_plan
from kata_cli.app.prepare import Prepared
from kata_cli.app.signals import SignalStop
from kata_cli.context.gather import gather
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import ContextGathered, Event
from kata_cli.core.redact import Redactor
from kata_cli.engine import run as engine
from kata_cli.store.atomic import write_file


async def execute(
    prepared: Prepared, env: Mapping[str, str], streams: Streams, redactor: Redactor
) -> Failure | None:
    """Do one orchestration run. Why it failed, if so; everything about it is on disk either way."""
    prepared = await with_model(prepared, env, redactor)
    run = open_run(prepared, env, streams, redactor)
    signals = SignalStop(run.runtime.stop, run.runtime.finish_now, partial(_way_on, run))
    signals.install()
    ticker = asyncio.create_task(run.runtime.tick())
    deadline = _set_deadline(run)
    try:
        refusal = await attempted(run)
    finally:
        ticker.cancel()
        if deadline is not None:
            deadline.cancel()
        await run.service.aclose()
    failure = await run.runtime.finish(refusal, run.service.warnings)
    run.close()
    signals.disarm()
    return failure


async def attempted(run: OpenRun) -> Failure | None:
    """Do the work of a run, up to its end, which is still to be recorded. What broke it off, if anything."""
    try:
        await _orchestrate(run)
    except KataError as error:
        return error.failure
    except Exception as error:
        return _note_bug(run, error)
    return None


async def _orchestrate(run: OpenRun) -> None:
    runtime = run.runtime
    await runtime.handle([started(run)])
    context = await _gathered(run)
    if context is None:
        return
    plan = make_plan(run.prepared, run.models, context.text, run.redactor.text)
    finished = run.prepared.record.run.finished if run.prepared.record.run else {}
    waiting: list[Event] = [context]  # the plan follows at once: both are made durable together
    async with aclosing(engine.run(plan, run.service, finished, stop=runtime.stop)) as batches:
        async for batch in batches:
            if waiting and runtime.stop.is_set:
                return  # the stop was told that there is nothing to go on from, and so it stays
            runtime.is_resumable = True
            await runtime.handle([*waiting, *batch])
            waiting = []


async def _gathered(run: OpenRun) -> ContextGathered | None:
    """The context, or None when a stop came first; a search that is under way is left to its thread.

    A run that goes on from a record shows the models what they were shown then.
    """
    recorded = run.prepared.record.run
    if recorded is not None and recorded.context is not None:
        return recorded.context
    query = context_query(run.prepared)
    search = partial(gather, query, run.redactor.text)
    if not query.reads_files:
        return search()
    work = asyncio.ensure_future(run.runtime.in_thread(search))
    stopped = asyncio.ensure_future(run.runtime.stop.wait())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if work.done():
        return work.result()
    work.cancel()
    return None


def _way_on(run: OpenRun) -> str:
    """The command that goes on with the run after a stop now, empty where there is nothing to go on from.

    Of an ephemeral run nothing is left; before the context is read, nothing is there yet.
    """
    options = run.prepared.options
    if options.is_ephemeral or not run.runtime.is_resumable:
        return ""
    if options.replays is not None:
        return f"kata run --replay {shlex.quote(options.replays)}"
    return f"kata run --resume {run.directory.name}"


def _set_deadline(run: OpenRun) -> asyncio.TimerHandle | None:
    limit_s = run.prepared.resolved.settings.timeout
    if limit_s is None:
        return None
    return asyncio.get_running_loop().call_later(limit_s, _pass_deadline, run, limit_s)


def _pass_deadline(run: OpenRun, limit_s: float) -> None:
    way_on = _way_on(run)
    told = f"the run took longer than --timeout {limit_s:g} s"
    longer = f"{way_on} --timeout {2 * limit_s:g}" if way_on else ""
    run.runtime.stop.request(Failure(code="deadline", message=told, remediation=longer))


def _note_bug(run: OpenRun, error: Exception) -> Failure:
    """Keep the traceback with the run; the user gets one line, and more only with `--debug`."""
    told = run.redactor.text("".join(traceback.format_exception(error)))
    cause = _innermost(error)
    path = run.directory / "traceback.txt"
    with contextlib.suppress(KataError):
        write_file(path, told.encode("utf-8", "backslashreplace"))
    if run.prepared.options.is_debug:
        run.runtime.say(told)
    message = run.redactor.text(f"a bug in kata: {type(cause).__name__}: {cause}")
    return Failure(code="unexpected_error", message=message, remediation=f"see {path}")


def _innermost(error: BaseException) -> BaseException:
    """The exception itself; a task group wraps it into groups of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
