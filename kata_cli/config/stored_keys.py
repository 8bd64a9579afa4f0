"""The entries of `credentials.toml`: what is stored for a provider, and how an entry is changed.

The file is kata's own: one table for each provider, with `api_key` and its `host`, and `session` for a
token. A secret is bound to the host it was stored for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.config.auth_modes import TokenSession
from kata_cli.config.endpoints import key_variable
from kata_cli.core.clock import parse_stamp
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Endpoint

HEADER = "# Written by `kata auth login` and `logout`, which keep no comments.\n\n"

Tables = Mapping[str, Any]


class StoredSession(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token with its session; times as stamps, an empty `expires_at` where it has no end."""

    id: str
    token: str
    host: str = ""
    issued_at: str = ""
    expires_at: str = ""

    def __repr__(self) -> str:
        return f"StoredSession(id={self.id!r})"

    @property
    def session(self) -> TokenSession:
        """The session without its token. Raises `ValueError` for a time that is none."""
        return TokenSession(
            id=self.id,
            issued_at_s=parse_stamp(self.issued_at) if self.issued_at else None,
            expires_at_s=parse_stamp(self.expires_at) if self.expires_at else None,
        )


def api_key(tables: Tables, endpoint: Endpoint, path: Path) -> str | None:
    """The stored key of a provider. Raises `KataError` invalid_auth for a malformed entry or another host."""
    entry = _entry(tables, endpoint, path)
    key = entry.get("api_key")
    if key is None:
        return None
    if not isinstance(key, str):
        raise _malformed(path, endpoint)
    _check_host(entry.get("host", ""), endpoint, path, "key")
    return key


def session(tables: Tables, endpoint: Endpoint, path: Path) -> StoredSession | None:
    """The stored token session of a provider. Raises like `api_key`."""
    table = _entry(tables, endpoint, path).get("session")
    if table is None:
        return None
    try:
        stored = msgspec.convert(table, StoredSession)
        assert stored.session
    except (msgspec.ValidationError, ValueError):
        raise KataError(
            "invalid_auth",
            f"{path}: {endpoint.name}.session: expected id, token, issued_at and expires_at as texts",
            f"kata auth logout {endpoint.name}",
        ) from None
    _check_host(stored.host, endpoint, path, "token")
    return stored


def with_key(tables: Tables, name: str, key: str, host: str) -> dict[str, Any]:
    """The tables with the key of a provider put in or replaced; all else stays."""
    return {**tables, name: {**_kept(tables, name), "api_key": key, "host": host}}


def with_session(tables: Tables, name: str, stored: StoredSession) -> dict[str, Any]:
    """The tables with the token session of a provider put in or replaced; all else stays."""
    return {**tables, name: {**_kept(tables, name), "session": msgspec.to_builtins(stored)}}


def without(tables: Tables, name: str) -> dict[str, Any]:
    """The tables without what is stored for a provider."""
    return {other: table for other, table in tables.items() if other != name}


def encode(tables: Tables) -> bytes:
    """The file."""
    import tomli_w

    return (HEADER + tomli_w.dumps(tables)).encode()


def _kept(tables: Tables, name: str) -> Tables:
    """What an entry holds already, unless it is no table."""
    entry = tables.get(name)
    return entry if isinstance(entry, dict) else {}


def _entry(tables: Tables, endpoint: Endpoint, path: Path) -> Tables:
    entry = tables.get(endpoint.name, {})
    if not isinstance(entry, dict) or (endpoint.name in tables and not entry.keys() & {"api_key", "session"}):
        raise _malformed(path, endpoint)
    return entry


def _malformed(path: Path, endpoint: Endpoint) -> KataError:
    return KataError(
        "invalid_auth",
        f'{path}: {endpoint.name}: expected api_key = "…"',
        f"kata auth logout {endpoint.name}",
    )


def _check_host(noted: Any, endpoint: Endpoint, path: Path, what: str) -> None:
    """A secret goes to the host that was noted with it, if one was."""
    if noted not in ("", endpoint.host):
        raise KataError(
            "invalid_auth",
            f"{path}: the {what} of {endpoint.name} is for {noted}, not for {endpoint.host}",
            f"export {key_variable(endpoint.name)}=… for {endpoint.host}",
        )
