"""What `kata models` needs: the provider's own list, cached with an age."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import open_service, resolved_settings
from kata_cli.config.resolve import Resolved
from kata_cli.core import loop
from kata_cli.core.clock import SystemClock, parse_stamp
from kata_cli.core.messages import ModelInfo
from kata_cli.core.redact import Redactor
from kata_cli.providers import catalog, registry
from kata_cli.providers.service import ProviderService
from kata_cli.store.atomic import make_dirs, write_file


class Listing(msgspec.Struct, kw_only=True):
    """A provider's models (`kata.models/v1`); `age_s` in seconds."""

    schema: str = "kata.models/v1"
    provider: str
    runtime_mode: str
    fetched_at: str
    age_s: float
    is_cached: bool
    models: list[ModelInfo]


def list_models(options: Common, redactor: Redactor, *, is_refreshed: bool) -> Listing:
    """The models of the provider that a run would ask. Raises `KataError`."""
    env = os.environ
    resolved = resolved_settings(options, env, working_directory())
    service = open_service(
        resolved, env, clock=SystemClock(), redactor=redactor, api_key_file=options.api_key_file
    )
    cache = catalog.Catalog(resolved.paths.cache / "models", time.time, _write)
    provider = _provider(resolved, service)
    listed = loop.run(_list(service, provider, cache, is_refreshed=is_refreshed))
    return Listing(
        provider=service.endpoint(provider).name,
        runtime_mode=resolved.settings.runtime_mode,
        fetched_at=listed.fetched_at,
        age_s=max(0.0, round(time.time() - parse_stamp(listed.fetched_at), 3)),
        is_cached=listed.is_cached,
        models=listed.models,
    )


def _provider(resolved: Resolved, service: ProviderService) -> str:
    """Whose models: the provider that is named, else the one a run would ask. In pi mode all are Pi's."""
    settings = resolved.settings
    if settings.runtime_mode == "pi":
        return registry.PI.name
    return settings.provider or service.choose(None, settings.model).model.provider


async def _list(
    service: ProviderService, provider: str, cache: catalog.Catalog, *, is_refreshed: bool
) -> catalog.CachedModels:
    try:
        return await catalog.list_models(service, service.endpoint(provider), cache, refresh=is_refreshed)
    finally:
        await service.aclose()


def _write(path: Path, data: bytes) -> None:
    make_dirs(path.parent)
    write_file(path, data)
