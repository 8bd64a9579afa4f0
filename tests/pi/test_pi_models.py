"""The models.json of a child: joined from the user's own and what kata adds."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core.messages import THINKING_LEVELS, ModelRef
from kata_cli.pi import home
from kata_cli.pi.models import key_reference, level_map, read_default, read_providers
from kata_cli.pi.wire import Model, thinking_levels


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"providers": {"a": {}, "b": {}}}', ["a", "b"]),
        ('{\n// mine\n"providers": {"a//b": {"x": [1, 2,], "y": "},"},},\n}', ["a//b"]),
        ('{"providers": {}}', []),
    ],
)
def test_a_models_json_is_read_as_pi_reads_it(text: str, names: list[str]) -> None:
    """With line comments and commas too many, neither of which counts inside a string."""
    found = read_providers(text.encode())
    assert found is not None
    assert list(found) == names


def test_strings_stay_as_they_are() -> None:
    """What looks like a comment or a comma too many may be part of an address."""
    own = {"a": {"baseUrl": "http://h//x", "name": 'say ",]" \\'}}
    assert read_providers(json.dumps({"providers": own}).encode()) == own


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"providers": []}', b"\xff", b"[" * 5000])
def test_what_pi_would_refuse_is_none(text: bytes) -> None:
    """A file that cannot be read is not mistaken for an empty one."""
    assert read_providers(text) is None


@given(st.sets(st.sampled_from(THINKING_LEVELS), min_size=1).filter(lambda levels: levels != {"off"}))
@settings(max_examples=60, deadline=None)
def test_levels_come_back_as_they_were_given(levels: set[str]) -> None:
    """By Pi's own rule the map stands for exactly these levels."""
    model = Model(id="m", provider="p", reasoning=True, thinking_level_map=level_map(levels))
    assert thinking_levels(model) == [level for level in THINKING_LEVELS if level in levels]


def test_a_key_is_named_so_that_a_shell_finds_it() -> None:
    """The reference holds no key and gives exactly the variable's value, whatever that holds."""
    command = key_reference("A_KEY")
    assert command.startswith("!")
    value = "%s$(id)`id` 'x'"
    said = subprocess.check_output(["sh", "-c", command[1:]], env={**os.environ, "A_KEY": value})
    assert said.decode() == value


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ('{"defaultProvider": "p", "defaultModel": "a/b", "x": 1}', ModelRef("p", "a/b")),
        ('{"defaultModel": "b"}', None),
        ('{"defaultProvider": 7, "defaultModel": "b"}', None),
        ("nonsense", None),
    ],
)
def test_the_default_of_a_users_pi(tmp_path: Path, text: str, ref: ModelRef | None) -> None:
    """Only a directory that names both has one."""
    assert read_default(tmp_path) is None
    (tmp_path / "settings.json").write_text(text)
    assert read_default(tmp_path) == ref


def test_a_joined_file_takes_the_place_of_the_users(tmp_path: Path) -> None:
    """The child has a file of its own, the user's is neither linked nor touched; the login is shared."""
    for name in ("models.json", "auth.json"):
        tmp_path.joinpath(name).write_text("{}")
    made = home.make(tmp_path, b'{"providers":{}}')
    try:
        assert made.joinpath("models.json").read_bytes() == b'{"providers":{}}'
        assert not made.joinpath("models.json").is_symlink()
        assert made.joinpath("auth.json").resolve() == tmp_path / "auth.json"
        assert tmp_path.joinpath("models.json").read_text() == "{}"
    finally:
        home.remove(made)
