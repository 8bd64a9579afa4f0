"""The places where a provider's credential may be, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from kata_cli.config import keys, stored_keys
from kata_cli.config.auth_modes import TokenSession
from kata_cli.config.endpoints import ProviderEntry, key_variable
from kata_cli.config.paths import Paths
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Credential, Endpoint

PI_TOKEN = "ANTHROPIC_OAUTH_TOKEN"  # Pi's own name for it, which it reads before ANTHROPIC_API_KEY


class Secret(msgspec.Struct, frozen=True):
    """What a source holds, as it stands there; a stored token comes with its session."""

    text: str
    session: TokenSession | None = None

    def __repr__(self) -> str:
        return "Secret()"


class Source(msgspec.Struct, frozen=True):
    """A place where a credential may be, of one `kind`. `read` gives None where there is none."""

    name: str
    kind: str  # api_key | token
    read: Callable[[], Secret | None]
    is_explicit: bool = False


class Held(msgspec.Struct, frozen=True):
    """A credential that is there, usable or not; a token has a session."""

    credential: Credential
    session: TokenSession | None


class KeySources(msgspec.Struct, frozen=True):
    """Where one command looks: the environment, the files of the user, and what was named explicitly."""

    env: Mapping[str, str]
    paths: Paths
    resolved: Resolved
    api_key_file: Path | None

    def of(self, endpoint: Endpoint, kind: str | None = None) -> Iterator[Source]:
        """The sources of a provider, of one kind or of both; nothing is read yet."""
        return (source for source in self._all(endpoint) if kind in (None, source.kind))

    def _all(self, endpoint: Endpoint) -> Iterator[Source]:
        entry = self.resolved.providers[endpoint.name]
        if self.api_key_file is not None:
            yield _key_file(self.api_key_file)
        yield self._variable(key_variable(endpoint.name), "api_key")
        if self.resolved.settings.runtime_mode == "pi" and "ANTHROPIC_API_KEY" in entry.key_vars:
            yield self._variable(PI_TOKEN, "token")
        for variable, kind in entry.key_vars.items():
            yield self._variable(variable, kind)
        if entry.key_cmd:
            yield _command(entry, self.resolved.settings.key_cmd_timeout)
        path = self.paths.credentials_file
        yield _stored_key(path, endpoint)
        yield _stored_token(path, endpoint)

    def _variable(self, variable: str, kind: str) -> Source:
        return Source(variable, kind, lambda: Secret(self.env.get(variable, "")))


def first(sources: Sequence[Source], provider: str) -> Held | None:
    """The first credential that is there. Raises `KataError` for a source that is named and gives none."""
    for index, source in enumerate(sources):
        given = source.read() or Secret("")
        secret = keys.clean(given.text, source.name)
        if secret:
            shadowed = tuple(_shadowed(sources[index + 1 :]))
            credential = Credential(secret=secret, kind=source.kind, source=source.name, shadowed=shadowed)
            is_token = source.kind == "token"
            return Held(credential, (given.session or TokenSession(id=source.name)) if is_token else None)
        if source.is_explicit:
            raise KataError.of(_empty(provider, source))
    return None


def stored_name(path: Path) -> str:
    """How the credentials file is called as a source."""
    return f"{path} (plain text)"


def _key_file(path: Path) -> Source:
    return Source("--api-key-file", "api_key", lambda: Secret(keys.read_file(path)), is_explicit=True)


def _command(entry: ProviderEntry, timeout_s: float) -> Source:
    def read() -> Secret:
        from kata_cli.config import key_cmd

        return Secret(keys.decoded(key_cmd.run(entry.key_cmd, timeout_s, "key_cmd")))

    return Source("key_cmd", "api_key", read, is_explicit=True)


def _stored_key(path: Path, endpoint: Endpoint) -> Source:
    def read() -> Secret | None:
        key = stored_keys.api_key(keys.read_credentials(path), endpoint, path)
        return None if key is None else Secret(key)

    return Source(stored_name(path), "api_key", read)


def _stored_token(path: Path, endpoint: Endpoint) -> Source:
    def read() -> Secret | None:
        stored = stored_keys.session(keys.read_credentials(path), endpoint, path)
        return None if stored is None else Secret(stored.token, stored.session)

    return Source(f"token session in {stored_name(path)}", "token", read)


def _shadowed(sources: Sequence[Source]) -> Iterator[str]:
    """The lower sources that would have given one too; a command is named but not run."""
    for source in sources:
        try:
            if source.is_explicit or ((given := source.read()) and keys.clean(given.text, source.name)):
                yield source.name
        except KataError:
            continue


def _empty(provider: str, source: Source) -> Failure:
    return Failure(
        code="missing_auth",
        message=f"{source.name} gave no key for {provider}",
        remediation=f"export {key_variable(provider)}=…   or, without any key: kata run --mode mock",
        provider=provider,
    )
