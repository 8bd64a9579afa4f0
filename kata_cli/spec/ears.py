"""The five EARS sentence patterns and their combination (Mavin et al., RE 2009)."""

from __future__ import annotations

import re

_SHALL = r"[^,]*\b(?:SHALL|MUST)\b\s*\S"
_PATTERNS = {
    "complex": re.compile(rf"WHILE\b.+?,\s*(?:WHEN|IF)\b.+?,\s*(?:THEN\s+)?{_SHALL}", re.I),
    "event": re.compile(rf"WHEN\b.+?,\s*{_SHALL}", re.I),
    "state": re.compile(rf"WHILE\b.+?,\s*{_SHALL}", re.I),
    "unwanted": re.compile(rf"IF\b.+?,\s*THEN\b{_SHALL}", re.I),
    "optional": re.compile(rf"WHERE\b.+?,\s*{_SHALL}", re.I),
    "ubiquitous": re.compile(rf"(?:The|Each|Every|All|No|An?)\b{_SHALL}", re.I),
}


def classify(sentence: str) -> str | None:
    """The pattern's name (ubiquitous, event, state, unwanted, optional, complex), or None if none fits."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.match(sentence.strip())), None)
