"""The JSON Schema of `config.toml` and `kata.toml`, from the tables of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kata_cli.config.endpoints import PROVIDER_SETTINGS
from kata_cli.config.setting import Setting
from kata_cli.config.settings import SETTINGS
from kata_cli.config.values import MAX_INT
from kata_cli.core.duration import MAX_S, PATTERN

_TEXT = {"type": "string", "pattern": r"\S"}
_SCALAR = {"type": ["string", "number", "boolean"], "minimum": -MAX_INT, "maximum": MAX_INT}


def config_schema() -> dict[str, Any]:
    """The schema of a file with every key that kata knows; the project's file may set fewer of them."""
    own = {name: setting for name, setting in SETTINGS.items() if not setting.is_user_only}
    provider = _table(PROVIDER_SETTINGS)
    return {
        "title": "config",
        "description": "Settings of kata: your own config.toml, or kata.toml at the root of a project.",
        **_table(SETTINGS, providers=_named(provider), profiles=_named(_table(own))),
    }


def _named(table: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": table}


def _table(declared: Mapping[str, Setting[Any]], **more: dict[str, Any]) -> dict[str, Any]:
    """The table of some settings; a dotted key stands in a table of its own."""
    properties: dict[str, Any] = {}
    for setting in declared.values():
        folder, dot, key = setting.key.rpartition(".")
        inside = properties.setdefault(folder, _closed({}))["properties"] if dot else properties
        inside[key] = _setting(setting)
    return _closed(properties | more)


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _setting(setting: Setting[Any]) -> dict[str, Any]:
    schema = {"description": setting.help, **_value(setting)}
    if setting.default not in (None, "", (), {}):
        schema["default"] = list(setting.default) if isinstance(setting.default, tuple) else setting.default
    return schema


def _value(setting: Setting[Any]) -> dict[str, Any]:
    if setting.choices:
        return {"enum": list(setting.choices)}
    match setting.kind:
        case "int":
            return {"type": "integer", **_range(setting)}
        case "float":
            return {"type": "number", **_range(setting)}
        case "bool":
            return {"type": "boolean"}
        case "duration":
            text = {"type": "string", "pattern": f"^{PATTERN}$"}
            return {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": MAX_S}, text]}
        case "list" | "paths":
            return {"type": "array", "items": _TEXT}
        case "table":
            return {"type": "object", "additionalProperties": _SCALAR}
    return _TEXT


def _range(setting: Setting[Any]) -> dict[str, Any]:
    return {
        "minimum": -MAX_INT if setting.minimum is None else setting.minimum,
        "maximum": MAX_INT if setting.maximum is None else setting.maximum,
    }
