"""The file of the user's own models: what is refused, what is left out, what is kept."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.config.models import (
    APIS,
    CustomModel,
    ModelsFile,
    check_key,
    check_model,
    encode_with,
    read_models,
)
from kata_cli.core.errors import KataError
from kata_cli.core.messages import THINKING_LEVELS

GOOD = CustomModel(provider="local", id="llama", base_url="http://127.0.0.1:1/v1", api=APIS[0])
EMPTY = ModelsFile(models=[], warnings=[], entries=[])

models = st.builds(
    CustomModel,
    provider=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True).filter(
        lambda name: name not in ("anthropic", "openai")
    ),
    id=st.from_regex(r"[!-~]{1,20}", fullmatch=True),
    base_url=st.just("https://a.example/v1"),
    api=st.sampled_from(APIS),
    key_env=st.from_regex(r"([A-Z_][A-Z0-9_]{0,9})?", fullmatch=True),
    name=st.text(st.characters(categories=["L", "N", "P"]), max_size=20),
    context_window=st.none() | st.integers(1, 10**9),
    thinking=st.lists(st.sampled_from(THINKING_LEVELS)).map(tuple),
    output_cost=st.none() | st.floats(0, 10**6),
)


def stored(path: Path, text: str) -> ModelsFile:
    path.write_text(text)
    return read_models(path, allows_http=False)


def entry(**changes: Any) -> str:
    """A table as a person would write it."""
    fields = {"provider": "local", "id": "m", "base_url": "https://a.example", "api": APIS[0], **changes}
    return "[[models]]\n" + "".join(f"{name} = {value!r}\n" for name, value in fields.items())


@given(models)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read_back(model: CustomModel) -> None:
    """Every model that may be stored survives the file."""
    check_model(model, allows_http=False)
    entries = tomllib.loads(encode_with(EMPTY, model).decode())["models"]
    assert [msgspec.convert(row, CustomModel) for row in entries] == [model]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"provider": "Local"}, "provider"),
        ({"provider": "a/b"}, "provider"),
        ({"provider": "anthropic"}, "provider"),
        ({"id": ""}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": "é"}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"base_url": "http://llm.example.com"}, "base_url"),
        ({"base_url": "ftp://127.0.0.1"}, "base_url"),
        ({"base_url": "https://me:secret@a.example"}, "base_url"),
        ({"api": "openai"}, "api"),
        ({"key_env": "sk-live-abcdef"}, "key_env"),
        ({"key_env": "gsk_abcdef"}, "key_env"),
        ({"key_env": "A B"}, "key_env"),
        ({"name": "\x1b[31m"}, "name"),
        ({"context_window": 0}, "context_window"),
        ({"context_window": 10**9 + 1}, "context_window"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"thinking": ("hard",)}, "thinking"),
        ({"input_cost": -0.5}, "input_cost"),
        ({"output_cost": float("nan")}, "output_cost"),
        ({"output_cost": float("inf")}, "output_cost"),
    ],
)
def test_mo_12_a_wrong_shape_is_refused(changes: dict[str, Any], field: str) -> None:
    """MO-12: the field is named; what was given is not said back, it may be a key."""
    check_model(GOOD, allows_http=False)
    with pytest.raises(ValueError, match="expected") as caught:
        check_model(msgspec.structs.replace(GOOD, **changes), allows_http=False)
    assert caught.value.args[0] == field
    assert "secret" not in caught.value.args[1]
    assert "abcdef" not in caught.value.args[1]


def test_plain_http_is_for_those_who_allow_it() -> None:
    """As for any provider."""
    model = msgspec.structs.replace(GOOD, base_url="http://llm.example.com")
    check_model(model, allows_http=True)


def test_a_provider_has_one_key() -> None:
    """Pi knows one key per provider, so a second variable is refused; another provider may have its own."""
    other = msgspec.structs.replace(GOOD, id="other", key_env="KEY")
    with pytest.raises(ValueError, match="key_env"):
        check_key(GOOD, [other])
    check_key(GOOD, [msgspec.structs.replace(other, provider="elsewhere")])


def test_no_file_holds_no_models(tmp_path: Path) -> None:
    """Most people have none."""
    assert read_models(tmp_path / "models.toml", allows_http=False) == EMPTY


def test_mo_12_one_bad_entry_does_not_cost_the_others(tmp_path: Path) -> None:
    """MO-12: each entry that cannot be used is named with its line and its field; the rest is used."""
    bad = [
        entry(id="a"),
        entry(id="b", context_window=0),
        entry(id="c", contxt_window=1),
        entry(id="d", max_output_tokens="many"),
        "[[models]]\nprovider = 'x'\n",
        entry(id="a"),
        entry(id="e", key_env="OTHER_KEY"),
        entry(id="f"),
    ]
    found = stored(tmp_path / "models.toml", "".join(bad))
    assert [model.id for model in found.models] == ["a", "f"]
    assert len(found.warnings) == len(bad) - 2
    assert f"{tmp_path}/models.toml:11: models[1].context_window (local/b): expected" in found.warnings[0]
    for warning, part in zip(found.warnings, ["context", "contxt", "int", "id", "once", "same"], strict=True):
        assert part in warning
        assert warning.endswith("the model is left out")


@pytest.mark.parametrize("text", ["models = 3", "[[model]]\nid = 'x'\n", "[[models", "other = 1"])
def test_what_is_no_file_of_models_is_an_error(tmp_path: Path, text: str) -> None:
    """It is told as such, and not taken for an empty one that may be written over."""
    with pytest.raises(KataError) as caught:
        stored(tmp_path / "models.toml", text)
    assert caught.value.failure.code == "config"


def test_a_file_that_everybody_may_write_is_not_used(tmp_path: Path) -> None:
    """It says where keys are sent."""
    path = tmp_path / "models.toml"
    path.write_text(entry())
    path.chmod(0o666)
    with pytest.raises(KataError, match="everybody may write it"):
        read_models(path, allows_http=False)


def test_adding_keeps_what_cannot_be_used(tmp_path: Path) -> None:
    """An entry with a slip is there to be mended, so it stays; the same model is replaced in its place."""
    found = stored(tmp_path / "models.toml", entry(id="a", api="odd") + entry(id="b") + "[[models]]\nx = 1\n")
    changed = msgspec.structs.replace(GOOD, id="b", name="B")
    rows = tomllib.loads(encode_with(found, changed).decode())["models"]
    assert [row.get("id") for row in rows] == ["a", "b", None]
    assert (rows[0]["api"], rows[1]["name"], rows[2]) == ("odd", "B", {"x": 1})
    added = tomllib.loads(encode_with(found, GOOD).decode())["models"]
    assert [row.get("id") for row in added] == ["a", "b", None, "llama"]
