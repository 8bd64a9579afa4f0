"""From what a flag, a variable or a file says to a checked value. Failures are `ValueError`s for people."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kata_cli.config.setting import Setting
from kata_cli.core import duration
from kata_cli.core.duration import parse_duration
from kata_cli.core.text import near

MAX_INT = 2**53
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def from_text(setting: Setting[Any], text: str) -> Any:
    """The value that a flag or variable spells. Raises `ValueError` saying what was expected."""
    try:
        raw = _typed(setting.kind, text)
    except ValueError:
        raise _mismatch(setting, text) from None
    return check(setting, raw)


def check(setting: Setting[Any], raw: Any) -> Any:
    """The value in its final type, in range and among the choices. Raises `ValueError`."""
    value = _converted(setting, raw)
    if setting.choices and value not in setting.choices:
        raise _mismatch(setting, raw)
    if isinstance(value, int | float) and not _is_in_range(setting, value):
        raise _mismatch(setting, raw)
    return value


def located(setting: Setting[Any], value: Any, folder: Path) -> Any:
    """A path made absolute, relative to the folder of the file that names it."""
    if setting.kind == "paths":
        return tuple(_absolute(folder, path) for path in value)
    if setting.kind == "path" or (setting.kind == "target" and is_path(value)):
        return _absolute(folder, value)
    return value


def _absolute(folder: Path, path: str) -> str:
    return str(folder / os.path.expanduser(path))


def is_path(target: str) -> bool:
    """Whether a name-or-path is meant as a path."""
    return "/" in target or target.endswith(".toml")


def nearest(name: str, choices: Iterable[str]) -> str:
    """The phrase that names the nearest choice, led by a space, or nothing."""
    phrase = near(name, choices)
    return f"; {phrase}" if phrase else ""


def _typed(kind: str, text: str) -> Any:
    text = text.strip()
    match kind:
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "bool":
            return _parse_bool(text.lower())
        case "list" | "paths":
            return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _parse_bool(text: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise ValueError(text)
    return text in _TRUE


def _converted(setting: Setting[Any], raw: Any) -> Any:
    is_number = isinstance(raw, int | float) and not isinstance(raw, bool)
    match setting.kind:
        case "int" if is_number and isinstance(raw, int):
            return raw
        case "float" if is_number and abs(raw) <= MAX_INT:
            return float(raw)
        case "bool" if isinstance(raw, bool):
            return raw
        case "duration" if is_number and 0 < raw <= duration.MAX_S:
            return float(raw)
        case "duration" if isinstance(raw, str):
            return _duration(setting, raw)
        case "list" | "paths" if isinstance(raw, list | tuple) and all(_is_text(item) for item in raw):
            return tuple(raw)
        case "table" if isinstance(raw, dict) and all(_is_scalar(item) for item in raw.values()):
            return raw
        case "str" | "path" | "target" if _is_text(raw):
            return raw
    raise _mismatch(setting, raw)


def _duration(setting: Setting[Any], text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise _mismatch(setting, text) from None


def _is_text(raw: Any) -> bool:
    return isinstance(raw, str) and bool(raw.strip()) and "\0" not in raw


def _is_scalar(raw: Any) -> bool:
    if isinstance(raw, str | bool):
        return True
    return isinstance(raw, int | float) and abs(raw) <= MAX_INT


def _is_in_range(setting: Setting[Any], value: float) -> bool:
    low = -MAX_INT if setting.minimum is None else setting.minimum
    high = MAX_INT if setting.maximum is None else setting.maximum
    return low <= value <= high


def _mismatch(setting: Setting[Any], raw: Any) -> ValueError:
    hint = nearest(raw, setting.choices) if isinstance(raw, str) and setting.choices else ""
    return ValueError(f"expected {_expected(setting)}, got {_shown(raw)}{hint}")


def _expected(setting: Setting[Any]) -> str:
    if setting.choices:
        return "one of " + ", ".join(setting.choices)
    phrase = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "duration": "a duration like 90, 90s, 10m, 2h or 30d",
        "list": "a list of texts",
        "table": "a table of texts, numbers or booleans",
        "path": "a path",
        "paths": "a list of paths",
        "target": "a name or a path",
    }.get(setting.kind, "a text")
    if setting.minimum is not None and setting.maximum is not None:
        return f"{phrase} from {setting.minimum:g} to {setting.maximum:g}"
    return f"{phrase} of at least {setting.minimum:g}" if setting.minimum is not None else phrase


def _shown(raw: Any) -> str:
    # repr escapes control and bidi characters; a huge integer has no repr at all.
    if isinstance(raw, int) and abs(raw) > MAX_INT:
        return "a number with too many digits"
    if isinstance(raw, str | int | float):
        return repr(raw if not isinstance(raw, str) or len(raw) <= 60 else raw[:60] + "…")
    if isinstance(raw, dict):
        return "a table"
    return "a list" if isinstance(raw, list | tuple) else "a date or time"
