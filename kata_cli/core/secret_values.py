"""Secrets that this process holds, found in whatever spelling they turn up."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

import msgspec


class KnownValues:
    """Exact values, longest first."""

    def __init__(self) -> None:
        self._forms: list[str] = []
        self._pattern = re.compile(r"(?!)")

    def add(self, secret: str) -> None:
        self._forms = sorted({*self._forms, *_spellings(secret)}, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, self._forms)))

    def may_match(self, text: str) -> bool:
        return any(form in text for form in self._forms)

    def search(self, text: str, position: int) -> re.Match[str] | None:
        return self._pattern.search(text, position)

    def replacement(self, match: re.Match[str]) -> str:
        return "[redacted:credential]"

    def unfinished(self, text: str, position: int) -> int:
        return min((_overlap(text, form, position) for form in self._forms), default=len(text))

    def rest(self, match: re.Match[str]) -> None:
        return None


def _overlap(text: str, form: str, position: int) -> int:
    """Where the longest proper beginning of `form` starts that ends the text."""
    start = max(position, len(text) - len(form) + 1)
    while (start := text.find(form[0], start)) >= 0:
        if form.startswith(text[start:]):
            return start
        start += 1
    return len(text)


def _spellings(secret: str) -> Iterator[str]:
    from urllib.parse import quote

    raw = secret.encode()
    yield secret
    yield from (quote(raw, safe=""), quote(raw))  # a path keeps its slashes
    yield _in_json(secret)
    yield _in_json(_in_json(secret))  # an error body quoted in a reply quoted in an event
    for shift in range(3):
        yield from _base64_cores(raw, shift)


def _in_json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


def _base64_cores(raw: bytes, shift: int) -> Iterator[str]:
    """The characters of a base64 text that `raw` alone decides, `shift` bytes (modulo 3) coming before."""
    encoded = binascii.b2a_base64(bytes(shift) + raw, newline=False).decode()
    end = len(encoded) if (shift + len(raw)) % 3 == 0 else encoded.index("=") - 1
    core = encoded[(0, 2, 3)[shift] : end]
    yield core
    yield core.translate(str.maketrans("+/", "-_"))
