"""What the headers of a vendor's answer say about the request and about another attempt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id under which the provider can find the request."""
    return headers.get("request-id") or headers.get("x-request-id")


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """What the provider says about another attempt, if it says anything (`x-should-retry`)."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", ""))


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds to wait as the provider wishes (RFC 9110 10.2.3); nonsense and the past count as no wish."""
    wish_s = _number(headers.get("retry-after-ms"), 0.001)
    if wish_s is None:
        wish_s = _number(headers.get("retry-after"), 1.0)
    if wish_s is None:
        wish_s = _seconds_until(headers.get("retry-after"), now_s)
    return wish_s if wish_s is not None and 0 <= wish_s < math.inf else None


def _number(text: str | None, factor: float) -> float | None:
    try:
        return float(text) * factor if text else None
    except ValueError:
        return None


def _seconds_until(date: str | None, now_s: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - now_s if date else None
    except (ValueError, OverflowError):
        return None
