"""The models.json of a child: the user's own one, with further providers added.

Pi discards the whole file for one error and tells nobody (0.74.2 to 1.5.2), so it is only joined from parts
that were checked, and where the user's own cannot be read it is given to Pi as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.core.messages import THINKING_LEVELS, ModelRef
from kata_cli.pi.wire import NAMED_LEVELS

NAME = "models.json"


class _Settings(msgspec.Struct, rename="camel"):
    default_provider: str = ""
    default_model: str = ""


def read_providers(text: bytes) -> dict[str, Any] | None:
    """The providers in a models.json, None where it is none."""
    try:
        plain = _without_comments(text.decode())
        providers = msgspec.json.decode(plain)["providers"]
    except (ValueError, msgspec.DecodeError, KeyError, TypeError, RecursionError):
        return None
    return providers if isinstance(providers, dict) else None


def read_default(agent_dir: Path) -> ModelRef | None:
    """The model that a user's Pi directory names for new sessions, None where it names none."""
    try:
        settings = msgspec.json.decode(agent_dir.joinpath("settings.json").read_bytes(), type=_Settings)
    except (OSError, msgspec.DecodeError):
        return None
    has_both = settings.default_provider and settings.default_model
    return ModelRef(settings.default_provider, settings.default_model) if has_both else None


def write_providers(providers: dict[str, Any]) -> bytes:
    """A models.json of these providers."""
    return msgspec.json.encode({"providers": providers})


def key_reference(variable: str) -> str:
    """How models.json says that a key is in a variable, for all versions.

    Up to 0.74 that is its bare name and later `$NAME`; each takes the other's form for the key itself. A
    command means the same to both.
    """
    return f'!printf %s "${variable}"'


def level_map(levels: Collection[str]) -> dict[str, str | None]:
    """How models.json says that a model thinks at these levels; the usual ones are only named if absent."""
    if not levels:
        return {}
    absent = {level: None for level in THINKING_LEVELS if level not in (*levels, *NAMED_LEVELS)}
    return {**absent, **{level: level for level in NAMED_LEVELS if level in levels}}


def _without_comments(text: str) -> str:
    no_comments = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', lambda match: match[1] or "", text)
    return re.sub(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', lambda match: match[1] or "", no_comments)
