"""The secrets that this process can know of without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping

from kata_cli.config.endpoints import key_variable
from kata_cli.config.resolve import Resolved
from kata_cli.core.redact import Redactor


def learn_environment(redactor: Redactor, resolved: Resolved, env: Mapping[str, str]) -> None:
    """Redact from now on every provider's key that the environment holds."""
    for name, entry in resolved.providers.items():
        for variable in (key_variable(name), *entry.key_vars):
            redactor.learn(env.get(variable, ""))
