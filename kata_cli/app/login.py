"""Storing a provider's key or token session, and dropping them: what `kata auth login` and `logout` need."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.app import stdin
from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.config import keys, stored_keys, token_input
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.key_sources import stored_name
from kata_cli.config.resolve import Resolved
from kata_cli.config.stored_keys import StoredSession
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Endpoint
from kata_cli.core.redact import Redactor
from kata_cli.core.text import near
from kata_cli.store.atomic import make_dirs, refused, sweep, sync_directory, write_file
from kata_cli.store.locking import locked

STDIN_FD = 0


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A checked credential on its way into the file: a key, or a token session."""

    resolved: Resolved
    endpoint: Endpoint
    credential: str | StoredSession

    def __repr__(self) -> str:
        return f"Login({self.endpoint.name})"

    @property
    def path(self) -> Path:
        return self.resolved.paths.credentials_file

    @property
    def announcement(self) -> str:
        """What happens next, to be said before it does."""
        what = "token session" if isinstance(self.credential, StoredSession) else "key"
        return (
            f"the {what} of {self.endpoint.name} for {self.endpoint.host} is stored as plain text "
            f"in {self.path} (mode 0600)"
        )

    def put_into(self, tables: Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(self.credential, StoredSession):
            return stored_keys.with_session(tables, self.endpoint.name, self.credential)
        return stored_keys.with_key(tables, self.endpoint.name, self.credential, self.endpoint.host)


def prepare_login(
    options: Common, provider: str, *, is_token_session: bool, say: Callable[[str], None], redactor: Redactor
) -> Login:
    """Read a credential from `--api-key-file` or stdin, and check all that can be wrong with it.

    Nothing is written. Raises `KataError`: usage for an unknown provider or a terminal on stdin, missing_auth
    for a credential that is blank or not there, invalid_auth for one that cannot be sent or a file that is
    not private.
    """
    resolved = resolved_settings(options, os.environ, working_directory())
    endpoint = _endpoint(resolved, provider)
    if is_token_session and not endpoint.supports_token:
        raise KataError(
            "usage", f"{provider} has no token sessions", f"kata auth login {provider}, with a key on stdin"
        )
    keys.read_credentials(resolved.paths.credentials_file)
    text, source = _read(options, resolved, provider, say)
    given = token_input.parse(text, source) if is_token_session else None
    secret = keys.clean(text, source) if given is None else given.token
    redactor.learn(secret)
    if not secret:
        raise KataError("missing_auth", f"{source} holds no key for {provider}", _pipe(provider))
    credential = secret if given is None else token_input.issued(given, endpoint.host, time.time())
    return Login(resolved=resolved, endpoint=endpoint, credential=credential)


def store(login: Login) -> str:
    """Write the credential, all others kept. What a run would use from now on. Raises `KataError`."""
    directory = login.path.parent
    _make_private(directory)
    with locked(directory):
        sweep(directory)  # a process that died while it wrote left a key behind
        _write(login.path, login.put_into(keys.read_credentials(login.path)))
    return _effective(login.resolved, login.endpoint)


def logout(options: Common, provider: str) -> str:
    """Drop what is stored for a provider, once or twice. What was done, in words. Raises `KataError`."""
    resolved = resolved_settings(options, os.environ, working_directory())
    path = resolved.paths.credentials_file
    stored = keys.read_credentials(path)
    if provider not in stored:
        hint = "" if provider in resolved.endpoints else near(provider, [*stored, *resolved.endpoints])
        return f"nothing is stored for {provider[:80]}" + (f"; {hint}" if hint else "")
    with locked(path.parent):
        _write(path, stored_keys.without(keys.read_credentials(path), provider))
    told = f"what was stored for {provider} is gone from {path}"
    if provider not in resolved.endpoints:
        return told
    return f"{told}; {_effective(resolved, resolved.endpoints[provider])}"


def _endpoint(resolved: Resolved, provider: str) -> Endpoint:
    if provider not in resolved.providers:
        known = f"known providers: {', '.join(resolved.providers)}"
        raise KataError(
            "usage", f"unknown provider {provider[:80]!r}", near(provider, resolved.providers) or known
        )
    if refusal := resolved.providers[provider].refusal:
        raise KataError.of(refusal)
    return resolved.endpoints[provider]


def _read(options: Common, resolved: Resolved, provider: str, say: Callable[[str], None]) -> tuple[str, str]:
    """The text that was handed over, and the name of its source."""
    if options.api_key_file is not None:
        return keys.read_file(Path(options.api_key_file)), options.api_key_file
    source = stdin.source_of(STDIN_FD)
    if source == "terminal":
        raise KataError("usage", "the key is read from stdin, and nothing is piped to it", _pipe(provider))
    if source == "none":
        return "", "stdin"
    wait_s = resolved.settings.stdin_wait
    try:
        text = stdin.read_text(STDIN_FD, wait_s=wait_s, say=lambda _: say("waiting for the key on stdin"))
    except KataError as error:
        # What helps a run, to go on without stdin, does not help here.
        raise KataError(error.failure.code, error.failure.message, _pipe(provider)) from None
    return text, "stdin"


def _pipe(provider: str) -> str:
    return f"kata auth login {provider} < FILE, or pipe the key from your password manager"


def _make_private(directory: Path) -> None:
    """Make the directory, or take the rights of others away from one that is there."""
    make_dirs(directory)
    try:
        status = os.stat(directory)
        if status.st_uid != os.geteuid():
            raise KataError("invalid_auth", f"{directory} belongs to another user", f"ls -ld {directory}")
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.chmod(directory, 0o700)
    except OSError as error:
        raise refused("make private", directory, error) from error


def _write(path: Path, tables: Mapping[str, Any]) -> None:
    if tables:
        write_file(path, stored_keys.encode(tables))
        return
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent, os)
    except OSError as error:
        raise refused("remove", path, error) from error


def _effective(resolved: Resolved, endpoint: Endpoint) -> str:
    """Which credential a run would use now: what is stored stands last in the order."""
    status = CredentialFinder(os.environ, resolved.paths, resolved).explain(endpoint)
    if not status.is_available:
        return f"from now on: {status.reason}"
    own = stored_name(resolved.paths.credentials_file)
    hidden = next((f", which comes before {source}" for source in status.shadowed if own in source), "")
    return f"from now on a run uses {status.source}{hidden}"
