"""The JSON Schema of config files takes what kata takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kata_cli.config import values
from kata_cli.config.schema import config_schema
from kata_cli.config.setting import Setting
from kata_cli.config.settings import SETTINGS

SCHEMA = config_schema()
TEXTS = st.sampled_from(
    ["", " ", "a", "90", "10m", "1.5h", "0.5s", "s", "-1", "auto", "native", "mock", "low", "x" * 70]
)
NUMBERS = st.integers(-3, 20_000) | st.sampled_from([0.5, 2.5, -0.5, 1e20, 2**60, 400 * 86_400])
SCALARS = st.booleans() | TEXTS | NUMBERS
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2)


def in_file(key: str, value: Any) -> dict[str, Any]:
    """A config file with one dotted key."""
    folder, dot, name = key.rpartition(".")
    return {folder: {name: value}} if dot else {name: value}


def is_taken(setting: Setting[Any], value: Any) -> bool:
    """Whether kata takes the value from a file."""
    try:
        values.check(setting, value)
    except ValueError:
        return False
    return True


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SETTINGS)), VALUES)
def test_schema_and_settings_agree(name: str, value: Any) -> None:
    """A value is in the schema exactly when kata takes it."""
    setting = SETTINGS[name]
    is_valid = Draft202012Validator(SCHEMA).is_valid(in_file(setting.key, value))
    assert is_valid == is_taken(setting, value), (setting.key, value)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_default_is_in_its_schema(name: str) -> None:
    """Each setting is described, and its own default is a value of it."""
    setting = SETTINGS[name]
    if setting.default is not None:
        default = list(setting.default) if setting.kind in ("list", "paths") else setting.default
        Draft202012Validator(SCHEMA).validate(in_file(setting.key, default))


@pytest.mark.parametrize(
    "file",
    [
        {"jobz": 3},
        {"context": {"max_token": 3}},
        {"providers": {"a": {"base": "x"}}},
        {"providers": {"a": {"kind": "gemini"}}},
        {"profiles": {"a": {"trusted_projects": ["x"]}}},
        {"profiles": {"a": 1}},
    ],
)
def test_unknown_keys_are_refused(file: dict[str, Any]) -> None:
    """What kata refuses by its name or place is outside the schema too."""
    assert not Draft202012Validator(SCHEMA).is_valid(file)
