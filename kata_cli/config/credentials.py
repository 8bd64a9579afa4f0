"""Which credential a provider gets, from where, and why: the order of sources, asked one after the other.

The order: `--api-key-file`, kata's own variable, the vendor's own variables (or `key_env`), `key_cmd`,
`credentials.toml`. A variable that is blank is absent; any other source that is named and gives nothing is
an error, never a reason to try the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from kata_cli.config import keys
from kata_cli.config.endpoints import ProviderEntry, key_variable
from kata_cli.config.paths import Paths
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Credential, Endpoint

MIN_MASKED_LENGTH = 12


class Source(msgspec.Struct, frozen=True):
    """A place where a key may be. `read` gives the raw text, None where there is none."""

    name: str
    kind: str
    read: Callable[[], str | None]
    is_explicit: bool = False


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


class CredentialFinder:
    """Finds credentials; implements `core.ports.Credentials`. A `key_cmd` runs once per provider."""

    def __init__(
        self, env: Mapping[str, str], paths: Paths, resolved: Resolved, api_key_file: Path | None = None
    ) -> None:
        self._env = env
        self._paths = paths
        self._resolved = resolved
        self._api_key_file = api_key_file
        self._found: dict[Endpoint, Credential | Failure] = {}

    def find(self, endpoint: Endpoint) -> Credential | Failure:
        """The credential, or as data why there is none: `missing_auth`, `invalid_auth`, `io`, `config`, or
        `usage` for a vendor's variable with an address that cannot be used. Blocks while a `key_cmd` runs.
        """
        if endpoint not in self._found:
            self._found[endpoint] = self._find(endpoint)
        return self._found[endpoint]

    def explain(self, endpoint: Endpoint) -> CredentialStatus:
        """The same search, told for people; holds no secret."""
        found = self.find(endpoint)
        if isinstance(found, Failure):
            return CredentialStatus(
                provider=endpoint.name,
                is_available=False,
                host=endpoint.host,
                reason=found.message,
                failure_code=found.code,
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
        )

    def _find(self, endpoint: Endpoint) -> Credential | Failure:
        if refusal := self._resolved.providers[endpoint.name].refusal:
            return msgspec.structs.replace(refusal, provider=endpoint.name)
        try:
            return self._first(endpoint)
        except KataError as error:
            return msgspec.structs.replace(error.failure, provider=endpoint.name)

    def _first(self, endpoint: Endpoint) -> Credential | Failure:
        sources = list(self._sources(endpoint))
        for index, source in enumerate(sources):
            secret = keys.clean(source.read() or "", source.name)
            if secret:
                shadowed = tuple(_shadowed(sources[index + 1 :]))
                return Credential(secret=secret, kind=source.kind, source=source.name, shadowed=shadowed)
            if source.is_explicit:
                return _empty(endpoint, source)
        if not endpoint.requires_key:
            return Credential(kind="none", source="no key needed")
        return self._missing(endpoint)

    def _sources(self, endpoint: Endpoint) -> Iterator[Source]:
        entry = self._resolved.providers[endpoint.name]
        if self._api_key_file is not None:
            yield self._key_file(self._api_key_file)
        yield self._variable(key_variable(endpoint.name), "api_key")
        for variable, kind in entry.key_vars.items():
            yield self._variable(variable, kind)
        if entry.key_cmd:
            yield self._command(entry)
        yield self._stored(endpoint)

    def _key_file(self, path: Path) -> Source:
        return Source("--api-key-file", "api_key", lambda: keys.read_file(path), is_explicit=True)

    def _variable(self, variable: str, kind: str) -> Source:
        return Source(variable, kind, lambda: self._env.get(variable))

    def _command(self, entry: ProviderEntry) -> Source:
        timeout_s = self._resolved.settings.key_cmd_timeout

        def read() -> str:
            from kata_cli.config import key_cmd

            return keys.decoded(key_cmd.run(entry.key_cmd, timeout_s, "key_cmd"))

        return Source("key_cmd", "api_key", read, is_explicit=True)

    def _stored(self, endpoint: Endpoint) -> Source:
        path = self._paths.credentials_file

        def read() -> str | None:
            return _stored_key(keys.read_credentials(path), endpoint, path)

        return Source(f"{path} (plain text)", "api_key", read)

    def _missing(self, endpoint: Endpoint) -> Failure:
        own = next(iter(self._resolved.providers[endpoint.name].key_vars), key_variable(endpoint.name))
        return Failure(
            code="missing_auth",
            message=f"no key for {endpoint.name}: set {own}",
            remediation=f"export {own}=…   or, without any key: kata run --mode mock",
            provider=endpoint.name,
        )


def _stored_key(tables: Mapping[str, object], endpoint: Endpoint, path: Path) -> str | None:
    """The stored key of a provider; it is bound to the host it was stored for, if that was noted."""
    table = tables.get(endpoint.name)
    if table is None:
        return None
    key = table.get("api_key") if isinstance(table, dict) else None
    if not isinstance(key, str):
        raise KataError("invalid_auth", f'{path}: {endpoint.name}: expected api_key = "…"')
    assert isinstance(table, dict)
    host = table.get("host", endpoint.host)
    if host != endpoint.host:
        raise KataError(
            "invalid_auth",
            f"{path}: the key of {endpoint.name} is for {host}, not for {endpoint.host}",
            f"export {key_variable(endpoint.name)}=… for {endpoint.host}",
        )
    return key


def _shadowed(sources: list[Source]) -> Iterator[str]:
    """The lower sources that would have given a key too; a command is named but not run."""
    for source in sources:
        try:
            if source.is_explicit or keys.clean(source.read() or "", source.name):
                yield source.name
        except KataError:
            continue


def _empty(endpoint: Endpoint, source: Source) -> Failure:
    return Failure(
        code="missing_auth",
        message=f"{source.name} gave no key for {endpoint.name}",
        remediation=f"export {key_variable(endpoint.name)}=…   or, without any key: kata run --mode mock",
        provider=endpoint.name,
    )


def _masked(secret: str) -> str:
    if not secret:
        return ""
    return f"…{secret[-4:]}" if len(secret) >= MIN_MASKED_LENGTH else "…"
