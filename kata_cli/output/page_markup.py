"""HTML that cannot forget to escape: only what this module built is taken as markup, all else is text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from kata_cli.core.text import neutral

VOID = ("meta", "rect", "path", "line", "polyline")

Value = str | int | float


class Markup(str):
    """HTML that is ready to be written."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Untrusted text as HTML; controls and bidi marks are shown as visible escapes."""
    return Markup(escape(neutral(value)))


def element(name: str, /, *children: str | None, **attributes: Value | None) -> Markup:
    """An element of children that are escaped unless they are markup; what is None is left out.

    An underscore in the name of an attribute is a hyphen, and a last one is dropped: `class_`, `text_anchor`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str | None]) -> Markup:
    """Children one after the other, escaped as those of an element."""
    shown = (child for child in children if child is not None)
    return Markup("".join(child if isinstance(child, Markup) else text(child) for child in shown))


def style(css: str) -> Markup:
    """A style sheet of ours, which is no text from outside and must not be escaped."""
    return Markup(f"<style>{css}</style>")


def _attribute(value: Value) -> str:
    return text(value) if isinstance(value, str) else str(round(value, 2))
