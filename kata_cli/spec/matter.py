"""The front matter of a draft: one `key: <JSON value>` per line between two `---` lines.

JSON is a subset of YAML 1.2, so every editor reads it, and kata needs no YAML parser.
"""

from __future__ import annotations

import msgspec

from kata_cli.core.errors import UPGRADE, KataError
from kata_cli.spec.blocks import MatterError
from kata_cli.spec.document import SCHEMA, Document

KEYS = ("schema", "id", "title", "status", "revision", "runtime_mode")
FENCE = "---"

_MADE_BY_KATA = "kata.spec/v"


def render_matter(document: Document) -> str:
    """The front matter with both fences, without a last newline."""
    rows = [f"{key}: {msgspec.json.encode(getattr(document, key)).decode()}" for key in KEYS]
    return "\n".join([FENCE, *rows, FENCE])


def parse_matter(rows: list[str]) -> tuple[Document, int]:
    """A document with nothing but its front matter, and the number of lines it takes.

    Raises `MatterError`, or `KataError` io for a later schema than this kata knows.
    """
    if not rows or rows[0].rstrip() != FENCE:
        raise MatterError(1, f"front matter that begins with {FENCE}", rows[0] if rows else "")
    values: dict[str, str | int] = {}
    places: dict[str, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if row.rstrip() == FENCE:
            return _head(values, places, number), number
        if row.strip():
            key, value = _pair(number, row)
            if key in values:
                raise MatterError(number, f"`{key}` once", row)
            values[key], places[key] = value, number
    raise MatterError(len(rows), f"front matter that ends with {FENCE}")


def matter_height(rows: list[str]) -> int:
    """The number of lines that front matter takes, sound or not; without an end it ends at a heading."""
    if not rows or rows[0].rstrip() != FENCE:
        return 0
    for number, row in enumerate(rows[1:], start=1):
        if row.rstrip() == FENCE:
            return number + 1
        if row.startswith("#"):
            return number
    return len(rows)


def _pair(number: int, row: str) -> tuple[str, str | int]:
    key, _, value = row.partition(":")
    if key.strip() not in KEYS:
        raise MatterError(number, f"one of the keys {', '.join(KEYS)}", row)
    try:
        return key.strip(), msgspec.json.decode(value, type=str | int)
    except msgspec.DecodeError:
        raise MatterError(number, f'a JSON value, as in {key.strip()}: "text"', row) from None


def _head(values: dict[str, str | int], places: dict[str, int], last: int) -> Document:
    for key in KEYS:
        if key not in values:
            raise MatterError(last, f"the key `{key}` in the front matter")
    _check_schema(values["schema"], places["schema"])
    for key in KEYS:
        _check_value(key, values[key], places[key])
    return msgspec.convert(values, Document)


def _check_schema(schema: str | int, line: int) -> None:
    if schema == SCHEMA:
        return
    if isinstance(schema, str) and schema.startswith(_MADE_BY_KATA):
        raise KataError("io", f"line {line}: {schema} is not known to this kata", UPGRADE)
    raise MatterError(line, f'schema: "{SCHEMA}"', str(schema))


def _check_value(key: str, value: str | int, line: int) -> None:
    probe = {"id": "", "title": "", key: value}
    try:
        msgspec.convert(probe, Document)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at ")[0]
        raise MatterError(line, f"a proper `{key}` ({reason})", str(value)) from None
