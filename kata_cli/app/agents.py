"""How the agents of pi mode are found and confined, from settings and the keys there are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kata_cli.app.pi_models import pi_models_of
from kata_cli.app.place import working_directory
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.key_sources import PI_TOKEN
from kata_cli.config.resolve import Resolved
from kata_cli.core.ports import Credential, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.pi.options import LiveOptions, PiOptions
from kata_cli.providers.pi import PiProvider
from kata_cli.providers.pi_live import LivePiProvider

# What Pi reads, by the kind of credential.
PI_VARIABLES = {
    "anthropic": {"api_key": "ANTHROPIC_API_KEY", "token": PI_TOKEN},
    "openai": {"api_key": "OPENAI_API_KEY"},
}


def pi_provider(
    resolved: Resolved,
    env: Mapping[str, str],
    finder: CredentialFinder,
    redactor: Redactor,
    timeouts: Timeouts,
    live: LiveOptions | None = None,
) -> PiProvider:
    """A pool of Pi processes, none of them started yet; in the working directory unless they are `live`."""
    models = pi_models_of(resolved, env)
    for variables in models.keys.values():
        for secret in variables.values():
            redactor.learn(secret)
    keys = {**agent_keys(resolved, finder, redactor), **models.keys}
    options = pi_options(resolved, env, redactor, keys=keys, models=models.document)
    return LivePiProvider(options, timeouts, live) if live else PiProvider(options, timeouts)


def pi_options(
    resolved: Resolved,
    env: Mapping[str, str],
    redactor: Redactor,
    *,
    keys: Mapping[str, Mapping[str, str]],
    models: bytes,
) -> PiOptions:
    """How Pi is run here, with these keys of its providers and this models.json."""
    settings = resolved.settings
    return PiOptions(
        cwd=working_directory(),
        environ=env,
        binary=settings.pi_binary or "",
        tools=settings.tools,
        agent_dir=Path(settings.pi_agent_dir) if settings.pi_agent_dir else None,
        models=models,
        has_extensions=settings.pi_extensions,
        keys=keys,
        redact=redactor.text,
        max_instances=settings.jobs,
    )


def agent_keys(resolved: Resolved, finder: CredentialFinder, redactor: Redactor) -> dict[str, dict[str, str]]:
    """One credential of each built-in provider, under the variable in which Pi looks for it."""
    keys = {}
    for name, variables in PI_VARIABLES.items():
        found = finder.find(resolved.endpoints[name])
        if isinstance(found, Credential) and found.secret:
            redactor.learn(found.secret)
            keys[name] = {variables[found.kind]: found.secret}
    return keys
