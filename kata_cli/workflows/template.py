"""Placeholders in prompts: `{{goal}}`, `{{context}}`, `{{vars.NAME}}`, `{{tasks.ID.output}}`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def names(template: str) -> list[str]:
    """The placeholder names of a template, in order of first use."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(template)))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put every value in once; what a value says is never read as a template. Raises `KeyError`."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)
