"""The models that providers reported, kept for a day so that listing them needs no network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from kata_cli.core.clock import parse_stamp, stamp
from kata_cli.core.errors import KataError
from kata_cli.core.messages import ModelInfo
from kata_cli.core.ports import Endpoint
from kata_cli.providers.service import ProviderService

MAX_AGE_S = 24 * 60 * 60.0
CLOCK_SLACK_S = 1.0  # stamps are rounded, so a fresh one may lie a little ahead


class CachedModels(msgspec.Struct, frozen=True, kw_only=True):
    """A listing, and when the provider gave it (RFC 3339, UTC)."""

    models: list[ModelInfo]
    fetched_at: str
    is_cached: bool


class _Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The file of one endpoint in one runtime mode."""

    fetched_at: str
    models: list[ModelInfo]


class Catalog:
    """The listings in a cache directory.

    `now` gives seconds since the epoch, `write` replaces a file whole. `given` stands for all that a listing
    depends on besides the endpoint and the mode; it is only compared.
    """

    def __init__(
        self,
        cache_dir: Path,
        now: Callable[[], float],
        write: Callable[[Path, bytes], None],
        given: str = "",
    ) -> None:
        self._cache_dir = cache_dir
        self._now = now
        self._write = write
        self._given = given

    def load(self, endpoint: Endpoint, mode: str) -> CachedModels | None:
        """The listing of an endpoint; None if absent, unreadable, from the future or over a day old."""
        try:
            listing = msgspec.json.decode(self._path(endpoint, mode).read_bytes(), type=_Listing)
            age_s = self._now() - parse_stamp(listing.fetched_at)
        except (OSError, ValueError, msgspec.DecodeError):
            return None
        if not -CLOCK_SLACK_S <= age_s <= MAX_AGE_S:
            return None
        return CachedModels(models=listing.models, fetched_at=listing.fetched_at, is_cached=True)

    def save(self, endpoint: Endpoint, mode: str, models: list[ModelInfo]) -> CachedModels:
        """Keep a fresh listing. A cache that cannot be written costs the next call a request, no more."""
        fetched_at = stamp(self._now())
        listing = _Listing(fetched_at=fetched_at, models=models)
        with suppress(OSError, KataError):
            self._write(self._path(endpoint, mode), msgspec.json.encode(listing))
        return CachedModels(models=models, fetched_at=fetched_at, is_cached=False)

    def _path(self, endpoint: Endpoint, mode: str) -> Path:
        key = "\n".join((mode, endpoint.name, endpoint.kind, endpoint.base_url, self._given))
        return self._cache_dir / f"models-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def kept_models(cache_dir: Path) -> list[ModelInfo]:
    """The models of every listing that is kept, however old; one that cannot be read is passed by."""
    found: list[ModelInfo] = []
    for path in sorted(cache_dir.glob("models-*.json")):
        with suppress(OSError, ValueError, msgspec.DecodeError):
            found += msgspec.json.decode(path.read_bytes(), type=_Listing).models
    return found


async def list_models(
    service: ProviderService, endpoint: Endpoint, catalog: Catalog, *, refresh: bool
) -> CachedModels:
    """The models of an endpoint, from the cache unless `refresh`. Raises `KataError`; nothing is invented."""
    mode = service.policy.mode
    cached = None if refresh else catalog.load(endpoint, mode)
    if cached is not None:
        return cached
    return catalog.save(endpoint, mode, arrange(await service.models(endpoint.name)))


def arrange(models: Iterable[ModelInfo]) -> list[ModelInfo]:
    """Each model once, the first of two alike, by provider and id."""
    unique = {(model.provider, model.id): model for model in reversed(list(models))}
    return [model for _, model in sorted(unique.items(), key=lambda row: row[0])]
