"""Which way of signing in holds, and why: the table AU-01..AU-16 as one pure function.

The outcome is data, never an exception. No reason ever holds a secret.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kata_cli.core.ports import Credential

API_KEY = "api_key"
TOKEN_SESSION = "token_session"


class TokenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A stored session with a provider; times in seconds since the epoch, None where it has no end."""

    id: str
    status: Literal["active", "expired"] = "active"
    issued_at_s: float | None = None
    expires_at_s: float | None = None

    def is_expired(self, now_s: float) -> bool:
        return self.status == "expired" or (self.expires_at_s is not None and self.expires_at_s <= now_s)


class AuthResolution(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider would be signed in to. `resolved_mode` and `failure_code` exclude each other.

    Both are None where the provider needs no credential.
    """

    requested_mode: str
    resolved_mode: str | None = None
    fallback_applied: bool = False
    status: Literal["authenticated", "error"]
    failure_code: str | None = None
    reason: str


def resolve(
    *,
    requested: str | None,
    default: str,
    has_token_support: bool,
    key: Credential | None,
    token: TokenSession | None,
    allow_key_fallback: bool,
    now_s: float,
) -> AuthResolution:
    """The way that holds: what was asked for, else `default`, else what the provider can do.

    A token session that cannot be used gives way to the key only if `allow_key_fallback`.
    """
    mode = requested or default or (TOKEN_SESSION if has_token_support else API_KEY)
    held = key if key is not None and key.secret.strip() else None
    if mode == API_KEY:
        return _by_key(mode, held)
    trouble = token_trouble(token, has_token_support, now_s)
    if trouble is None:
        return AuthResolution(
            requested_mode=mode,
            resolved_mode=mode,
            status="authenticated",
            reason="the token session is active",
        )
    code, reason = trouble
    if allow_key_fallback and held is not None:
        return _by_key(mode, held, f"{reason}; ")
    if allow_key_fallback and not has_token_support:
        code, reason = "missing_auth", f"{reason}, and there is no API key"
    return _refused(mode, code, reason)


def token_trouble(
    token: TokenSession | None, has_token_support: bool, now_s: float
) -> tuple[str, str] | None:
    """Failure code and reason why a token session cannot be used, or None."""
    if not has_token_support:
        return "invalid_auth", "the provider has no token sessions"
    if token is None:
        return "missing_auth", "there is no token session"
    if not token.id.strip():
        return "invalid_auth", "the token session has no id"
    if token.is_expired(now_s):
        return "session_expired", "the token session has expired"
    return None


def _by_key(requested: str, key: Credential | None, because: str = "") -> AuthResolution:
    if key is None:
        return _refused(requested, "missing_auth", "there is no API key")
    shadowed = f" (before {', '.join(key.shadowed)})" if key.shadowed else ""
    return AuthResolution(
        requested_mode=requested,
        resolved_mode=API_KEY,
        fallback_applied=requested != API_KEY,
        status="authenticated",
        reason=f"{because}the API key from {key.source or 'the caller'}{shadowed} is used",
    )


def _refused(requested: str, code: str, reason: str) -> AuthResolution:
    return AuthResolution(requested_mode=requested, status="error", failure_code=code, reason=reason)
