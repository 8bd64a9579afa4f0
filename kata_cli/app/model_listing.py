"""Asking a provider for its models, and which of them a run would use."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kata_cli.app.pi_models import PiModels, pi_models_of
from kata_cli.app.place import working_directory
from kata_cli.app.providers import open_service
from kata_cli.config.endpoints import BUILTINS, key_variable
from kata_cli.config.resolve import Resolved
from kata_cli.core.clock import SystemClock
from kata_cli.core.errors import KataError
from kata_cli.core.messages import ModelInfo, ModelRef
from kata_cli.core.redact import Redactor
from kata_cli.pi import binary
from kata_cli.pi import models as pi_files
from kata_cli.providers import catalog
from kata_cli.providers.service import ProviderService
from kata_cli.store.atomic import make_dirs, write_file


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A command that wants to know models. The redactor learns every key that is met."""

    resolved: Resolved
    env: Mapping[str, str]
    redactor: Redactor
    api_key_file: str | None = None

    @property
    def is_pi(self) -> bool:
        return self.resolved.settings.runtime_mode == "pi"


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider reports. `default` is what a run uses when no model is named, if that is listed.

    `pi` is what kata told Pi before it asked.
    """

    provider: str
    models: list[ModelInfo]
    default: ModelRef | None
    fetched_at: str
    is_cached: bool
    pi: PiModels


async def ask_models(asking: Asking, provider: str | None = None, *, is_refreshed: bool = False) -> Listed:
    """The models of a provider, by default of the one that a run would ask; kept for a day.

    Raises `KataError`; in pi mode agent_unavailable where Pi is not installed, whatever was kept.
    """
    service = open_service(
        asking.resolved,
        asking.env,
        clock=SystemClock(),
        redactor=asking.redactor,
        api_key_file=asking.api_key_file,
    )
    try:
        return await _asked(asking, service, provider, is_refreshed=is_refreshed)
    finally:
        await service.aclose()


async def _asked(
    asking: Asking, service: ProviderService, provider: str | None, *, is_refreshed: bool
) -> Listed:
    settings = asking.resolved.settings
    pi, given = PiModels(), ""
    if asking.is_pi:
        pi = pi_models_of(asking.resolved, asking.env) if asking.resolved.starts_agents else PiModels()
        given = _circumstances(asking, pi)
    elif provider is None:
        provider = settings.provider or service.choose(None, settings.model).model.provider
    endpoint = service.endpoint(provider or "")
    cache = catalog.Catalog(asking.resolved.paths.cache / "models", time.time, _write, given)
    listed = await catalog.list_models(service, endpoint, cache, refresh=is_refreshed)
    models = listed.models
    if asking.is_pi and settings.provider is not None:
        models = [model for model in models if model.provider == settings.provider]
    refs = [ModelRef(model.provider, model.id) for model in models]
    return Listed(
        provider=endpoint.name,
        models=models,
        default=_default(asking, service, endpoint.name, refs),
        fetched_at=listed.fetched_at,
        is_cached=listed.is_cached,
        pi=pi,
    )


def _default(
    asking: Asking, service: ProviderService, provider: str, refs: list[ModelRef]
) -> ModelRef | None:
    """In pi mode: that of the user's own Pi directory, else a built-in one, else the first."""
    settings = asking.resolved.settings
    if asking.is_pi and settings.model is None:
        wanted = [ModelRef(name, builtin.default_model) for name, builtin in BUILTINS.items()]
        if settings.pi_agent_dir is not None and (own := pi_files.read_default(Path(settings.pi_agent_dir))):
            wanted.insert(0, own)
        return next((ref for ref in [*wanted, *refs] if ref in refs), None)
    named = settings.provider or (None if settings.model else provider)
    try:
        chosen = service.choose(named, settings.model, needs_key=False).model
    except KataError:
        return None  # a provider without a default model
    return chosen if chosen in refs else None


def key_sources(asking: Asking) -> list[str]:
    """Where a key for Pi may come from, as far as that can be told without running anything."""
    resolved, env = asking.resolved, asking.env
    found = [asking.api_key_file or "", _stamp(resolved.paths.credentials_file)]
    for name in BUILTINS:
        entry = resolved.providers[name]
        variables = (key_variable(name), *entry.key_vars)
        found += [variable for variable in variables if env.get(variable, "").strip()]
        found.append(" ".join(entry.key_cmd))
    return [source for source in found if source]


def _circumstances(asking: Asking, pi: PiModels) -> str:
    """What Pi's list depends on: which services or Pi, which keys (never their values), which files."""
    settings = asking.resolved.settings
    if not asking.resolved.starts_agents:
        return "\n".join(settings.services)
    path = binary.find(settings.pi_binary or "", asking.env.get("PATH", ""), working_directory())
    directory = settings.pi_agent_dir
    shared = [Path(directory, name) for name in ("auth.json", pi_files.NAME)] if directory else []
    given = [*settings.services, _stamp(path), *map(_stamp, shared), *key_sources(asking)]
    return "\n".join([*given, pi.document.hex()])


def _stamp(path: Path) -> str:
    """A file as of its last change, empty where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{path} {found.st_size} {found.st_mtime_ns}"


def _write(path: Path, data: bytes) -> None:
    make_dirs(path.parent)
    write_file(path, data)
