"""The credential that is found for a provider, or why there is none."""

from __future__ import annotations

from pathlib import Path

from config_world import World

from kata_cli.core.errors import Failure
from kata_cli.core.ports import Credential

KEY = "sk-ant-canary-0001"


def find_key(
    world: World, env: dict[str, str] | None = None, key_file: Path | None = None, provider: str = "anthropic"
) -> Credential | Failure:
    """What the finder says, after the settings have been read."""
    return world.finder(env, key_file).find(world.resolve(env=env).endpoints[provider])


def found_key(
    world: World, env: dict[str, str] | None = None, key_file: Path | None = None, provider: str = "anthropic"
) -> Credential:
    """The same, which must be a credential."""
    credential = find_key(world, env, key_file, provider)
    assert isinstance(credential, Credential), credential
    return credential


def failed_key(
    world: World, env: dict[str, str] | None = None, key_file: Path | None = None, provider: str = "anthropic"
) -> Failure:
    """The same, which must be a failure."""
    failure = find_key(world, env, key_file, provider)
    assert isinstance(failure, Failure), failure
    return failure
