"""The files of the web panel, by a fixed list of names: no path is ever made from what a client asks for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).with_name("panel")
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
NAMES = frozenset(
    {
        "index.html",
        "panel.css",
        "icon.svg",
        "panel.js",
        "api.js",
        "composer.js",
        "conversation.js",
        "dom.js",
        "inline.js",
        "markdown.js",
        "provisional.js",
        "rail.js",
        "scroll.js",
        "session.js",
        "sse.js",
        "steps.js",
    }
)


class PanelFile(NamedTuple):
    """A file of the panel as it is sent."""

    data: bytes
    media_type: str


def find(name: str) -> PanelFile | None:
    """The file of a name, `index.html` for the page itself; None for what is none of the panel's."""
    return _read(name) if name in NAMES else None


@cache
def _read(name: str) -> PanelFile:
    path = FOLDER / name
    return PanelFile(path.read_bytes(), MEDIA_TYPES[path.suffix])
