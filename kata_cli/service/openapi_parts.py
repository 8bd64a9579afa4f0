"""Pieces of an OpenAPI document."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

REF = "#/components/schemas/{name}"


def reference(kind: type) -> dict[str, str]:
    """Where the schema of a type is."""
    return {"$ref": REF.format(name=kind.__name__)}


def content(schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    """What a body holds."""
    return {"content": {media_type: {"schema": schema}}}


def cleaned(value: Any) -> Any:
    """A schema whose descriptions, which were docstrings, are not indented."""
    if isinstance(value, dict):
        return {key: cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    return cleandoc(value) if isinstance(value, str) else value
