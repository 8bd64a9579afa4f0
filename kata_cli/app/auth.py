"""What `kata auth status` needs: per provider, which credential a run would use and why."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from kata_cli.app.model_default import default_of, pi_models
from kata_cli.app.model_listing import Asking
from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.app.providers import open_service
from kata_cli.config.auth_modes import AuthResolution
from kata_cli.config.credentials import CredentialFinder, CredentialStatus
from kata_cli.core import loop
from kata_cli.core.clock import SystemClock
from kata_cli.core.errors import ErrorDocument, Failure, KataError, document
from kata_cli.core.redact import Redactor
from kata_cli.providers.service import ProviderService


class ProviderAuth(msgspec.Struct, kw_only=True):
    """One provider: the credential that was found, and how the auth mode was resolved."""

    credential: CredentialStatus
    resolution: AuthResolution
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
    asking = Asking(resolved=resolved, env=env, redactor=redactor, api_key_file=options.api_key_file)
    chosen, failure = _chosen(asking, service, finder)
    rows = [
        ProviderAuth(
            credential=finder.explain(endpoint),
            resolution=finder.outcome(endpoint).resolution,
            is_chosen=endpoint.name == chosen,
        )
        for endpoint in resolved.endpoints.values()
    ]
    if is_checked and chosen is not None:
        failure = _check(service, chosen)
    error = document(failure, resolved.settings.runtime_mode) if failure else None
    for row in rows:
        if is_checked and row.is_chosen:
            row.is_checked, row.error = True, error
    report = AuthReport(
        runtime_mode=resolved.settings.runtime_mode,
        mode_source=resolved.mode_source,
        chosen=chosen,
        providers=rows,
        error=error,
    )
    return report, failure


def _chosen(
    asking: Asking, service: ProviderService, finder: CredentialFinder
) -> tuple[str | None, Failure | None]:
    """The provider that a run would ask; one that is named needs no model to be looked at.

    In pi mode only Pi's list of models shows whether it has a key.
    """
    resolved = asking.resolved
    named = resolved.settings.provider
    if named is not None and resolved.settings.runtime_mode == "native":
        found = finder.find(resolved.endpoints[named])
        return (None, found) if isinstance(found, Failure) else (named, None)
    try:
        if asking.is_pi:
            return default_of(asking, loop.run(pi_models(asking))).provider, None
        return service.choose(named, resolved.settings.model).model.provider, None
    except KataError as error:
        if error.failure.code == "usage":
            raise
        return None, error.failure


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
