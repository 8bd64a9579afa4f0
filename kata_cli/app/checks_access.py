"""Checks of who would answer a run: the provider, its credential, the models it really has."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kata_cli.app.check import Check, Site, Status, failed
from kata_cli.config.credentials import CredentialStatus
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Credential
from kata_cli.output.figures import plural
from kata_cli.providers.choice import Choice
from kata_cli.providers.service import ProviderService

MODELS_S = 10.0


def check_provider(site: Site) -> Iterator[Check]:
    """Whom a run would ask, and whether it could."""
    if site.mode == "pi":
        return
    choice = _choice(site)
    if isinstance(choice, Failure):
        yield failed(choice)
    else:
        yield Check(status="ready", about=str(choice.model), detail=f"key: {choice.key_source}")


def check_credentials(site: Site) -> Iterator[Check]:
    """Which credential each provider would get, and why."""
    for endpoint in site.resolved.endpoints.values():
        found = site.finder.find(endpoint)
        if isinstance(found, Credential) and found.secret:
            site.redactor.learn(found.secret)
        yield _credential(site.finder.explain(endpoint), found)


def check_models(site: Site) -> Iterator[Check]:
    """Every provider that has a key is asked for its list, which is free, once, and at the same time.

    In pi mode Pi is asked, which knows them all.
    """
    from kata_cli.core import loop

    if site.mode == "pi":
        yield _pi_model(site)
    if site.mode != "native":
        return
    choice = _choice(site)
    wanted = {
        endpoint.name: endpoint.default_model
        for endpoint in site.resolved.endpoints.values()
        if endpoint.default_model and isinstance(site.finder.find(endpoint), Credential)
    }
    chosen = "" if isinstance(choice, Failure) else choice.model.provider
    if not isinstance(choice, Failure):
        wanted[chosen] = choice.model.id
    for name, listed in loop.run(_listed(site.service, list(wanted))).items():
        yield _model(name, wanted[name], listed, "error" if name == chosen else "warning")


def _pi_model(site: Site) -> Check:
    from kata_cli.app.model_default import default_of, pi_models
    from kata_cli.core import loop

    listed = loop.run(pi_models(site.asking))
    model = default_of(site.asking, listed)
    told = f"one of {plural(len(listed.models), 'model')} that Pi lists"
    return Check(status="ready", about=str(model), detail=told, auth="authenticated")


def _choice(site: Site) -> Choice | Failure:
    try:
        return site.service.choose(site.resolved.settings.provider, site.resolved.settings.model)
    except KataError as error:
        return error.failure


def _credential(told: CredentialStatus, found: Credential | Failure) -> Check:
    if isinstance(found, Credential):
        shadowed = f"; shadows {', '.join(told.shadowed)}" if told.shadowed else ""
        return Check(status="ready", about=told.provider, detail=f"{told.reason}{shadowed}")
    status: Status = "warning" if found.code == "missing_auth" else "error"
    return msgspec.structs.replace(failed(found, status), about=told.provider)


async def _listed(service: ProviderService, names: list[str]) -> dict[str, list[str] | Failure]:
    """The ids that each provider reports, or why it did not."""
    import asyncio

    try:
        return dict(zip(names, await asyncio.gather(*(_ids(service, name) for name in names)), strict=True))
    finally:
        await service.aclose()


async def _ids(service: ProviderService, name: str) -> list[str] | Failure:
    import asyncio

    try:
        async with asyncio.timeout(MODELS_S):
            return [model.id for model in await service.models(name)]
    except KataError as error:
        return error.failure
    except TimeoutError:
        return Failure(code="timeout", message=f"{name} did not list its models within {MODELS_S:g} s")


def _model(provider: str, model: str, listed: list[str] | Failure, severity: Status) -> Check:
    about = f"{provider}/{model}"
    if isinstance(listed, Failure):
        return msgspec.structs.replace(failed(listed, severity), about=about)
    if model in listed:
        return Check(status="ready", about=about, detail=f"one of {plural(len(listed), 'model')} it lists")
    return Check(
        status=severity,
        about=about,
        is_available=False,
        detail=f"{provider} does not list it",
        remedy=f"kata models list --provider {provider}",
    )
