"""From the command line to everything a run needs, before it exists: all that kata can refuse by itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from kata_cli.app.inputs import Inputs, argument_text, read_inputs
from kata_cli.app.options import Common, RunOptions
from kata_cli.app.result import OutputFile
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.endpoints import key_variable
from kata_cli.config.resolve import Resolved, resolve
from kata_cli.core.clock import FixedClock, SystemClock
from kata_cli.core.errors import KataError
from kata_cli.core.messages import ModelRef
from kata_cli.core.ports import Clock, Credential, Endpoint, Provider, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.providers import registry
from kata_cli.providers.mock import MockProvider
from kata_cli.providers.mock.scenario import Scenario, read_scenario
from kata_cli.providers.service import Policy, ProviderService
from kata_cli.workflows import catalog, variables
from kata_cli.workflows.catalog import Found
from kata_cli.workflows.model import VarValue

Say = Callable[[str], None]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A run that may start. `epoch_s` is set when time is fixed (mock mode under SOURCE_DATE_EPOCH)."""

    options: RunOptions
    resolved: Resolved
    found: Found
    vars: dict[str, str]
    inputs: Inputs
    system: str
    scenario: Scenario
    output: OutputFile | None
    cwd: Path
    epoch_s: int | None

    @property
    def is_fixed(self) -> bool:
        """Whether nothing of the run may depend on time or chance."""
        return self.epoch_s is not None

    @property
    def clock(self) -> Clock:
        return SystemClock() if self.epoch_s is None else FixedClock(self.epoch_s)


def resolved_settings(options: Common, env: Mapping[str, str], cwd: Path) -> Resolved:
    """The effective settings of a command. Raises `KataError`."""
    return resolve(
        options.flags,
        env,
        cwd,
        profile=options.profile,
        is_isolated=options.is_isolated,
        trusts_project=options.trusts_project,
    )


def prepare(options: RunOptions, resolved: Resolved, env: Mapping[str, str], cwd: Path, say: Say) -> Prepared:
    """Judge a command line, cheapest checks first; stdin is read last. Raises `KataError`."""
    settings = resolved.settings
    found = catalog.find(settings.workflow, resolved.paths.config / "workflows")
    bound = variables.bind(found.workflow, _var_texts(options, settings.vars))
    scenario = _scenario(options, settings.runtime_mode)
    output = _output(options, resolved)
    _check_agents(resolved, env)
    _check_context(options, cwd)
    system = argument_text(options.system, "system prompt") if options.system else ""
    for warning in resolved.warnings if not options.is_quiet else []:
        say(f"warning: {warning}")
    return Prepared(
        options=options,
        resolved=resolved,
        found=found,
        vars=bound,
        inputs=read_inputs(options, stdin_wait_s=settings.stdin_wait, say=say),
        system=system,
        scenario=scenario,
        output=output,
        cwd=cwd,
        epoch_s=_epoch_s(env) if settings.runtime_mode == "mock" else None,
    )


def open_service(
    resolved: Resolved,
    env: Mapping[str, str],
    *,
    clock: Clock,
    redactor: Redactor,
    api_key_file: str | None = None,
    scenario: Scenario | None = None,
) -> ProviderService:
    """The provider service of a command, with the timeouts and fallbacks of its settings.

    The redactor learns every key that the environment holds, asked for or not, and those that are found.
    """
    settings = resolved.settings
    for name, entry in resolved.providers.items():
        for variable in (key_variable(name), *entry.key_vars):
            redactor.learn(env.get(variable, ""))
    timeouts = Timeouts(
        connect_s=settings.connect_timeout,
        first_byte_s=settings.first_byte_timeout,
        idle_s=settings.idle_timeout,
        request_s=settings.request_timeout,
    )
    policy = Policy(
        mode=settings.runtime_mode,
        mode_source=resolved.mode_source,
        timeouts=timeouts,
        fallbacks=tuple(ModelRef.parse(text) for text in settings.fallback),
    )
    key_file = Path(api_key_file) if api_key_file else None
    finder = CredentialFinder(env, resolved.paths, resolved, key_file)
    return ProviderService(
        policy=policy,
        endpoints=resolved.endpoints,
        credentials=finder,
        clock=clock,
        on_secret=redactor.learn,
        connect=_connector(resolved, env, finder, redactor, scenario),
        # Retries of a run on fixed time must take the same time in every run.
        jitter=random.random if isinstance(clock, SystemClock) else lambda: 0.0,
    )


def _connector(
    resolved: Resolved,
    env: Mapping[str, str],
    finder: CredentialFinder,
    redactor: Redactor,
    scenario: Scenario | None,
) -> Callable[[Endpoint, Credential, Timeouts], Provider]:
    def connect(endpoint: Endpoint, credential: Credential, timeouts: Timeouts) -> Provider:
        if endpoint.kind == "mock":
            return MockProvider(endpoint, credential, timeouts, scenario)
        if endpoint.kind == "pi":
            from kata_cli.app.agents import pi_provider

            return pi_provider(resolved, env, finder, redactor, timeouts)
        return registry.connect(endpoint, credential, timeouts)

    return connect


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


def _scenario(options: RunOptions, mode: str) -> Scenario:
    if options.scenario is None:
        return Scenario()
    if mode != "mock":
        raise KataError("usage", "--scenario scripts the mock provider only", "add --mode mock")
    return read_scenario(Path(options.scenario))


def _check_agents(resolved: Resolved, env: Mapping[str, str]) -> None:
    """A CI job holds secrets, and an agent reads what it likes: it takes a word of its own to let one in."""
    if resolved.settings.runtime_mode == "pi" and in_ci(env) and not resolved.settings.allow_agent:
        raise KataError("usage", "mode pi runs agents, and this is a CI job", "--allow-agent to let them in")


def _check_context(options: RunOptions, cwd: Path) -> None:
    if options.context_dir is not None and options.flags.get("context_enabled") is False:
        raise KataError("usage", "--context and --no-context exclude each other", "kata run --help")
    if options.context_dir is not None and not (cwd / options.context_dir).is_dir():
        raise KataError("io", f"--context: {options.context_dir} is no directory", "name a directory to read")


def _output(options: RunOptions, resolved: Resolved) -> OutputFile | None:
    if options.output is None or options.output == "-":
        return None
    if not options.output:
        raise KataError("usage", "-o: the name of the file is empty", "-o spec.md")
    output = OutputFile(Path(options.output), resolved.paths.state / "outputs")
    output.check(is_forced=options.is_forced)
    return output


def _epoch_s(env: Mapping[str, str]) -> int | None:
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
