"""The files that say what a project is and how its tests run."""

from __future__ import annotations

import re

_README = re.compile(rb"readme(?:\.(?:md|rst|txt|adoc))?$", re.I)
_MANIFESTS = (
    b"pyproject.toml package.json cargo.toml go.mod makefile justfile pom.xml build.gradle build.gradle.kts"
    b" gemfile composer.json cmakelists.txt setup.cfg setup.py tox.ini mix.exs deno.json"
).split()
_ENTRY = re.compile(
    rb"(?:__main__|main|app|cli|index|server|lib|mod|manage|wsgi|asgi)\."
    rb"(?:py|js|mjs|ts|tsx|go|rs|rb|php|java|kt|c|cc|cpp|cs)$",
    re.I,
)
_MAX_DEPTH = 3


def landmarks(paths: list[bytes]) -> list[bytes]:
    """The README and the manifest of the top directory, if there are any."""
    top = [path for path in paths if b"/" not in path]
    readmes = sorted(path for path in top if _README.match(path))
    manifests = sorted((path for path in top if path.lower() in _MANIFESTS), key=_manifest_order)
    return readmes[:1] + manifests[:1]


def overview(paths: list[bytes]) -> list[bytes]:
    """READMEs, manifests, entry points, then the rest, each from the top down: for a goal without hits."""
    near = [path for path in paths if path.count(b"/") <= _MAX_DEPTH]
    return sorted(near, key=lambda path: (_kind(path.rpartition(b"/")[2]), path.count(b"/"), path))


def _kind(name: bytes) -> int:
    if _README.match(name):
        return 0
    if name.lower() in _MANIFESTS:
        return 1
    return 2 if _ENTRY.match(name) else 3


def _manifest_order(path: bytes) -> tuple[int, bytes]:
    return _MANIFESTS.index(path.lower()), path
