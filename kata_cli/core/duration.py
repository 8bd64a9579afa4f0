"""Durations as people write them."""

from __future__ import annotations

import math
import re

MAX_S = 365 * 86_400.0
PATTERN = r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)?"

_DURATION = re.compile(PATTERN)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m`, `2h` or `30d`. Raises `ValueError` for anything else."""
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _UNIT_S[match[2] or "s"] if match else math.nan
    if not 0 < seconds <= MAX_S:
        raise ValueError("expected a duration like 90, 90s, 10m, 2h or 30d")
    return seconds
