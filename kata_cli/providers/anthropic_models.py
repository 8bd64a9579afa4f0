"""Anthropic's model list (https://platform.claude.com/docs/en/api/models/list)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from kata_cli.core.messages import ModelInfo
from kata_cli.providers import listing


class _Supported(msgspec.Struct, frozen=True):
    supported: bool = False


class _ThinkingTypes(msgspec.Struct, frozen=True):
    adaptive: _Supported = _Supported()
    disabled: _Supported = _Supported()


class _Thinking(msgspec.Struct, frozen=True):
    supported: bool = False
    types: _ThinkingTypes = _ThinkingTypes()


class _Effort(msgspec.Struct, frozen=True):
    low: _Supported = _Supported()
    medium: _Supported = _Supported()
    high: _Supported = _Supported()
    xhigh: _Supported | None = None
    max: _Supported = _Supported()

    def levels(self) -> list[str]:
        marks = {
            "low": self.low,
            "medium": self.medium,
            "high": self.high,
            "xhigh": self.xhigh,
            "max": self.max,
        }
        return [level for level, mark in marks.items() if mark is not None and mark.supported]


class _Capabilities(msgspec.Struct, frozen=True):
    effort: _Effort = _Effort()
    thinking: _Thinking = _Thinking()


class Model(msgspec.Struct):
    """One row, as far as it is used."""

    id: str = ""
    display_name: str = ""
    created_at: datetime | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: _Capabilities | None = None


decode_page = msgspec.json.Decoder(listing.Page[Model]).decode


def describe(provider: str, row: Model) -> ModelInfo:
    """A model as the house knows it."""
    # The API gives the epoch where it does not know the date.
    is_dated = row.created_at is not None and row.created_at.year > 1970
    return ModelInfo(
        provider=provider,
        id=row.id,
        name=row.display_name,
        created=row.created_at.date().isoformat() if row.created_at and is_dated else None,
        context_window=row.max_input_tokens,
        max_output_tokens=row.max_tokens,
        thinking=_levels(row.capabilities) if row.capabilities else None,
    )


def _levels(capabilities: _Capabilities) -> list[str]:
    types = capabilities.thinking.types
    levels = ["off"] if types.disabled.supported or not capabilities.thinking.supported else []
    return levels + capabilities.effort.levels() if types.adaptive.supported else levels
