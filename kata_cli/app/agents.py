"""How the agents of pi mode are found and confined, from settings and the keys there are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kata_cli.app.place import working_directory
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.endpoints import BUILTINS
from kata_cli.config.resolve import Resolved
from kata_cli.core.ports import Credential, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.pi.options import PiOptions
from kata_cli.providers.pi import PiProvider


def pi_provider(
    resolved: Resolved,
    env: Mapping[str, str],
    finder: CredentialFinder,
    redactor: Redactor,
    timeouts: Timeouts,
) -> PiProvider:
    """A pool of Pi processes in the working directory; none is started yet."""
    settings = resolved.settings
    options = PiOptions(
        cwd=working_directory(),
        environ=env,
        binary=settings.pi_binary or "",
        tools=settings.tools,
        agent_dir=Path(settings.pi_agent_dir) if settings.pi_agent_dir else None,
        has_extensions=settings.pi_extensions,
        keys=_keys(resolved, finder, redactor),
        redact=redactor.text,
        max_instances=settings.jobs,
    )
    return PiProvider(options, timeouts)


def _keys(resolved: Resolved, finder: CredentialFinder, redactor: Redactor) -> dict[str, dict[str, str]]:
    """The keys of the built-in providers, under the variables that their vendors and Pi read."""
    keys = {}
    for name in BUILTINS:
        found = finder.find(resolved.endpoints[name])
        if isinstance(found, Credential) and found.secret:
            redactor.learn(found.secret)
            variables = resolved.providers[name].key_vars
            variable = next((var for var, kind in variables.items() if kind == found.kind), None)
            if variable is not None:
                keys[name] = {variable: found.secret}
    return keys
