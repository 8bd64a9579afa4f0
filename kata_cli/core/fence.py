"""How material is fenced inside a prompt, so that what a file says is never read as what the user asked.

One format, written by `context` and read back by the mock provider:

    <file path="src/a.py" lines="1-40" symbols="class A:3, def b:20">
    …text…
    </file>
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

_TAG = r"(?:goal|file|output|input|earlier)"
_CLOSING = re.compile(rf"<(?=\\*/?{_TAG}\b)")
_CLOSED = re.compile(rf"<\\(?=\\*/?{_TAG}\b)")
_BLOCK = re.compile(rf"^<({_TAG})((?: [a-z]+=\"[^\"\n]*\")*)>\n(.*?)\n?^</\1>$", re.M | re.S)
_ATTRIBUTE = re.compile(r" ([a-z]+)=\"([^\"\n]*)\"")
_QUOTES = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "&": "&amp;"}


class Block(msgspec.Struct, frozen=True):
    """A fenced piece of a prompt: its tag, attributes and text."""

    tag: str
    attributes: dict[str, str]
    text: str


def fence(tag: str, text: str, attributes: Mapping[str, str] | None = None) -> str:
    """One fenced block. A tag of ours inside the text is disarmed with a backslash."""
    listed = "".join(f' {name}="{_quote(value)}"' for name, value in (attributes or {}).items())
    disarmed = _CLOSING.sub(r"<\\", text.replace("\r\n", "\n").rstrip("\n"))
    return f"<{tag}{listed}>\n{disarmed}\n</{tag}>"


def blocks(prompt: str) -> Iterable[Block]:
    """All fenced blocks of a prompt, in order, with their text as it was before fencing."""
    for match in _BLOCK.finditer(prompt):
        attributes = {name: _unquote(value) for name, value in _ATTRIBUTE.findall(match[2])}
        yield Block(match[1], attributes, _CLOSED.sub("<", match[3]))


def outside(prompt: str) -> str:
    """What stands outside all fenced blocks: a person's own words, without the material."""
    return _BLOCK.sub("", prompt).strip()


def _quote(value: str) -> str:
    return re.sub(r'["\n\r&]', lambda match: _QUOTES[match[0]], value)


def _unquote(value: str) -> str:
    for raw, quoted in (('"', "&quot;"), ("\n", "&#10;"), ("\r", "&#13;"), ("&", "&amp;")):
        value = value.replace(quoted, raw)
    return value
