"""Token sessions: when one is used, when a key stands in for it, and what is told of either."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_keys import KEY, failed_key
from config_world import World

from kata_cli.config.credentials import Outcome, SessionStatus
from kata_cli.core.clock import parse_stamp
from kata_cli.core.errors import Failure
from kata_cli.core.ports import Credential


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


SESSION = f"""[anthropic.session]
id = "t-1"
token = "{KEY}"
issued_at = "2026-11-21T10:00:00Z"
expires_at = "2026-11-21T11:00:00Z"
"""
ISSUED_S = parse_stamp("2026-11-21T10:00:00Z")


def _outcome(world: World, now_s: float, provider: str = "anthropic", **env: str) -> Outcome:
    """How a provider is signed in to at a moment, with these variables."""
    return world.finder(env, now=lambda: now_s).outcome(world.resolve(env=env).endpoints[provider])


def _table(outcome: Outcome) -> tuple[str | None, bool, str | None]:
    resolution = outcome.resolution
    return resolution.resolved_mode, resolution.fallback_applied, resolution.failure_code


def test_au_11_a_stored_session_is_a_token(world: World) -> None:
    """AU-11: it is used as a token, is told with its times, and gives way to any key unless asked for."""
    world.stored(SESSION)
    outcome = _outcome(world, ISSUED_S)
    assert isinstance(outcome.found, Credential)
    assert (outcome.found.kind, outcome.found.secret) == ("token", KEY)
    assert _table(outcome) == ("token_session", False, None)
    status = world.finder(now=lambda: ISSUED_S).explain(world.resolve().endpoints["anthropic"])
    assert status.session == SessionStatus(
        id="t-1",
        status="active",
        issued_at="2026-11-21T10:00:00.000Z",
        expires_at="2026-11-21T11:00:00.000Z",
    )
    both = _outcome(world, ISSUED_S, ANTHROPIC_API_KEY="a-key")
    assert _table(both) == ("api_key", False, None)
    assert isinstance(both.found, Credential)
    assert "token session in" in both.found.shadowed[0]
    asked = _outcome(world, ISSUED_S, ANTHROPIC_API_KEY="a-key", KATA_AUTH_MODE="token_session")
    assert _table(asked) == ("token_session", False, None)


def test_au_07_api_key_mode_does_not_take_a_token(world: World) -> None:
    """AU-07: with `--auth-mode api_key` neither a stored token nor that of a variable stands in for a key."""
    world.stored(SESSION)
    outcome = _outcome(world, ISSUED_S, ANTHROPIC_AUTH_TOKEN=KEY, KATA_AUTH_MODE="api_key")
    assert _table(outcome) == (None, False, "missing_auth")


@pytest.mark.parametrize(
    ("stored", "after_s", "code", "why"),
    [
        pytest.param(SESSION.replace("t-1", " "), 0, "invalid_auth", "has no id", id="au_12_blank_id"),
        pytest.param(SESSION, 3600, "session_expired", "has expired", id="au_13_expired"),
        pytest.param("", 0, "missing_auth", "there is no token session", id="au_14_absent"),
    ],
)
def test_au_12_13_14_15_a_session_that_cannot_be_used(
    world: World, stored: str, after_s: float, code: str, why: str
) -> None:
    """AU-12, AU-13, AU-14, AU-15: the key steps in and the source says why; without the fallback it fails."""
    world.stored(stored)
    asked = {"ANTHROPIC_API_KEY": "a-key", "KATA_AUTH_MODE": "token_session"}
    outcome = _outcome(world, ISSUED_S + after_s, **asked)
    assert _table(outcome) == ("api_key", True, None)
    assert isinstance(outcome.found, Credential)
    assert outcome.found.secret == "a-key"
    assert outcome.found.source.startswith("ANTHROPIC_API_KEY, as ")
    assert why in outcome.found.source
    alone = _outcome(world, ISSUED_S + after_s, **asked, KATA_KEY_FALLBACK="false")
    assert _table(alone) == (None, False, code)
    assert isinstance(alone.found, Failure)
    assert (alone.found.code, alone.found.exit) == (code, 4)
    assert "auth login anthropic --token-session" in alone.found.hint


def test_au_08_09_10_a_provider_without_token_sessions(world: World) -> None:
    """AU-08, AU-09, AU-10: openai takes the key, misses one, or refuses when it may not fall back."""
    asked = {"KATA_AUTH_MODE": "token_session"}
    assert _table(_outcome(world, 0, "openai", **asked, OPENAI_API_KEY="a-key")) == ("api_key", True, None)
    assert _table(_outcome(world, 0, "openai", **asked)) == (None, False, "missing_auth")
    strict = {**asked, "OPENAI_API_KEY": "a-key", "KATA_KEY_FALLBACK": "false"}
    assert _table(_outcome(world, 0, "openai", **strict)) == (None, False, "invalid_auth")


def test_au_24_a_keyless_provider_is_authenticated_without_a_mode(world: World) -> None:
    """AU-24: `requires_key = false` needs neither; that is no failure."""
    world.user("[providers.local]\nkind = 'openai'\nbase_url = 'https://local.example'\nrequires_key = false")
    outcome = _outcome(world, 0, "local")
    assert (outcome.resolution.status, _table(outcome)) == ("authenticated", (None, False, None))


@pytest.mark.parametrize("line", ["token = 3", "id = 3", "issued_at = 'soon'", "expires_at = 2026-11-21"])
def test_a_malformed_session_is_told(world: World, line: str) -> None:
    """The entry is named, its content is not, and the hint drops it."""
    name = line.partition(" ")[0]
    kept = [row for row in SESSION.splitlines() if not row.startswith(name)]
    world.stored("\n".join([*kept, line]))
    failure = failed_key(world)
    assert (failure.code, failure.hint) == ("invalid_auth", "kata auth logout anthropic")
    assert "anthropic.session" in failure.message


def test_s4_a_stored_token_is_bound_to_its_host(world: World) -> None:
    """S4: a token stored for one host is not sent to another one."""
    world.stored(SESSION + 'host = "api.anthropic.com"\n')
    failure = failed_key(world, {"ANTHROPIC_BASE_URL": "https://evil.example"})
    assert "the token of anthropic is for api.anthropic.com, not for evil.example" in failure.message
