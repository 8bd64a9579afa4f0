"""The smallest value that a JSON Schema allows, as far as its usual keywords say."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 16
MAX_REPEATED = 1000  # items of a list, or characters, however many a schema asks for


def instance_of(schema: dict[str, Any], words: str) -> Any:
    """A value for the schema; `words` stand where any text may stand."""
    return _value(schema, schema, words, MAX_DEPTH)


def _value(schema: Any, root: dict[str, Any], words: str, depth: int) -> Any:
    if not isinstance(schema, dict) or depth == 0:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _value(_referred(schema["$ref"], root), root, words, depth - 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _value(schema[key][0], root, words, depth - 1)
    return _typed(schema, root, words, depth)


def _typed(schema: dict[str, Any], root: dict[str, Any], words: str, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            known = schema.get("properties", {})
            return {name: _value(known.get(name, {}), root, words, depth - 1) for name in _required(schema)}
        case "array":
            item = _value(schema.get("items", {}), root, words, depth - 1)
            return [item] * int(min(schema.get("minItems", 1), MAX_REPEATED))
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case "null":
            return None
    return words.ljust(min(schema.get("minLength", 0), MAX_REPEATED))[: schema.get("maxLength")]


def _required(schema: dict[str, Any]) -> list[str]:
    return list(schema.get("required", schema.get("properties", {})))


def _number(schema: dict[str, Any]) -> float:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    highest = schema.get("maximum", lowest)
    number: float = max(lowest, min(0, highest))
    return number


def _referred(reference: str, root: dict[str, Any]) -> Any:
    """What a local reference such as `#/$defs/name` points to."""
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
