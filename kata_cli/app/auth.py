"""What `kata auth status` needs: per provider, which credential a run would use and why."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import open_service, resolved_settings
from kata_cli.config.credentials import CredentialFinder, CredentialStatus
from kata_cli.config.resolve import Resolved
from kata_cli.core import loop
from kata_cli.core.clock import SystemClock
from kata_cli.core.errors import ErrorDocument, Failure, KataError, document
from kata_cli.core.ports import Credential, Endpoint
from kata_cli.core.redact import Redactor
from kata_cli.providers import auth, registry
from kata_cli.providers.service import ProviderService


class ProviderAuth(msgspec.Struct, kw_only=True):
    """One provider: the credential that was found, and how the auth mode was resolved."""

    credential: CredentialStatus
    resolution: auth.AuthResolution
    is_chosen: bool = False
    is_checked: bool = False
    error: ErrorDocument | None = None


class AuthReport(msgspec.Struct, kw_only=True):
    """All providers (`kata.auth/v1`). `chosen` is the one a run would ask, None when none is usable."""

    schema: str = "kata.auth/v1"
    runtime_mode: str
    mode_source: str
    chosen: str | None
    providers: list[ProviderAuth]
    error: ErrorDocument | None = None


def auth_report(
    options: Common, redactor: Redactor, *, is_checked: bool
) -> tuple[AuthReport, Failure | None]:
    """The report, and why a run could not start now, if so. `is_checked` makes one free call."""
    env = os.environ
    resolved = resolved_settings(options, env, working_directory())
    key_file = Path(options.api_key_file) if options.api_key_file else None
    finder = CredentialFinder(env, resolved.paths, resolved, key_file)
    service = open_service(
        resolved, env, clock=SystemClock(), redactor=redactor, api_key_file=options.api_key_file
    )
    chosen, failure = _chosen(resolved, service, finder)
    rows = [_row(finder, endpoint, chosen) for endpoint in resolved.endpoints.values()]
    if is_checked and chosen is not None:
        failure = _check(service, chosen)
        for row in rows:
            if row.is_chosen:
                row.is_checked = True
                row.error = document(failure, resolved.settings.runtime_mode) if failure else None
    report = AuthReport(
        runtime_mode=resolved.settings.runtime_mode,
        mode_source=resolved.mode_source,
        chosen=chosen,
        providers=rows,
        error=document(failure, resolved.settings.runtime_mode) if failure else None,
    )
    return report, failure


def _chosen(
    resolved: Resolved, service: ProviderService, finder: CredentialFinder
) -> tuple[str | None, Failure | None]:
    """The provider that a run would ask; one that is named needs no model to be looked at."""
    named = resolved.settings.provider
    if named is not None and resolved.settings.runtime_mode == "native":
        found = finder.find(resolved.endpoints[named])
        if isinstance(found, Failure) and resolved.endpoints[named].requires_key:
            return None, found
        return named, None
    try:
        return service.choose(named, resolved.settings.model).model.provider, None
    except KataError as error:
        if error.failure.code == "usage":
            raise
        return None, error.failure


def _row(finder: CredentialFinder, endpoint: Endpoint, chosen: str | None) -> ProviderAuth:
    found = finder.find(endpoint)
    adapter = registry.require(endpoint.kind)
    key = found if isinstance(found, Credential) and found.kind == "api_key" else None
    token = None
    if isinstance(found, Credential) and found.kind == "token":
        token = auth.TokenSession(id=found.source, status="active")
    resolution = auth.resolve(
        requested=None,
        default="token_session" if token else "api_key",
        has_token_support=adapter.has_token_session,
        key=key,
        token=token,
        allow_key_fallback=True,
        now_s=time.time(),
    )
    return ProviderAuth(
        credential=finder.explain(endpoint), resolution=resolution, is_chosen=endpoint.name == chosen
    )


def _check(service: ProviderService, provider: str) -> Failure | None:
    """Listing the models costs nothing and needs the credential."""

    async def ask() -> None:
        try:
            await service.models(provider)
        finally:
            await service.aclose()

    try:
        loop.run(ask())
    except KataError as error:
        return error.failure
    return None
