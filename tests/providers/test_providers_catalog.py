"""The cache of model listings: when it answers, when it does not, and in what order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core import loop
from kata_cli.core.clock import FixedClock
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.events import Event
from kata_cli.core.messages import ModelInfo, Request
from kata_cli.core.ports import Credential, Endpoint, Provider, Timeouts
from kata_cli.providers.catalog import CachedModels, Catalog, arrange, list_models
from kata_cli.providers.service import Policy, ProviderService

HERE = Endpoint(name="here", kind="openai", base_url="https://a.example", default_model="m-2")
DAY_S = 86_400.0
NOW_S = 1_800_000_000.0


class Listing:
    """A provider that only lists, and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    async def stream(self, request: Request) -> AsyncIterator[Event]:
        raise AssertionError("not asked here")
        yield

    async def models(self) -> list[ModelInfo]:
        self.calls += 1
        return [model("m-2"), model("m-1", name="One"), model("m-2", name="again")]

    async def aclose(self) -> None:
        return None


class NoKeys:
    def find(self, endpoint: Endpoint) -> Credential | Failure:
        return Credential(secret="k", source="test")


def model(model_id: str, provider: str = "here", name: str = "") -> ModelInfo:
    return ModelInfo(provider=provider, id=model_id, name=name)


def service_of(provider: Provider) -> ProviderService:
    return ProviderService(
        policy=Policy(mode="native", mode_source="default", timeouts=Timeouts()),
        endpoints={"here": HERE},
        credentials=NoKeys(),
        clock=FixedClock(0.0),
        on_secret=lambda secret: None,
        connect=lambda endpoint, credential, timeouts: provider,
    )


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def catalog_at(folder: Path, now_s: float = NOW_S) -> Catalog:
    return Catalog(folder, lambda: now_s, write)


def listed(folder: Path, provider: Listing, now_s: float = NOW_S, *, refresh: bool = False) -> CachedModels:
    return loop.run(list_models(service_of(provider), HERE, catalog_at(folder, now_s), refresh=refresh))


def test_a_second_listing_needs_no_request(tmp_path: Path) -> None:
    """The first listing is fetched and kept; the second is the same, and says that it is kept."""
    provider = Listing()
    first = listed(tmp_path, provider)
    second = listed(tmp_path, provider, NOW_S + 60)
    assert (first.is_cached, second.is_cached, provider.calls) == (False, True, 1)
    assert second.models == first.models
    assert second.fetched_at == first.fetched_at == "2027-01-15T08:00:00.000Z"


def test_refresh_asks_again(tmp_path: Path) -> None:
    """`--refresh` passes the cache by and renews it."""
    provider = Listing()
    listed(tmp_path, provider)
    assert not listed(tmp_path, provider, NOW_S + 60, refresh=True).is_cached
    assert listed(tmp_path, provider, NOW_S + 60).fetched_at == "2027-01-15T08:01:00.000Z"


@pytest.mark.parametrize(
    ("age_s", "is_cached"), [(0.0, True), (DAY_S, True), (DAY_S + 1, False), (-0.5, True), (-60.0, False)]
)
def test_a_listing_holds_for_a_day(tmp_path: Path, age_s: float, is_cached: bool) -> None:
    """Over 24 h it is asked again; so it is when the clock was set back behind it (D1)."""
    catalog_at(tmp_path).save(HERE, "native", [])
    assert (catalog_at(tmp_path, NOW_S + age_s).load(HERE, "native") is not None) == is_cached


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"fetched_at": "soon", "models": []}', b"\xff"])
def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    """What cannot be read is fetched again."""
    catalog_at(tmp_path).save(HERE, "native", [])
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert catalog_at(tmp_path).load(HERE, "native") is None


@pytest.mark.parametrize(
    ("endpoint", "mode"),
    [
        (HERE, "mock"),
        (Endpoint(name="here", kind="openai", base_url="https://b.example"), "native"),
        (Endpoint(name="../here", kind="openai", base_url="https://a.example"), "native"),
    ],
)
def test_listings_do_not_mix(tmp_path: Path, endpoint: Endpoint, mode: str) -> None:
    """Another mode, address or name is another file, and all of them lie in the cache directory."""
    catalog_at(tmp_path).save(HERE, "native", [])
    assert catalog_at(tmp_path).load(endpoint, mode) is None
    catalog_at(tmp_path).save(endpoint, mode, [])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("error", [OSError("read-only"), KataError("io", "read-only")])
def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path, error: Exception) -> None:
    """The listing is given all the same."""

    def refuse(path: Path, data: bytes) -> None:
        raise error

    catalog = Catalog(tmp_path, lambda: NOW_S, refuse)
    assert len(loop.run(list_models(service_of(Listing()), HERE, catalog, refresh=False)).models) == 2


def test_mo_06_09_order_and_duplicates(tmp_path: Path) -> None:
    """MO-06, MO-09: by id, the first of two alike kept."""
    assert listed(tmp_path, Listing()).models == [model("m-1", name="One"), model("m-2")]


def test_what_else_a_listing_depends_on_keeps_lists_apart(tmp_path: Path) -> None:
    """With another key, Pi or file of models the list is another one."""
    given = [Catalog(tmp_path, lambda: NOW_S, write, name) for name in ("", "a key")]
    given[0].save(HERE, "pi", [model("m-1")])
    assert given[1].load(HERE, "pi") is None
    assert given[0].load(HERE, "pi") is not None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=12))
@settings(max_examples=100, deadline=None)
def test_mo_06_the_order_does_not_depend_on_the_providers(pairs: list[tuple[str, str]]) -> None:
    """MO-06, MO-09: any order of the same models gives one list, each once."""
    models = [model(model_id, provider) for provider, model_id in pairs]
    arranged = arrange(models)
    assert [(item.provider, item.id) for item in arranged] == sorted(set(pairs))
    assert arranged == arrange(reversed(models))
    assert arranged == arrange(arranged)
