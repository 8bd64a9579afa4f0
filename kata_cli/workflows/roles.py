"""The built-in roles: one system prompt each, kept as data beside the workflows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

BUILTIN_FOLDER = Path(__file__).parent / "builtin"


@cache
def _roles() -> dict[str, str]:
    import tomllib

    text = (BUILTIN_FOLDER / "roles.toml").read_text("utf-8")
    return {str(name): str(system).strip() for name, system in tomllib.loads(text)["roles"].items()}


def role_system(role: str) -> str | None:
    """The system prompt of a built-in role, or None for any other name."""
    return _roles().get(role)
