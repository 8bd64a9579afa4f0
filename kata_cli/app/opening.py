"""A run comes into being: its directory, its place in a session, its service, its sinks, tied together."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from kata_cli import __version__
from kata_cli.app.drafts import draft_files, told
from kata_cli.app.known_secrets import learn_environment
from kata_cli.app.outlet import Outlet
from kata_cli.app.plan import choose_models, context_query, new_run_id
from kata_cli.app.prepare import Prepared
from kata_cli.app.providers import open_replay, open_service
from kata_cli.app.recorder import Recorder
from kata_cli.app.runtime import Runtime
from kata_cli.core.clock import stamp
from kata_cli.core.errors import KataError
from kata_cli.core.events import Recorded, RunStarted
from kata_cli.core.messages import ModelRef, Usage
from kata_cli.core.redact import Redactor
from kata_cli.core.session import RunEntry
from kata_cli.core.stop import Stop
from kata_cli.output.console import Sink
from kata_cli.output.screen import Screen
from kata_cli.providers.choice import Choice
from kata_cli.providers.service import ProviderService
from kata_cli.store.atomic import append_file, make_dirs, remove_tree, temporary
from kata_cli.store.open_session import OpenSession
from kata_cli.store.runs import RunDir, RunStore
from kata_cli.store.session_index import open_sessions
from kata_cli.store.sessions import SessionStore
from kata_cli.store.views import write_views

POOL_THREADS = 2  # a search that is left behind must not hold up the journal


class Streams(msgspec.Struct, frozen=True):
    """Where a run writes: stdout, and the screen on stderr; `is_watched` if it does so before its end."""

    stdout: Sink
    screen: Screen
    is_watched: bool = True


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs of one batch have in common."""

    service: ProviderService
    runs: RunStore
    sessions: SessionStore
    pool: ThreadPoolExecutor


class OpenRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that exists on disk, ready to be orchestrated."""

    prepared: Prepared
    runtime: Runtime
    service: ProviderService
    redactor: Redactor
    main: Choice
    models: dict[str, ModelRef]
    directory: Path
    session: OpenSession | None

    def close(self) -> None:
        """Give the session free; of an ephemeral run nothing stays."""
        if self.session is not None:
            self.session.close()
        else:
            remove_tree(self.directory.parent.parent)


def open_run(prepared: Prepared, env: Mapping[str, str], streams: Streams, redactor: Redactor) -> OpenRun:
    """Choose the models, then create the run. Raises `KataError`; before that nothing was made."""
    shared = Shared(
        service=open_providers(prepared, env, redactor),
        runs=RunStore(_state(prepared)),
        sessions=open_sessions(prepared.resolved.paths.state),
        # Not the loop's own pool: that is waited for at the end, also when a search hangs after a stop.
        pool=ThreadPoolExecutor(POOL_THREADS),
    )
    return open_among(prepared, shared, env, streams, redactor)


def open_among(
    prepared: Prepared, shared: Shared, env: Mapping[str, str], streams: Streams, redactor: Redactor
) -> OpenRun:
    """The same for a run that shares its means with others."""
    main, models = choose_models(prepared, shared.service, needs_key=True)
    if redactor.text(prepared.past.name) != prepared.past.name:
        raise KataError("usage", "the name of the session looks like a secret", "--session with another name")
    run_dir = shared.runs.create(new_run_id(prepared, main), replaces_finished=prepared.is_fixed)
    is_ephemeral = prepared.options.is_ephemeral
    return OpenRun(
        prepared=prepared,
        runtime=_runtime(prepared, run_dir, redactor, streams, env, shared.pool),
        service=shared.service,
        redactor=redactor,
        main=main,
        models=models,
        directory=run_dir.path,
        session=None if is_ephemeral else _joined(prepared, run_dir, shared.sessions),
    )


def _state(prepared: Prepared) -> Path:
    """The directory of the store; an ephemeral run has one that the next run sweeps, should this one die."""
    state = prepared.resolved.paths.state
    if not prepared.options.is_ephemeral:
        return state
    make_dirs(state / "runs")
    return temporary(state / "runs")


def _joined(prepared: Prepared, run_dir: RunDir, store: SessionStore) -> OpenSession:
    """The run's session with the run in it, locked; if it cannot be had, the run is unmade."""
    try:
        return _session(prepared, run_dir, store)
    except KataError:
        run_dir.close()
        remove_tree(run_dir.path)
        raise


def _session(prepared: Prepared, run_dir: RunDir, store: SessionStore) -> OpenSession:
    past, ts = prepared.past, stamp(prepared.clock.time())
    if past.session_id:
        return _continued(store.open(past.session_id), run_dir.id, ts)
    return store.create(
        f"s-{run_dir.id}",
        project=_places(prepared)["project"],
        name=past.name,
        ts=ts,
        replaces=prepared.is_fixed,
        entries=[RunEntry(id="e1", ts=ts, run_id=run_dir.id)],
    )


def _continued(session: OpenSession, run_id: str, ts: str) -> OpenSession:
    try:
        session.append_run(run_id, ts=ts)
    except KataError:
        session.close()
        raise
    return session


def open_providers(prepared: Prepared, env: Mapping[str, str], redactor: Redactor) -> ProviderService:
    """Who answers the run: providers, or the record that is replayed."""
    spent = prepared.record.run.usage if prepared.record.run else Usage()
    if prepared.record.exchanges is not None:
        learn_environment(redactor, prepared.resolved, env)
        return open_replay(prepared.resolved, prepared.record.exchanges, prepared.clock, spent)
    return open_service(
        prepared.resolved,
        env,
        clock=prepared.clock,
        redactor=redactor,
        api_key_file=prepared.options.api_key_file,
        scenario=prepared.scenario,
        spent=spent,
    )


def started(run: OpenRun) -> RunStarted:
    """The first event: what was asked, of whom, with which settings."""
    prepared, settings = run.prepared, run.prepared.resolved.settings
    return RunStarted(
        session_id=run.session.id if run.session else "",
        goal=prepared.inputs.goal,
        workflow=prepared.found.workflow.name,
        workflow_source=prepared.found.text,
        runtime_mode=settings.runtime_mode,
        mode_source=prepared.resolved.mode_source,
        model=str(run.main.model),
        key_source=run.main.key_source,
        host=run.main.host,
        **_places(prepared),
        kata_version=__version__,
        stdin_bytes=prepared.inputs.stdin_bytes,
        settings={name: value.value for name, value in settings.origins.items() if value.origin != "default"},
        definition=msgspec.to_builtins(prepared.found.workflow),
        vars=prepared.vars,
        system=prepared.system,
        files=list(prepared.options.files),
        resumes=prepared.record.resumes,
        replays=prepared.options.replays or "",
        earlier=prepared.past.earlier,
        previous=msgspec.to_builtins(prepared.past.previous),
        warnings=[*prepared.resolved.warnings, *prepared.past.warnings],
    )


def _places(prepared: Prepared) -> dict[str, str]:
    """Where the project and the files of the context are; of a recorded run, where they were then."""
    if prepared.record.run is not None:
        then = prepared.record.run.started
        return {"project": then.project, "cwd": then.cwd, "context_root": then.context_root}
    return {
        "project": str(prepared.resolved.project_root),
        "cwd": str(prepared.cwd),
        "context_root": str(context_query(prepared).root or ""),
    }


def _write_evidence(
    prepared: Prepared, directory: Path, stored: list[Recorded], env: Mapping[str, str]
) -> None:
    """The views beside the journal, and the spans where they are wanted. Raises `KataError` io."""
    if not prepared.options.is_ephemeral:
        write_views(directory, stored, partial(draft_files, stored))
    if prepared.resolved.settings.otel is not None:
        from kata_cli.output.otlp import traces

        append_file(Path(prepared.resolved.settings.otel), traces(stored, env))


def _runtime(
    prepared: Prepared,
    run_dir: RunDir,
    redactor: Redactor,
    streams: Streams,
    env: Mapping[str, str],
    pool: ThreadPoolExecutor,
) -> Runtime:
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
        pool=pool,
        is_strict=prepared.resolved.settings.strict,
        is_inline=prepared.is_fixed,
        is_kept=not prepared.options.is_ephemeral,
        is_watched=streams.is_watched,
        write_evidence=partial(_write_evidence, prepared, run_dir.path, recorder.stored, env),
        headline=told,
    )
