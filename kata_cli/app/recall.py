"""A recorded run as the start of another: `--resume` goes on where it stopped, `--replay` does it again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.app.options import RunOptions
from kata_cli.config.resolve import Resolved
from kata_cli.config.setting import Origin, Value
from kata_cli.config.settings import SETTINGS, Settings
from kata_cli.core.errors import KataError
from kata_cli.core.events import (
    ContextGathered,
    Event,
    PlanCreated,
    RunStarted,
    TaskFinished,
    UsageReported,
)
from kata_cli.core.exchange import Exchange
from kata_cli.core.messages import ModelRef, Usage
from kata_cli.core.records import RunRecord
from kata_cli.store.exchanges import exchanges, read_exchanges
from kata_cli.store.journal import read_journal
from kata_cli.store.owner import in_use, owner_file
from kata_cli.store.runs import RunStore

# What shaped the requests of a run, and so has to be the same in one that goes on from it.
SHAPING = ("runtime_mode", "provider", "model", "thinking", "temperature", "max_tokens", "fallback")
LIMITS = ("token_budget", "max_cost", "max_tasks")
# Agents that ran elsewhere go on elsewhere: never on this machine without being asked to.
PLACES = ("services", "service_token_file")
INPUTS = ("goal", "goal_file", "context_dir", "system", "revises", "session")


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """What a run recorded. `context` and `models` are None and empty if it did not come that far.

    `before` is the run that it resumed. `finished` are the ends of completed tasks, `exchanges` what gave
    them and what was asked besides, `usage` what all that took: each with those of the runs before.
    """

    run_id: str
    started: RunStarted
    context: ContextGathered | None = None
    models: dict[str, ModelRef] = {}
    finished: dict[str, TaskFinished] = {}
    exchanges: list[Exchange] = []
    usage: Usage = Usage()
    warnings: list[str] = []
    before: Recalled | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What `--resume` or `--replay` brought: a run, exchanges that answer instead of a provider, both."""

    run: Recalled | None = None
    exchanges: list[Exchange] | None = None

    @property
    def is_given(self) -> bool:
        return self.run is not None or self.exchanges is not None

    @property
    def resumes(self) -> str:
        """The run whose finished tasks are taken over: that of a replay is the one that was resumed then."""
        start = self.run.before if self.run and self.exchanges is not None else self.run
        return start.run_id if start else ""


def read_record(options: RunOptions, resolved: Resolved) -> Record:
    """What the command line recalls. Raises `KataError`."""
    if options.resumes is not None and options.replays is not None:
        raise KataError("usage", "--resume and --replay exclude each other", "kata run --help")
    if options.resumes is not None:
        return Record(run=_resumed(options, options.resumes, resolved))
    if options.replays is not None:
        return _replayed(options, options.replays, resolved)
    return Record()


def as_recorded(options: RunOptions, record: Record) -> RunOptions:
    """The command line with the settings of the record where it names none itself."""
    if record.run is not None:
        recorded = _flags_of(record.run.started)
    elif record.exchanges:
        asked = record.exchanges[0].request.model
        recorded = {"model": str(asked), "runtime_mode": "mock" if asked.provider == "mock" else None}
    else:
        return options
    given = {name: value for name, value in options.flags.items() if value not in (None, (), {})}
    if "provider" in given:
        recorded.pop("model")  # a model belongs to its provider
    if "services" in given:
        recorded.pop("service_token_file", None)
    return msgspec.structs.replace(options, flags={**recorded, **given})


def without_others(resolved: Resolved, options: RunOptions, record: Record) -> Resolved:
    """The settings without what variables and files say today of what shaped the record."""
    names = SHAPING if record.run is not None else ("provider",)
    plain = {
        name: Value(SETTINGS[name].default, "default", "default")
        for name in names
        if options.flags.get(name) in (None, ())
    }
    mode = resolved.settings.origins["runtime_mode"]
    if record.run is not None and mode.value == record.run.started.runtime_mode:
        # Who chose it is who chose it then, not the flag as which it was handed on.
        origin = msgspec.convert(record.run.started.mode_source, Origin)
        plain["runtime_mode"] = Value(mode.value, origin, f"run {record.run.run_id}")
    return msgspec.structs.replace(resolved, settings=Settings({**resolved.settings.origins, **plain}))


def recall_run(name: str, resolved: Resolved) -> tuple[Recalled, RunRecord]:
    """A run with all that it went on from. Raises `KataError`: usage for an unknown name, io."""
    from kata_cli.store.index import open_runs  # SQLite is slow to import, and few runs recall one

    store = open_runs(resolved.paths.state)
    run_id = store.resolve(name, project=str(resolved.project_root))
    record = store.load(run_id)
    return _recalled(store, run_id), record


def _resumed(options: RunOptions, name: str, resolved: Resolved) -> Recalled:
    """The run to be resumed, from a command line that gives no other inputs. Raises `KataError`."""
    _check_no_inputs(options, "--resume", "resumes a run with the inputs that it had")
    return resumable(name, resolved, accepts_changes=options.accepts_changes)


def resumable(name: str, resolved: Resolved, *, accepts_changes: bool = False) -> Recalled:
    """A run that can be resumed. Raises `KataError` usage when it cannot, or when its files have changed."""
    recalled, record = recall_run(name, resolved)
    if record.status in ("queued", "running"):
        path = RunStore(resolved.paths.state).directory / record.run_id
        raise in_use(owner_file(path), "run", record.run_id)
    if recalled.started.replays:
        hint = f"kata run --replay {recalled.started.replays}"
        raise KataError("usage", f"the run {record.run_id} is a replay: it is done again, not resumed", hint)
    if record.status == "completed":
        hint = f"kata sessions show {record.run_id}"
        raise KataError("usage", f"the run {record.run_id} is complete: there is nothing to resume", hint)
    if recalled.context is None:
        told = f"the run {record.run_id} ended before it had read its context: there is nothing to resume"
        raise KataError("usage", told, 'start a new one: kata run "what you want"')
    changed = _changed_files(recalled.context, recalled.started)
    if changed and not accepts_changes:
        some = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise KataError(
            "usage",
            f"changed since the run {record.run_id} read it: {some}",
            "--accept-changes to go on with what was read then, or start a new run",
        )
    return recalled


def _replayed(options: RunOptions, name: str, resolved: Resolved) -> Record:
    """The run that is done again; a file, or a run beside a goal, gives its exchanges alone."""
    if "/" in name or name.endswith(".jsonl"):
        return Record(exchanges=_answers(name, read_exchanges(Path(name))))
    recalled, _ = recall_run(name, resolved)
    answers = _answers(f"the run {recalled.run_id}", recalled.exchanges)
    if options.goal is not None or options.goal_file is not None:
        return Record(exchanges=answers)
    _check_no_inputs(options, "--replay", "without a goal repeats a run with the inputs that it had")
    return Record(run=_at_its_start(recalled), exchanges=answers)


def _answers(where: str, recorded: list[Exchange]) -> list[Exchange]:
    if not recorded:
        told = f"--replay: {where} holds no exchange, so nothing can be answered from it"
        raise KataError("usage", told, "kata sessions list")
    return recorded


def _at_its_start(run: Recalled) -> Recalled:
    """A run as it began: with what the run that it resumed had finished and spent."""
    before = run.before
    return msgspec.structs.replace(
        run, finished=before.finished if before else {}, usage=before.usage if before else Usage()
    )


def _flags_of(started: RunStarted) -> dict[str, Any]:
    """The settings that shaped the requests of a run, its limits and its places, as flags for another."""
    names = (*SHAPING, *LIMITS, *PLACES)
    kept = {name: started.settings[name] for name in names if started.settings.get(name) is not None}
    flags = {name: tuple(v) if isinstance(v, list) else str(v) for name, v in kept.items()}
    return {**flags, "runtime_mode": started.runtime_mode, "model": started.model, "provider": None}


def _recalled(store: RunStore, run_id: str) -> Recalled:
    journal = read_journal(store.directory / run_id / "events.jsonl")
    events = [entry.event for entry in journal.recorded]
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None:
        told = f"the journal of the run {run_id} does not begin with what was asked"
        raise KataError("io", told, 'start a new run: kata run "what you want"')
    own = Recalled(
        run_id=run_id,
        started=started,
        context=next((event for event in events if isinstance(event, ContextGathered)), None),
        models=_models(events),
        finished=_finished(events),
        exchanges=exchanges(journal.recorded),
        usage=sum((event.usage for event in events if isinstance(event, UsageReported)), Usage()),
        warnings=[f"run {run_id}: {warning}" for warning in journal.warnings],
    )
    return _after(_recalled(store, started.resumes), own) if store.has(started.resumes) else own


def _after(before: Recalled, own: Recalled) -> Recalled:
    """A run with the one it resumed: if it was killed early, it had not yet recorded what it took over."""
    kept = [exchange for exchange in before.exchanges if exchange.task in before.finished]
    return msgspec.structs.replace(
        own,
        before=before,
        context=own.context or before.context,
        finished={**before.finished, **own.finished},
        exchanges=[*kept, *own.exchanges],
        usage=before.usage + own.usage,
        warnings=[*before.warnings, *own.warnings],
    )


def _models(events: list[Event]) -> dict[str, ModelRef]:
    for event in events:
        if isinstance(event, PlanCreated):
            return {task.id: ModelRef.parse(task.model) for task in event.tasks}
    return {}


def _finished(events: list[Event]) -> dict[str, TaskFinished]:
    ends = [event for event in events if isinstance(event, TaskFinished)]
    return {end.task: end for end in ends if end.status == "completed"}


def _check_no_inputs(options: RunOptions, flag: str, what: str) -> None:
    given = [name for name in INPUTS if getattr(options, name) is not None]
    given += [name for name in ("workflow", "vars") if options.flags.get(name)]
    refuses_context = options.flags.get("context_enabled") is False
    if given or refuses_context or options.files or options.continues or options.reads_stdin:
        told = f"{flag} {what}: give no goal, file, variable, context or workflow"
        raise KataError("usage", told, "kata run --help")


def _changed_files(context: ContextGathered, started: RunStarted) -> list[str]:
    """The files, shown by the context, that no longer read as they did."""
    bases = {"project": Path(started.context_root), "file": Path(started.cwd)}
    hashes = {(file.origin, file.path): file.sha256 for file in context.files if file.origin in bases}
    return [path for (origin, path), digest in hashes.items() if _sha256(bases[origin] / path) != digest]


def _sha256(path: Path) -> str:
    try:
        # A pipe or device in its place must not be waited for.
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except OSError:
        return ""
