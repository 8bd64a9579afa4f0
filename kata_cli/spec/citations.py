"""Ids of a draft in other texts: `AC-001` in a comment, `test_ac_001_...` in the name of a test."""

from __future__ import annotations

import re

import msgspec

_CITED = re.compile(r"(?<![A-Za-z0-9])(REQ|AC)[-_]([0-9]{1,9})(?![0-9])", re.I)


class Citation(msgspec.Struct, frozen=True):
    """Where an id is cited; lines count from 1. The id is in its padded form, as `padded` makes it."""

    id: str
    path: str
    line: int


def citations(text: str, path: str) -> list[Citation]:
    """The requirements and criteria that a text cites, once per line, in order."""
    found = (
        Citation(padded(f"{match[1].upper()}-{match[2]}"), path, number)
        for number, row in enumerate(text.split("\n"), start=1)
        for match in _CITED.finditer(row)
    )
    return list(dict.fromkeys(found))


def padded(entry_id: str) -> str:
    """`REQ-7` as `REQ-007`: both mean the same."""
    prefix, _, number = entry_id.partition("-")
    return f"{prefix}-{int(number):03d}"
