"""A run comes into being: its directory, its service, its sinks, tied together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from kata_cli import __version__
from kata_cli.app.drafts import draft_files, told
from kata_cli.app.outlet import Outlet
from kata_cli.app.plan import choose_models, new_run_id
from kata_cli.app.prepare import Prepared, open_service
from kata_cli.app.recorder import Recorder
from kata_cli.app.runtime import Runtime
from kata_cli.core.events import RunStarted
from kata_cli.core.messages import ModelRef
from kata_cli.core.redact import Redactor
from kata_cli.core.stop import Stop
from kata_cli.output.console import Writer
from kata_cli.output.screen import Screen
from kata_cli.providers.service import Choice, ProviderService
from kata_cli.store.runs import RunDir, RunStore
from kata_cli.store.views import write_views


class Streams(msgspec.Struct, frozen=True):
    """Where a run writes: stdout, and the screen on stderr."""

    stdout: Writer
    screen: Screen


class OpenRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that exists on disk, ready to be orchestrated."""

    prepared: Prepared
    runtime: Runtime
    service: ProviderService
    redactor: Redactor
    main: Choice
    models: dict[str, ModelRef]
    directory: Path


def open_run(prepared: Prepared, env: Mapping[str, str], streams: Streams, redactor: Redactor) -> OpenRun:
    """Choose the models, then create the run. Raises `KataError`; before that nothing was made."""
    service = open_service(
        prepared.resolved,
        env,
        clock=prepared.clock,
        redactor=redactor,
        api_key_file=prepared.options.api_key_file,
        scenario=prepared.scenario,
    )
    main, models = choose_models(prepared, service, needs_key=True)
    store = RunStore(prepared.resolved.paths.state)
    run_dir = store.create(new_run_id(prepared, main), replaces_finished=prepared.is_fixed)
    return OpenRun(
        prepared=prepared,
        runtime=_runtime(prepared, run_dir, redactor, streams),
        service=service,
        redactor=redactor,
        main=main,
        models=models,
        directory=run_dir.path,
    )


def started(run: OpenRun) -> RunStarted:
    """The first event: what was asked, of whom, with which settings."""
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


def _runtime(prepared: Prepared, run_dir: RunDir, redactor: Redactor, streams: Streams) -> Runtime:
    stop, result = Stop(), prepared.found.workflow.result
    recorder = Recorder(run_dir.id, run_dir.journal, redactor, prepared.clock)
    outlet = Outlet(
        stdout=streams.stdout,
        screen=streams.screen,
        format=prepared.options.format,
        output=prepared.output,
        result=result,
        stop=stop,
        is_quiet=prepared.options.is_quiet,
    )
    return Runtime(
        recorder=recorder,
        outlet=outlet,
        run_dir=run_dir,
        stop=stop,
        clock=prepared.clock,
        result=result,
        is_strict=prepared.resolved.settings.strict,
        is_inline=prepared.is_fixed,
        write_views=lambda: write_views(run_dir.path, recorder.stored, partial(draft_files, recorder.stored)),
        headline=told,
    )
