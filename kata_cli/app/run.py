"""`kata run`: one straight line from the goal to the draft."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from kata_cli import __version__
from kata_cli.app.outlet import Outlet
from kata_cli.app.plan import choose_models, context_query, make_plan, new_run_id
from kata_cli.app.prepare import Prepared, open_service
from kata_cli.app.recorder import Recorder
from kata_cli.app.runtime import Runtime
from kata_cli.app.signals import SignalStop
from kata_cli.context.gather import gather
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import ContextGathered, RunStarted
from kata_cli.core.messages import ModelRef
from kata_cli.core.redact import Redactor
from kata_cli.core.stop import Stop
from kata_cli.engine import run as engine
from kata_cli.output.console import Writer
from kata_cli.output.figures import plural
from kata_cli.output.machine import ResultBody
from kata_cli.output.screen import Screen
from kata_cli.providers.service import Choice, ProviderService
from kata_cli.spec.document import Document, headline
from kata_cli.spec.render import render, spec_json
from kata_cli.store.atomic import write_file
from kata_cli.store.runs import RunDir, RunStore
from kata_cli.store.views import write_views


class Streams(msgspec.Struct, frozen=True):
    """Where a run writes: stdout, and the screen on stderr."""

    stdout: Writer
    screen: Screen


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an open run."""

    prepared: Prepared
    runtime: Runtime
    service: ProviderService
    redactor: Redactor
    main: Choice
    models: dict[str, ModelRef]
    directory: Path


async def execute(prepared: Prepared, env: Mapping[str, str], streams: Streams) -> Failure | None:
    """Do one orchestration run. Why it failed, if so; everything about it is on disk either way."""
    run = _open(prepared, env, streams)
    signals = SignalStop(run.runtime.stop, run.runtime.finish_now)
    signals.install()
    ticker = asyncio.create_task(run.runtime.tick())
    deadline = _set_deadline(prepared, run.runtime.stop)
    bug = None
    try:
        await _orchestrate(run)
    except KataError as error:
        bug = error.failure
    except Exception as error:
        bug = _note_bug(run, error)
    finally:
        ticker.cancel()
        if deadline is not None:
            deadline.cancel()
        await run.service.aclose()
    failure = await run.runtime.finish(bug)
    signals.disarm()
    return failure


async def _orchestrate(run: _Run) -> None:
    runtime = run.runtime
    await runtime.handle([_started(run)])
    context = await _gathered(run)
    if context is None:
        return
    await runtime.handle([context])
    plan = make_plan(run.prepared, run.models, context.text)
    async with aclosing(engine.run(plan, run.service, {}, stop=runtime.stop)) as batches:
        async for batch in batches:
            await runtime.handle(batch)


async def _gathered(run: _Run) -> ContextGathered | None:
    """The context, or None when a stop came first; a search that is under way is left to its thread."""
    search = partial(gather, context_query(run.prepared), run.redactor.text)
    work = asyncio.ensure_future(run.runtime.in_thread(search))
    stopped = asyncio.ensure_future(run.runtime.stop.wait())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if work.done():
        return work.result()
    work.cancel()
    return None


def _open(prepared: Prepared, env: Mapping[str, str], streams: Streams) -> _Run:
    redactor, stop, clock = Redactor(), Stop(), prepared.clock
    service = open_service(
        prepared.resolved,
        env,
        clock=clock,
        on_secret=redactor.learn,
        api_key_file=prepared.options.api_key_file,
        scenario=prepared.scenario,
    )
    main, models = choose_models(prepared, service, needs_key=True)
    is_fixed = prepared.epoch_s is not None
    run_dir = RunStore(prepared.resolved.paths.state).create(
        new_run_id(prepared, main), replaces_finished=is_fixed
    )
    recorder = Recorder(run_dir.id, run_dir.journal, redactor, clock)
    outlet = Outlet(
        stdout=streams.stdout,
        screen=streams.screen,
        format=prepared.options.format,
        output=prepared.output,
        result=prepared.found.workflow.result,
        stop=stop,
        is_quiet=prepared.options.is_quiet,
    )
    runtime = Runtime(
        recorder=recorder,
        outlet=outlet,
        run_dir=run_dir,
        stop=stop,
        clock=clock,
        result=prepared.found.workflow.result,
        is_strict=prepared.resolved.settings.strict,
        is_inline=is_fixed,
        write_views=lambda: write_views(
            run_dir.path, recorder.stored, partial(_draft_files, prepared, run_dir, recorder)
        ),
        headline=_headline,
    )
    return _Run(
        prepared=prepared,
        runtime=runtime,
        service=service,
        redactor=redactor,
        main=main,
        models=models,
        directory=run_dir.path,
    )


def _started(run: _Run) -> RunStarted:
    prepared, settings = run.prepared, run.prepared.resolved.settings
    return RunStarted(
        session_id=f"s-{run.directory.name}",
        goal=prepared.inputs.goal,
        workflow=prepared.found.workflow.name,
        workflow_source=prepared.found.text,
        runtime_mode=settings.runtime_mode,
        mode_source=prepared.resolved.mode_source,
        model=str(run.main.model),
        key_source=run.main.key_source,
        host=run.main.host,
        project=str(prepared.resolved.project_root),
        kata_version=__version__,
        stdin_bytes=prepared.inputs.stdin_bytes,
        settings={name: value.value for name, value in settings.origins.items() if value.origin != "default"},
        warnings=prepared.resolved.warnings,
    )


def _set_deadline(prepared: Prepared, stop: Stop) -> asyncio.TimerHandle | None:
    limit_s = prepared.resolved.settings.timeout
    if limit_s is None:
        return None
    failure = Failure(code="deadline", message=f"the run took longer than --timeout {limit_s:g} s")
    return asyncio.get_running_loop().call_later(limit_s, stop.request, failure)


def _note_bug(run: _Run, error: Exception) -> Failure:
    """Keep the traceback with the run; the user gets one line."""
    told = run.redactor.text(traceback.format_exc())
    cause = _innermost(error)
    path = run.directory / "traceback.txt"
    with contextlib.suppress(KataError):
        write_file(path, told.encode("utf-8", "backslashreplace"))
    message = run.redactor.text(f"a bug in kata: {type(cause).__name__}: {cause}")
    return Failure(code="unexpected_error", message=message, remediation=f"see {path}")


def _innermost(error: BaseException) -> BaseException:
    """The exception itself; a task group wraps it into groups of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _draft_files(
    prepared: Prepared, run_dir: RunDir, recorder: Recorder, document: dict[str, Any]
) -> dict[str, bytes]:
    """`spec.md` and `spec.json`. In mock mode nothing in them depends on time or chance."""
    draft = msgspec.convert(document, Document)
    record = recorder.record
    is_mock = record.runtime_mode == "mock"
    context = next(
        (e.event for e in recorder.stored if isinstance(e.event, ContextGathered)), ContextGathered()
    )
    provenance = spec_json(
        draft,
        run={
            "id": None if is_mock else run_dir.id,
            "created_at": None if is_mock else record.created_at,
            "workflow": record.workflow,
        },
        generator={"name": "kata", "version": __version__, "model": record.model},
        inputs=[{"path": file.path, "sha256": file.sha256} for file in context.files],
        hashes={"goal": _sha256(prepared.inputs.goal), "workflow": _sha256(prepared.found.text)},
    )
    return {"spec.md": render(draft).encode(), "spec.json": provenance}


def _headline(body: ResultBody) -> str:
    if body.document is None:
        return f"{body.kind}, {plural(len(body.text.splitlines()), 'line')}"
    return f"draft {headline(msgspec.convert(body.document, Document))}"


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
