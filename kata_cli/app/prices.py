"""What answers cost, by the price list of the genai-prices package; it is bundled, so nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping

from kata_cli.config.endpoints import BUILTINS
from kata_cli.core.messages import ModelRef, Usage
from kata_cli.core.ports import Endpoint
from kata_cli.providers.budget import Price


def price_list(endpoints: Mapping[str, Endpoint], mode: str) -> Price:
    """The price of a usage in US dollars, None where it is not known; the mock costs nothing.

    The list holds the vendors' own prices: a server at another address has others, if any.
    """

    def price(model: ModelRef, usage: Usage) -> float | None:
        if model.provider == "mock":
            return 0.0
        if mode == "native" and not _is_vendor(endpoints.get(model.provider)):
            return None
        return _listed(model, usage)

    return price


def _is_vendor(endpoint: Endpoint | None) -> bool:
    builtin = BUILTINS.get(endpoint.name) if endpoint is not None else None
    return builtin is not None and endpoint is not None and endpoint.base_url == builtin.base_url


def _listed(model: ModelRef, usage: Usage) -> float | None:
    import genai_prices  # 30 ms and more: only where a price is wanted

    # In this list, input is all that goes in, from the cache or not.
    counted = genai_prices.Usage(
        input_tokens=usage.input + usage.cache_read + usage.cache_write,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
    )
    try:
        found = genai_prices.calc_price(counted, model_ref=model.id, provider_id=model.provider)
    except LookupError:
        return None
    return float(found.total_price)
