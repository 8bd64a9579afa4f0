"""Providers: built in, changed, added."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_world import World

from kata_cli.config.endpoints import check_url, is_loopback, key_variable
from kata_cli.config.resolve import describe
from kata_cli.core.errors import Failure
from kata_cli.core.ports import Credential


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_two_providers_are_built_in(world: World) -> None:
    """Each has an address, a wire format and a default model."""
    endpoints = world.resolve().endpoints
    assert list(endpoints) == ["anthropic", "openai"]
    anthropic, openai = endpoints.values()
    assert (anthropic.host, anthropic.api, anthropic.supports_token) == (
        "api.anthropic.com",
        "messages",
        True,
    )
    assert (openai.host, openai.api, openai.supports_token) == ("api.openai.com", "responses", False)
    assert all(endpoint.requires_key and endpoint.default_model for endpoint in endpoints.values())


def test_the_vendors_base_url_variable_beats_the_file(world: World) -> None:
    """On loopback no key is needed and the OpenAI kind speaks chat."""
    world.user("[providers.openai]\nbase_url = 'https://gateway.example/v1'\ndefault_model = 'own'")
    assert world.resolve().endpoints["openai"].base_url == "https://gateway.example/v1"
    openai = world.resolve(env={"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1/"}).endpoints["openai"]
    assert (openai.base_url, openai.api, openai.requires_key) == ("http://127.0.0.1:11434/v1", "chat", False)
    assert openai.default_model == "own"
    anthropic = world.resolve(env={"ANTHROPIC_BASE_URL": "http://[::1]:80"}).endpoints["anthropic"]
    assert (anthropic.api, anthropic.requires_key) == ("messages", False)


def test_a_provider_of_the_user(world: World) -> None:
    """Kind and address are enough; the rest has defaults."""
    world.user(
        "[providers.my-llm]\nkind = 'openai'\nbase_url = 'https://h:8443/v1'\napi = 'chat'\n"
        "requires_key = false\ndefault_model = 'm'"
    )
    endpoint = world.resolve().endpoints["my-llm"]
    assert (endpoint.host, endpoint.api, endpoint.requires_key) == ("h:8443", "chat", False)
    assert key_variable("my-llm") == "KATA_MY_LLM_API_KEY"


def test_a_trusted_project_is_named_as_the_origin(world: World) -> None:
    """Provider settings carry their origin like all others, the project above the user."""
    world.user("[providers.x]\nkind = 'openai'\nbase_url = 'https://user'")
    world.says("[providers.x]\nbase_url = 'https://project'")
    entry = world.resolve(trusts_project=True).providers["x"]
    assert (entry.endpoint.base_url, entry.origins["base_url"].origin) == ("https://project", "project")
    assert entry.origins["kind"].origin == "user"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[providers.x]\nbase_url = 'https://h'", ":1: providers.x: kind is missing"),
        ("[providers.x]\nkind = 'openai'", ":1: providers.x: base_url is missing"),
        ("[providers.x]\nkind = 'opena'\nbase_url = 'https://h'", ":2: providers.x.kind: expected one of"),
        ("[providers.X_Y]\nkind = 'openai'", "expected a name of a-z, 0-9 and -"),
        ("providers = 3", ":1: providers: expected tables"),
        ("[providers]\nx = 3", ":2: providers.x: expected a table"),
        ("[providers.openai]\napi = 'messages'", ":2: providers.openai.api: expected responses or chat"),
        ("[providers.anthropic]\napi = 'chat'", ":2: providers.anthropic.api: expected messages"),
        ("[providers.openai]\nkey_env = 'sk-canary'", "the name of a variable"),
        ("[providers.openai]\nkey_cmd = 'sh -c x'", "expected a list of texts"),
        ("[providers.openai]\nbase_url = 'http://h/v1'", ":2: providers.openai.base_url: expected https"),
    ],
)
def test_bad_providers_name_file_and_key(world: World, text: str, expected: str) -> None:
    """Exit 3, with the line where it is known; no key that was put in the wrong place is repeated."""
    world.user(text)
    failure = world.refusal()
    assert (failure.code, failure.exit) == ("config", 3)
    assert expected in failure.message
    assert "canary" not in failure.message


def test_plain_http_needs_a_word_of_the_user(world: World) -> None:
    """A vendor's variable stops only the provider it is for, with exit 2; `allow_http` opens the way."""
    env = {"OPENAI_BASE_URL": "http://user:canary@gateway.example/v1", "OPENAI_API_KEY": "sk"}
    resolved = world.resolve(env=env)
    failure = world.finder(env).find(resolved.endpoints["openai"])
    assert isinstance(failure, Failure)
    assert (failure.exit, failure.message.split(":")[0]) == (2, "OPENAI_BASE_URL")
    assert "canary" not in repr(describe(resolved))
    assert resolved.endpoints["openai"].base_url == ""

    env["OPENAI_BASE_URL"] = "http://gateway.example/v1"
    refused = world.finder(env).find(world.resolve(env=env).endpoints["openai"])
    assert isinstance(refused, Failure)
    assert "allow_http" in refused.message
    world.user("allow_http = true")
    allowed = world.finder(env).find(world.resolve(env=env).endpoints["openai"])
    assert isinstance(allowed, Credential)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "ftp://h",
        "file:///etc/passwd",
        "https://",
        "https://:80",
        "https://user:canary@h",
        "https://canary@h",
        "https://h:0",
        "https://h:99999",
        "https://h:x",
        "https://[::1",
        "https://h/?key=canary",
        "https://h/#canary",
        "https://h/a b",
        *(f"https://h/canary{chr(code)}x" for code in (*range(33), 127, 0x85, 0x202E, 0xE9)),
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://h",
        "http://0.0.0.0",
    ],
)
def test_s6_bad_addresses_are_refused_and_never_repeated(url: str) -> None:
    """Scheme, host, port, user names and control characters are checked before any I/O."""
    with pytest.raises(ValueError, match="expected") as caught:
        check_url(url, allows_http=False)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost", "http://LOCALHOST:1", "http://127.9.9.9/v1", "http://[::1]:8/"]
)
def test_loopback_is_this_machine_only(url: str) -> None:
    """Names and addresses of this machine may speak plain http."""
    assert is_loopback(url)
    assert check_url(url, allows_http=False) == url.rstrip("/")
