"""The auth table: one test for each row AU-01..AU-16."""

from __future__ import annotations

import msgspec
import pytest

from kata_cli.config.auth_modes import AuthResolution, TokenSession, resolve
from kata_cli.core.ports import Credential

KEY = Credential(secret="canary-key", source="ANTHROPIC_API_KEY")
ACTIVE = TokenSession(id="t-1")
EXPIRED = TokenSession(id="t-1", status="expired")
NOW_S = 1_000.0


def resolved(
    requested: str | None = "token_session",
    *,
    default: str = "api_key",
    supported: bool = True,
    key: Credential | None = None,
    token: TokenSession | None = None,
    fallback: bool = True,
) -> AuthResolution:
    return resolve(
        requested=requested,
        default=default,
        has_token_support=supported,
        key=key,
        token=token,
        allow_key_fallback=fallback,
        now_s=NOW_S,
    )


def outcome(resolution: AuthResolution) -> tuple[str | None, bool, str | None]:
    return resolution.resolved_mode, resolution.fallback_applied, resolution.failure_code


BY_KEY = ("api_key", False, None)
BY_FALLBACK = ("api_key", True, None)
BY_TOKEN = ("token_session", False, None)


def refused(code: str) -> tuple[str | None, bool, str | None]:
    return None, False, code


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_au_01_a_blank_key_is_absent(blank: str) -> None:
    """AU-01: API key mode uses a key, and a blank one is none."""
    assert outcome(resolved("api_key", key=KEY)) == BY_KEY
    assert outcome(resolved("api_key", key=Credential(secret=blank))) == refused("missing_auth")


def test_au_02_a_token_session_ends_at_its_time() -> None:
    """AU-02: a session has an id, a status and an end; from its last second on it is expired."""
    assert not TokenSession(id="t", expires_at_s=NOW_S + 1).is_expired(NOW_S)
    assert TokenSession(id="t", expires_at_s=NOW_S).is_expired(NOW_S)
    assert EXPIRED.is_expired(NOW_S)


@pytest.mark.parametrize(
    ("requested", "default", "supported", "mode"),
    [
        ("token_session", "api_key", True, "token_session"),
        ("api_key", "token_session", True, "api_key"),
        (None, "api_key", True, "api_key"),
        (None, "token_session", False, "token_session"),
        (None, "", True, "token_session"),
        (None, "", False, "api_key"),
    ],
)
def test_au_03_the_requested_mode(requested: str | None, default: str, supported: bool, mode: str) -> None:
    """AU-03: explicit, else the default, else what the provider can do."""
    assert resolved(requested, default=default, supported=supported).requested_mode == mode


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"])
def test_au_04_a_vendors_own_variable_is_a_key(variable: str) -> None:
    """AU-04: a key from the environment authenticates, and its variable is named."""
    found = resolved("api_key", key=Credential(secret="canary-key", source=variable))
    assert (found.status, found.reason) == ("authenticated", f"the API key from {variable} is used")


def test_au_05_the_winning_key_is_named_with_what_it_beats() -> None:
    """AU-05: an explicit key wins over the environment, and the reason says so."""
    key = Credential(secret="canary-key", source="--api-key-file", shadowed=("OPENAI_API_KEY",))
    assert resolved("api_key", key=key).reason == (
        "the API key from --api-key-file (before OPENAI_API_KEY) is used"
    )


def test_au_06_a_key_that_beats_nothing_says_nothing_of_it() -> None:
    """AU-06: a key from the environment that only fills a gap is named alone."""
    assert resolved("api_key", key=KEY).reason == "the API key from ANTHROPIC_API_KEY is used"


@pytest.mark.parametrize("token", [None, ACTIVE])
def test_au_07_api_key_mode_without_key(token: TokenSession | None) -> None:
    """AU-07: a token session does not stand in for a key that was asked for."""
    assert outcome(resolved("api_key", token=token)) == refused("missing_auth")


def test_au_08_unsupported_token_falls_back_to_the_key() -> None:
    """AU-08: no token sessions, fallback on, a key: the key, and the fallback is shown."""
    assert outcome(resolved(supported=False, key=KEY, token=ACTIVE)) == BY_FALLBACK


def test_au_09_unsupported_token_without_key() -> None:
    """AU-09: no token sessions, fallback on, no key: missing_auth."""
    assert outcome(resolved(supported=False, token=ACTIVE)) == refused("missing_auth")


def test_au_10_unsupported_token_with_fallback_off() -> None:
    """AU-10: no token sessions, fallback off: invalid_auth, whatever key there is."""
    assert outcome(resolved(supported=False, key=KEY, fallback=False)) == refused("invalid_auth")


def test_au_11_an_active_token_with_id() -> None:
    """AU-11: the session is used although a key is there."""
    assert outcome(resolved(key=KEY, token=ACTIVE)) == BY_TOKEN


@pytest.mark.parametrize(
    ("token", "code"),
    [
        pytest.param(TokenSession(id=" "), "invalid_auth", id="au_12_blank_id"),
        pytest.param(EXPIRED, "session_expired", id="au_13_expired"),
        pytest.param(
            TokenSession(id="t", expires_at_s=NOW_S - 1), "session_expired", id="au_13_past_its_end"
        ),
        pytest.param(None, "missing_auth", id="au_14_absent"),
    ],
)
def test_au_12_13_14_a_token_that_cannot_be_used(token: TokenSession | None, code: str) -> None:
    """AU-12, AU-13, AU-14: the key by fallback, else the code of what is wrong with the token."""
    assert outcome(resolved(key=KEY, token=token)) == BY_FALLBACK
    assert outcome(resolved(token=token)) == refused(code)
    assert outcome(resolved(key=KEY, token=token, fallback=False)) == refused(code)


def test_au_15_the_fallback_can_be_turned_off() -> None:
    """AU-15: the same case with and without `--no-key-fallback`."""
    assert resolved(key=KEY).status == "authenticated"
    assert resolved(key=KEY, fallback=False).status == "error"


def test_au_16_the_status_is_data_without_the_secret() -> None:
    """AU-16, AU-17: every field is there as JSON; the key is not."""
    shown = msgspec.to_builtins(resolved(key=KEY))
    assert shown == {
        "requested_mode": "token_session",
        "resolved_mode": "api_key",
        "fallback_applied": True,
        "status": "authenticated",
        "failure_code": None,
        "reason": "there is no token session; the API key from ANTHROPIC_API_KEY is used",
    }
    assert "canary" not in repr(shown)
