"""Ending a connection whose client reads nothing: an orderly end would wait for it."""

from __future__ import annotations

from kata_cli.service.asgi import Scope


def hang_up(scope: Scope) -> bool:
    """Drop a connection with all that it has not taken; False where the server knows no way to do so."""
    abort = scope.get("state", {}).get("abort")
    if abort is None:
        return False
    abort()
    return True
