"""Which credential a provider gets, from where, and why: the order of sources under the auth mode.

The order: `--api-key-file`, kata's own variable, the vendor's own variables (or `key_env`), `key_cmd`,
`credentials.toml`. A variable that is blank is absent; any other source that is named and gives nothing is
an error, never a reason to try the next one. `--auth-mode` leaves only the sources of its kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from kata_cli.config.auth_modes import (
    API_KEY,
    TOKEN_SESSION,
    AuthResolution,
    TokenSession,
    resolve,
    token_trouble,
)
from kata_cli.config.endpoints import key_variable
from kata_cli.config.key_sources import Held, KeySources, first
from kata_cli.config.paths import Paths
from kata_cli.config.resolve import Resolved
from kata_cli.core.clock import stamp
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Credential, Endpoint

MIN_MASKED_LENGTH = 12
_KINDS = {None: None, API_KEY: "api_key", TOKEN_SESSION: "token"}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider is signed in to, and with what; `session` is the token session that was looked at."""

    resolution: AuthResolution
    found: Credential | Failure
    session: TokenSession | None = None


class SessionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A token session as `kata auth status` tells it; empty times are not known."""

    id: str
    status: str
    issued_at: str
    expires_at: str


class CredentialStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `kata auth status` says of one provider; `masked` shows at most the last four characters."""

    provider: str
    is_available: bool
    source: str = ""
    kind: str = ""
    masked: str = ""
    shadowed: tuple[str, ...] = ()
    host: str = ""
    reason: str = ""
    failure_code: str | None = None
    session: SessionStatus | None = None


class CredentialFinder:
    """Finds credentials; implements `core.ports.Credentials`. A `key_cmd` runs once per provider."""

    def __init__(
        self,
        env: Mapping[str, str],
        paths: Paths,
        resolved: Resolved,
        api_key_file: Path | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._resolved = resolved
        self._sources = KeySources(env, paths, resolved, api_key_file)
        self._now = now
        self._outcomes: dict[Endpoint, Outcome] = {}

    def find(self, endpoint: Endpoint) -> Credential | Failure:
        """The credential, or as data why there is none: `missing_auth`, `invalid_auth`, `session_expired`,
        `io`, `config`, or `usage` for a vendor's variable with an address that cannot be used. Blocks while
        a `key_cmd` runs.
        """
        return self.outcome(endpoint).found

    def outcome(self, endpoint: Endpoint) -> Outcome:
        """The same search with the auth mode that was asked for and the one that holds."""
        if endpoint not in self._outcomes:
            self._outcomes[endpoint] = self._outcome(endpoint)
        return self._outcomes[endpoint]

    def explain(self, endpoint: Endpoint) -> CredentialStatus:
        """The same search, told for people; holds no secret."""
        outcome = self.outcome(endpoint)
        found, session = outcome.found, self._told(outcome.session)
        if isinstance(found, Failure):
            return CredentialStatus(
                provider=endpoint.name,
                is_available=False,
                host=endpoint.host,
                reason=found.message,
                failure_code=found.code,
                session=session,
            )
        return CredentialStatus(
            provider=endpoint.name,
            is_available=True,
            source=found.source,
            kind=found.kind,
            masked=_masked(found.secret),
            shadowed=found.shadowed,
            host=endpoint.host,
            reason=f"from {found.source}" if found.secret else found.source,
            session=session,
        )

    def _outcome(self, endpoint: Endpoint) -> Outcome:
        try:
            if refusal := self._resolved.providers[endpoint.name].refusal:
                raise KataError.of(refusal)
            return self._resolve(endpoint)
        except KataError as error:
            failure = msgspec.structs.replace(error.failure, provider=endpoint.name)
        resolution = AuthResolution(
            requested_mode=self._resolved.settings.auth_mode or API_KEY,
            status="error",
            failure_code=failure.code,
            reason=failure.message,
        )
        return Outcome(resolution=resolution, found=failure)

    def _resolve(self, endpoint: Endpoint) -> Outcome:
        """Of the mode that was asked for, else the first credential that is there. Raises `KataError`."""
        requested, may_fall_back = self._resolved.settings.auth_mode, self._resolved.settings.key_fallback
        held = self._first(endpoint, requested)
        session, now_s = held.session if held else None, self._now()
        trouble = token_trouble(session, endpoint.supports_token, now_s)
        falls_back = requested == TOKEN_SESSION and may_fall_back and trouble is not None
        by_key = self._first(endpoint, API_KEY) if falls_back else held
        key = by_key.credential if by_key and not by_key.session else None
        resolution = resolve(
            requested=requested,
            default=TOKEN_SESSION if session else API_KEY,
            has_token_support=endpoint.supports_token,
            key=key,
            token=session,
            allow_key_fallback=may_fall_back,
            now_s=now_s,
        )
        if resolution.resolved_mode == TOKEN_SESSION and held is not None:
            return Outcome(resolution=resolution, found=held.credential, session=session)
        if key is not None and resolution.resolved_mode == API_KEY:
            if falls_back and trouble is not None:
                key = msgspec.structs.replace(key, source=f"{key.source}, as {trouble[1]}")
            return Outcome(resolution=resolution, found=key, session=session)
        return self._refused(endpoint, resolution, session)

    def _first(self, endpoint: Endpoint, mode: str | None) -> Held | None:
        return first(list(self._sources.of(endpoint, _KINDS[mode])), endpoint.name)

    def _refused(
        self, endpoint: Endpoint, resolution: AuthResolution, session: TokenSession | None
    ) -> Outcome:
        found: Credential | Failure
        if resolution.failure_code == "missing_auth" and not endpoint.requires_key:
            resolution = AuthResolution(
                requested_mode=resolution.requested_mode, status="authenticated", reason="no key is needed"
            )
            found = Credential(kind="none", source="no key needed")
        elif resolution.requested_mode == API_KEY:
            found = self._missing_key(endpoint)
        else:
            found = _no_token(endpoint, resolution)
        return Outcome(resolution=resolution, found=found, session=session)

    def _missing_key(self, endpoint: Endpoint) -> Failure:
        own = next(iter(self._resolved.providers[endpoint.name].key_vars), key_variable(endpoint.name))
        return Failure(
            code="missing_auth",
            message=f"no key for {endpoint.name}: set {own}",
            remediation=f"export {own}=…   or, without any key: kata run --mode mock",
            provider=endpoint.name,
        )

    def _told(self, session: TokenSession | None) -> SessionStatus | None:
        if session is None:
            return None
        return SessionStatus(
            id=session.id,
            status="expired" if session.is_expired(self._now()) else "active",
            issued_at=_stamp(session.issued_at_s),
            expires_at=_stamp(session.expires_at_s),
        )


def _no_token(endpoint: Endpoint, resolution: AuthResolution) -> Failure:
    login = f"kata auth login {endpoint.name} --token-session < FILE"
    return Failure(
        code=resolution.failure_code or "missing_auth",
        message=f"{endpoint.name}: {resolution.reason}",
        remediation=login if endpoint.supports_token else "--auth-mode api_key",
        provider=endpoint.name,
    )


def _stamp(epoch_s: float | None) -> str:
    return "" if epoch_s is None else stamp(epoch_s)


def _masked(secret: str) -> str:
    if not secret:
        return ""
    return f"…{secret[-4:]}" if len(secret) >= MIN_MASKED_LENGTH else "…"
