"""What a project's `kata.toml` may not do while nobody vouches for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_world import World

from kata_cli.config.resolve import resolve
from kata_cli.config.settings import SETTINGS

TRUSTED = {
    "runtime_mode", "provider", "model", "thinking", "workflow", "vars", "jobs", "max_tokens", "strict",
    "timeout", "idle_timeout", "max_cost", "token_budget", "max_tasks",
    "connect_timeout", "first_byte_timeout", "request_timeout", "stdin_wait",
    "context_enabled", "context_max_tokens", "context_max_named_tokens",
    "context_max_files", "context_max_file_bytes", "context_exclude",
}  # fmt: skip

REFUSED = [
    'runtime_mode = "pi"',
    "temperature = 1.0",
    'fallback = ["openai/x"]',
    'home = "/tmp/x"',
    'services = ["http://localhost:1"]',
    'service_token_file = ["/tmp/x"]',
    'color = "never"',
    "allow_http = true",
    "key_cmd_timeout = 5",
    'serve.host = "0.0.0.0"',
    '[providers.evil]\nkind = "openai"\nbase_url = "https://evil.example"',
    '[providers.openai]\nbase_url = "https://evil.example"',
    '[providers.anthropic]\nkey_cmd = ["sh"]',
    '[providers.anthropic]\nkey_env = "HOME"',
    "[providers]",
    "[profiles.p]\njobs = 3",
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_list_of_what_an_untrusted_project_may_set_is_closed() -> None:
    """A new setting is untrusted until this list says otherwise."""
    assert {name for name, setting in SETTINGS.items() if setting.is_trusted} == TRUSTED


@pytest.mark.parametrize("text", REFUSED)
def test_s4_f85_untrusted_keys_are_refused_with_both_ways_on(world: World, text: str) -> None:
    """Exit 3 names file and key, even where a flag or variable would overrule the value."""
    world.says(text)
    failure = world.refusal({"runtime_mode": "native"}, {"OPENAI_API_KEY": "sk-canary"})
    assert (failure.code, failure.exit) == ("config", 3)
    assert f"{world.project_file}:1: " in failure.message
    assert "--trust-project" in failure.hint
    assert f"{str(world.project)!r} to trusted_projects" in failure.hint


@pytest.mark.parametrize("text", REFUSED[:-2])
def test_a_trusted_project_may_set_them(world: World, text: str) -> None:
    """Both ways of trusting work: the flag, and the list of the user."""
    world.says(text)
    assert world.resolve(trusts_project=True).is_trusted
    world.user(f"trusted_projects = [{str(world.project)!r}]")
    assert world.resolve().is_trusted


def test_trust_does_not_reach_below_the_listed_directory(world: World) -> None:
    """A listed parent says nothing about a clone inside it."""
    world.says("temperature = 1.0")
    world.user(f"trusted_projects = [{str(world.project.parent)!r}]")
    assert world.refusal().exit == 3


def test_trust_follows_the_real_path(world: World) -> None:
    """The list, or the working directory, may name the project by a symlink."""
    link = world.home / "link"
    link.symlink_to(world.project)
    world.says("temperature = 1.0")
    world.user(f"trusted_projects = [{str(link)!r}]")
    assert world.resolve().settings.temperature == 1.0
    world.user(f"trusted_projects = [{str(world.project)!r}]")
    assert resolve({}, world.env, link).settings.temperature == 1.0


@pytest.mark.parametrize("trusts", [True, False])
@pytest.mark.parametrize("text", ["trusted_projects = ['/']", "[profiles.p]\njobs = 2"])
def test_a_project_never_trusts_itself(world: World, text: str, trusts: bool) -> None:
    """`trusted_projects` and profiles are the user's, whatever the trust."""
    world.says(text)
    assert world.refusal(trusts_project=trusts).exit == 3


def test_a_profile_trusts_nobody(world: World) -> None:
    """Trust is given at the top of the user file, where it is seen."""
    world.user("[profiles.p]\ntrusted_projects = ['/']")
    assert "top of your own config.toml" in world.refusal(profile="p").message


@pytest.mark.parametrize("key", ["provider = 'evil'", "model = 'evil/x'", "model = 'x'"])
def test_a_project_names_only_known_providers(world: World, key: str) -> None:
    """Provider and model must be built in or defined by the user."""
    world.says(key)
    failure = world.refusal()
    assert (failure.code, failure.exit) == ("config", 3)
    assert f"{world.project_file}:1: " in failure.message


def test_a_project_may_name_a_provider_of_the_user(world: World) -> None:
    """What the user file defines is known."""
    world.user("[providers.mine]\nkind = 'openai'\nbase_url = 'https://h'")
    world.says("model = 'mine/x'")
    assert world.resolve().settings.model == "mine/x"


@pytest.mark.parametrize("user", ["", "timeout = '10m'\nmax_tokens = 100"])
def test_an_untrusted_project_lowers_limits_only(world: World, user: str) -> None:
    """The lower value wins, and a higher one is reported; flags and trust may raise it."""
    world.user(user)
    world.says("timeout = '5m'\nmax_tokens = 50")
    assert world.resolve().settings.timeout == 300
    world.says("idle_timeout = '1h'\nmax_tokens = 500")
    resolved = world.resolve()
    assert resolved.settings.idle_timeout == 300
    assert resolved.settings.origins["idle_timeout"].origin == "default"
    assert resolved.settings.max_tokens == (100 if user else 500)
    assert any(f"{world.project_file}:1: idle_timeout: 3600 is above" in text for text in resolved.warnings)
    assert world.resolve(trusts_project=True).settings.idle_timeout == 3600
    assert world.resolve({"idle_timeout": "2h"}).settings.idle_timeout == 7200
