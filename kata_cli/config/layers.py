"""What each place says - flags, variables, files - as layers of checked values, and the pick among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kata_cli.config import values
from kata_cli.config.setting import Origin, Setting, Value
from kata_cli.core import toml
from kata_cli.core.errors import KataError

Declared = Mapping[str, Setting[Any]]


class Layer(msgspec.Struct, kw_only=True):
    """The values of one place by setting name; a limited one is untrusted and can only lower limits."""

    values: dict[str, Value]
    is_limited: bool = False


def from_flags(declared: Declared, flags: Mapping[str, Any]) -> Layer:
    """The flags given, by setting name; None and empty lists or tables stand for flags not given.

    Raises `KataError` usage that names the flag.
    """
    found = {}
    for name, raw in flags.items():
        if raw is None or raw in ([], (), {}):
            continue
        setting = declared[name]
        source = setting.flag or name
        found[name] = Value(_from_shell(setting, raw, source), "flag", source)
    return Layer(values=found)


def from_env(declared: Declared, env: Mapping[str, str]) -> Layer:
    """The variables that are set and not blank. Raises `KataError` usage that names the variable."""
    found = {}
    for name, setting in declared.items():
        for variable in variables(setting):
            if env.get(variable, "").strip():
                found[name] = Value(_from_shell(setting, env[variable], variable), "env", variable)
                break
    return Layer(values=found)


def from_file(
    declared: Declared, file: toml.File, table: Mapping[str, Any], origin: Origin, prefix: str = ""
) -> Layer:
    """The keys of a table of a file, which stands below `prefix`. Raises `KataError` config for a bad one."""
    by_key = {setting.key: setting for setting in declared.values()}
    found = {}
    for key, raw in _leaves(by_key, file, table, prefix):
        setting = by_key[key]
        found[setting.name] = Value(
            _from_toml(setting, file, prefix + key, raw), origin, file.source(prefix + key)
        )
    return Layer(values=found)


def pick(declared: Declared, layers: Sequence[Layer], warnings: list[str]) -> dict[str, Value]:
    """The effective value of each setting: the first layer that has one, tables merged key by key."""
    return {name: _pick_one(setting, layers, warnings) for name, setting in declared.items()}


def variables(setting: Setting[Any]) -> tuple[str, ...]:
    """The variables that set it, the first that is set wins."""
    return (setting.env, *setting.aliases) if setting.env else setting.aliases


def rejection(value: Value, message: str, hint: str = "") -> KataError:
    """The error about an effective value, by where it came from: usage for flag and env, else config."""
    code = "usage" if value.origin in ("flag", "env") else "config"
    return KataError(code, f"{value.source}: {message}", hint)


def _pick_one(setting: Setting[Any], layers: Sequence[Layer], warnings: list[str]) -> Value:
    default = Value(setting.default, "default", "default")
    below = default
    for layer in reversed(layers):
        value = layer.values.get(setting.name)
        if value is None:
            continue
        if layer.is_limited and setting.lower_wins and _raises(value, below):
            warnings.append(
                f"{value.source}: {value.value:g} is above the limit of {below.value:g} and is ignored;"
                " --trust-project allows it"
            )
            continue
        below = _merged(setting, below, value)
    return below


def _raises(value: Value, limit: Value) -> bool:
    return limit.value is not None and bool(value.value > limit.value)


def _merged(setting: Setting[Any], below: Value, value: Value) -> Value:
    if setting.kind != "table":
        return value
    return msgspec.structs.replace(value, value=below.value | value.value)


def _from_shell(setting: Setting[Any], raw: Any, source: str) -> Any:
    try:
        if isinstance(raw, str):
            return values.from_text(setting, raw)
        return values.check(setting, raw)
    except ValueError as error:
        hint = "" if source.startswith("-") else f"unset {source}"
        raise KataError("usage", f"{source}: {error}", hint) from None


def _from_toml(setting: Setting[Any], file: toml.File, key: str, raw: Any) -> Any:
    try:
        return values.located(setting, values.check(setting, raw), file.path.parent)
    except ValueError as error:
        raise file.error(key, str(error)) from None


def _leaves(
    by_key: Mapping[str, Setting[Any]],
    file: toml.File,
    table: Mapping[str, Any],
    prefix: str,
    within: str = "",
) -> Iterator[tuple[str, Any]]:
    for name, raw in table.items():
        key = within + name
        if key in by_key:
            yield key, raw
        elif isinstance(raw, dict) and any(known.startswith(f"{key}.") for known in by_key):
            yield from _leaves(by_key, file, raw, prefix, f"{key}.")
        else:
            known = values.nearest(key, by_key)
            raise file.error(
                prefix + key, f"unknown key{known}", "kata config show --isolated lists every key"
            )
