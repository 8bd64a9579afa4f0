"""Where time and chance come from: the machine, or fixed inputs."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class FixedClock:
    """Starts at a given epoch second and advances with the running loop only."""

    def __init__(self, epoch_s: float) -> None:
        self._epoch_s = epoch_s

    def time(self) -> float:
        return self._epoch_s + self.monotonic()

    def monotonic(self) -> float:
        import asyncio  # listings need stamps, but no loop

        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0


def stamp(epoch_s: float) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-21T05:44:12.345Z`."""
    moment = datetime.fromtimestamp(round(epoch_s, 3), UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_stamp(text: str) -> float:
    """Seconds since the epoch of a stamp."""
    return datetime.fromisoformat(text).timestamp()


def random_suffix(length: int = 6) -> str:
    """A random suffix for ids, in lower-case letters and digits."""
    return derived_suffix(secrets.token_bytes(16), length)


def timed_suffix(epoch_s: float) -> str:
    """A suffix that sorts by the millisecond, so that of two runs in one second the later one is `last`."""
    millisecond = int(epoch_s * 1000) % 1000
    first, second = divmod(millisecond, len(ALPHABET))
    return ALPHABET[first] + ALPHABET[second] + random_suffix(4)


def derived_suffix(digest: bytes, length: int = 6) -> str:
    """The same kind of suffix, derived from a digest."""
    number = int.from_bytes(digest, "big")
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(letters)


def run_id(epoch_s: float, suffix: str) -> str:
    """`20261121-054412-k3f9q2`: sorts by time, unique by its suffix."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y%m%d-%H%M%S-") + suffix
