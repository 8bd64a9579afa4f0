"""From the command line to everything a run needs, before it exists: all that kata can refuse by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from kata_cli.app.inputs import Inputs, argument_text, read_inputs
from kata_cli.app.options import Common, RunOptions
from kata_cli.app.past import Past, past_of, read_past
from kata_cli.app.place import check_recordable
from kata_cli.app.recall import Recalled, Record
from kata_cli.app.result import OutputFile
from kata_cli.config.resolve import Resolved, resolve
from kata_cli.core.clock import FixedClock, SystemClock
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Clock
from kata_cli.providers.mock.scenario import Scenario, read_scenario
from kata_cli.workflows import catalog, variables
from kata_cli.workflows.catalog import Found
from kata_cli.workflows.model import VarValue, Workflow

Say = Callable[[str], None]
Find = Callable[[str, Path], Found]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A run that may start. `epoch_s` is set when time is fixed (mock mode under SOURCE_DATE_EPOCH)."""

    options: RunOptions
    resolved: Resolved
    found: Found
    vars: dict[str, str]
    inputs: Inputs
    past: Past
    system: str
    scenario: Scenario
    output: OutputFile | None
    cwd: Path
    epoch_s: int | None
    record: Record

    @property
    def is_fixed(self) -> bool:
        """Whether nothing of the run may depend on time or chance."""
        return self.epoch_s is not None

    @property
    def clock(self) -> Clock:
        return SystemClock() if self.epoch_s is None else FixedClock(self.epoch_s)


def resolved_settings(options: Common, env: Mapping[str, str], cwd: Path) -> Resolved:
    """The effective settings of a command. Raises `KataError`."""
    try:
        resolved = resolve(
            options.flags,
            env,
            cwd,
            profile=options.profile,
            is_isolated=options.is_isolated,
            trusts_project=options.trusts_project,
        )
    except KataError as error:
        raise _with_way_around(error.failure) from None
    if resolved.starts_agents:
        from kata_cli.app.pi_models import pi_models_of

        resolved.warnings += pi_models_of(resolved, env).warnings
    return resolved


def _with_way_around(failure: Failure) -> KataError:
    """The refusal of a config file, which a command can do without, unlike any other file."""
    if failure.code == "config" and not failure.remediation:
        way = "mend the file, or go on without it: --isolated"
        return KataError.of(msgspec.structs.replace(failure, remediation=way))
    return KataError.of(failure)


def prepare(
    options: RunOptions,
    resolved: Resolved,
    record: Record,
    env: Mapping[str, str],
    cwd: Path,
    say: Say,
    find: Find = catalog.find,
) -> Prepared:
    """Judge a command line, cheapest checks first; stdin is read last. Raises `KataError`."""
    check_recordable(cwd)
    settings = resolved.settings
    asked = _typed(options, resolved, find) if record.run is None else _recorded(record.run, resolved)
    scenario = scenario_of(options.scenario, settings.runtime_mode)
    output = _output(options, resolved, asked.past.file_text)
    if record.exchanges is None:
        check_agents(resolved, env)
    _check_context(options, cwd)
    for warning in [*resolved.warnings, *asked.past.warnings] if not options.is_quiet else []:
        say(f"warning: {warning}")
    return Prepared(
        options=options,
        resolved=resolved,
        found=asked.found,
        vars=asked.vars,
        inputs=asked.inputs or read_inputs(options, stdin_wait_s=settings.stdin_wait, say=say),
        past=asked.past,
        system=asked.system,
        scenario=scenario,
        output=output,
        cwd=cwd,
        epoch_s=fixed_epoch_s(env) if settings.runtime_mode == "mock" else None,
        record=record,
    )


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is to do; without `inputs` they are still to be read."""

    found: Found
    vars: dict[str, str]
    past: Past
    system: str
    inputs: Inputs | None = None


def _typed(options: RunOptions, resolved: Resolved, find: Find) -> _Asked:
    """What the command line asks for."""
    settings = resolved.settings
    found = find(settings.workflow, resolved.paths.config / "workflows")
    return _Asked(
        found=found,
        vars=variables.bind(found.workflow, _var_texts(options, settings.vars)),
        past=read_past(options, resolved, found.workflow),
        system=argument_text(options.system, "system prompt") if options.system else "",
    )


def _recorded(run: Recalled, resolved: Resolved) -> _Asked:
    """What a recorded run was asked for."""
    started = run.started
    return _Asked(
        found=Found(_workflow(run), started.workflow_source, f"run {run.run_id}"),
        vars=started.vars,
        past=past_of(started, resolved, run.warnings),
        system=started.system,
        inputs=Inputs(goal=started.goal, stdin_bytes=started.stdin_bytes),
    )


def _workflow(run: Recalled) -> Workflow:
    """The workflow as it was read then; other versions keep it in another form, the first kept none."""
    try:
        return msgspec.convert(run.started.definition, Workflow)
    except msgspec.ValidationError:
        version = run.started.kata_version or "an unknown version"
        told = f"the run {run.run_id} was recorded by kata {version}, whose workflows this one cannot read"
        raise KataError("io", told, 'start a new run: kata run "what you want"') from None


def _var_texts(options: RunOptions, given: Mapping[str, object]) -> dict[str, VarValue]:
    """`@file` is read only for a variable that was typed on the command line; a file's is plain text."""
    typed = options.flags.get("vars") or {}
    texts: dict[str, VarValue] = {}
    for name, value in given.items():
        if name in typed and isinstance(value, str) and value.startswith("@"):
            value = argument_text(value, f"variable {name}")
        if not isinstance(value, str | int | float | bool):
            raise KataError("config", f"variable {name!r} is neither text, number nor truth value")
        texts[name] = value
    return texts


def scenario_of(name: str | None, mode: str) -> Scenario:
    """What the mock provider is to do. Raises `KataError`."""
    if name is None:
        return Scenario()
    if mode != "mock":
        raise KataError("usage", "--scenario scripts the mock provider only", "add --mode mock")
    return read_scenario(Path(name))


def check_agents(resolved: Resolved, env: Mapping[str, str]) -> None:
    """A CI job holds secrets, and an agent reads what it likes: it takes a word of its own to let one in.

    Agents of a service run elsewhere and see nothing of the job but what they are sent. Raises `KataError`,
    also where a service could not be asked for want of its token.
    """
    settings = resolved.settings
    if settings.runtime_mode == "pi" and settings.services:
        from kata_cli.app.services import addresses, token_of

        for address in addresses(resolved):
            token_of(address)
    elif settings.origins["services"].origin == "flag":
        raise KataError("usage", "--service names where agents of mode pi run", "add --mode pi")
    if resolved.starts_agents and in_ci(env) and not settings.allow_agent:
        raise KataError("usage", "mode pi runs agents, and this is a CI job", "--allow-agent to let them in")


def _check_context(options: RunOptions, cwd: Path) -> None:
    if options.context_dir is not None and options.flags.get("context_enabled") is False:
        raise KataError("usage", "--context and --no-context exclude each other", "kata run --help")
    if options.context_dir is not None and not (cwd / options.context_dir).is_dir():
        raise KataError("io", f"--context: {options.context_dir} is no directory", "name a directory to read")


def _output(options: RunOptions, resolved: Resolved, revised: str | None) -> OutputFile | None:
    """Where the result goes: `-o`, else back into the draft that is revised, else nowhere but stdout."""
    name = options.output if options.output is not None else options.revises
    if name is None or name == "-":
        return None
    if not name:
        raise KataError("usage", "-o: the name of the file is empty", "-o spec.md")
    is_revised = options.revises is not None and Path(name).resolve() == Path(options.revises).resolve()
    # A draft that is reached by a link is revised where it is; what is named by `-o` alone replaces a link.
    path = Path(name).resolve() if is_revised and Path(name).is_symlink() else Path(name)
    output = OutputFile(path, resolved.paths.state / "outputs", must_hold=revised if is_revised else None)
    output.check(is_forced=options.is_forced)
    return output


def fixed_epoch_s(env: Mapping[str, str]) -> int | None:
    """The fixed time of reproducible builds (reproducible-builds.org, SOURCE_DATE_EPOCH)."""
    text = env.get("SOURCE_DATE_EPOCH", "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) > 253_402_300_799:
        raise KataError(
            "usage", f"SOURCE_DATE_EPOCH is not a number of seconds: {text!r}", "unset SOURCE_DATE_EPOCH"
        )
    return int(text)


def in_ci(env: Mapping[str, str]) -> bool:
    """Whether a CI job runs this."""
    return bool(env.get("CI")) and env.get("CI") != "false"
