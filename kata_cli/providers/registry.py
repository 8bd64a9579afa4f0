"""Which adapter speaks to which kind of provider, and what each kind can do. A new kind is one row."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.ports import Credential, Endpoint, Provider, Timeouts
from kata_cli.core.text import near


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of provider, and what it can do. `factory` is `module:callable`, imported at the first use."""

    kind: str
    factory: str
    has_api_key: bool = True
    has_token_session: bool = False
    has_model_listing: bool = True


def table(*adapters: Adapter) -> dict[str, Adapter]:
    """Adapters by kind, in the order given. Raises `ValueError` for a kind that is named twice."""
    rows: dict[str, Adapter] = {}
    for adapter in adapters:
        if adapter.kind in rows:
            raise ValueError(f"two adapters for the kind {adapter.kind!r}")
        rows[adapter.kind] = adapter
    return rows


ADAPTERS = table(
    Adapter(
        kind="anthropic",
        factory="kata_cli.providers.anthropic:AnthropicProvider",
        has_token_session=True,
    ),
    Adapter(kind="openai", factory="kata_cli.providers.openai:OpenAIProvider"),
    Adapter(kind="mock", factory="kata_cli.providers.mock:MockProvider", has_api_key=False),
)

# The order in which a provider is picked when nobody names one.
CHOICE_ORDER = ("anthropic", "openai")

# Pi stands for all providers that it knows itself; which of them is asked is part of the model.
PI = Endpoint(name="pi", kind="pi", base_url="", requires_key=False)
MOCK = Endpoint(name="mock", kind="mock", base_url="", default_model="mock-1", requires_key=False)


def require(kind: str, adapters: Mapping[str, Adapter] = ADAPTERS) -> Adapter:
    """The adapter of a kind. Raises `KataError` usage with the nearest names."""
    if kind not in adapters:
        known = ", ".join(adapters)
        raise KataError(
            "usage", f"unknown provider kind {kind!r}", near(kind, adapters) or f"known kinds: {known}"
        )
    return adapters[kind]


def connect(
    endpoint: Endpoint,
    credential: Credential,
    timeouts: Timeouts,
    adapters: Mapping[str, Adapter] = ADAPTERS,
) -> Provider:
    """The provider behind an endpoint; nothing is sent yet. Raises `KataError` usage for an unknown kind."""
    module, _, name = require(endpoint.kind, adapters).factory.partition(":")
    return cast(Provider, getattr(import_module(module), name)(endpoint, credential, timeouts))
