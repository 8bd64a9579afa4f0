"""Bounded reading of TOML."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.core import toml
from kata_cli.core.errors import Failure, KataError


def _refusal(path: Path) -> Failure:
    with pytest.raises(KataError) as caught:
        toml.read(path)
    return caught.value.failure


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    """No file means no settings, also below something that is no directory."""
    (tmp_path / "file").touch()
    assert toml.read(tmp_path / "none.toml").table == {}
    assert toml.read(tmp_path / "file" / "none.toml").table == {}


BOMBS = {
    "array": ("x = " + "[" * 33 + "]" * 33, "nested brackets"),
    "open array": ("x = " + "[" * 300_000, "nested brackets"),
    "inline tables": ("x = " + "{a=" * 400, "nested brackets"),
    "dotted key": (".".join("k" * 17) + " = 1", "parts in a key"),
    "dotted header": ("[" + ".".join(['"k"'] * 5_000) + "]", "parts in a key"),
    "digits": ("x = " + "9" * 5_000, "not TOML"),
    "open literal": ("x = '''" + '\\"' * 200_000, "not TOML"),
    "open string": ('x = "' + '\\"' * 200_000, "not TOML"),
    "open text": ('"""' + '\\"""' * 200_000, "not TOML"),
    "size": ("#" * (toml.MAX_BYTES + 1), "at most 1048576 bytes"),
    "twice": ("a = 1\na = 2", "not TOML"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_e1_f3_f81_bombs_are_clean_errors(tmp_path: Path, bomb: str) -> None:
    """Depth, key parts, digits and size are bounded before the parser can suffer."""
    text, expected = BOMBS[bomb]
    path = tmp_path / "kata.toml"
    path.write_text(text)
    failure = _refusal(path)
    assert (failure.code, failure.exit) == ("config", 3)
    assert str(path) in failure.message
    assert expected in failure.message


def test_brackets_and_dots_in_strings_and_comments_do_not_count(tmp_path: Path) -> None:
    """Only structure is bounded, not text."""
    path = tmp_path / "kata.toml"
    deep = "[" * 50 + "." * 50
    path.write_text(
        f"# {deep}\na = \"{deep}\"\nb = '{deep}'\nc = \"\"\"\n{deep}\n\"\"\"\nd = '''\n{deep}'''\n"
    )
    assert set(toml.read(path).table) == {"a", "b", "c", "d"}


def test_brackets_that_are_closed_do_not_count(tmp_path: Path) -> None:
    """Many small arrays and tables side by side are not deep."""
    path = tmp_path / "kata.toml"
    path.write_text("x = [" + "[1], {a = 1}, " * 100 + "]\n[[t]]\n")
    assert len(toml.read(path).table["x"]) == 200


def test_many_numbers_with_dots_are_no_long_key(tmp_path: Path) -> None:
    """A list of decimals is not mistaken for a dotted key."""
    path = tmp_path / "kata.toml"
    path.write_text("x = [" + "1.5, " * 100 + "]")
    assert len(toml.read(path).table["x"]) == 100


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    """The line stands where editors look for it: right after the file."""
    path = tmp_path / "kata.toml"
    path.write_text("a = 1\nb = \n")
    assert _refusal(path).message.startswith(f"{path}:2: not TOML: ")


def test_bytes_that_are_not_utf8_are_located(tmp_path: Path) -> None:
    """The offset of the first bad byte is named."""
    path = tmp_path / "kata.toml"
    path.write_bytes(b"a = '\xff'")
    assert "byte 5 is not" in _refusal(path).message


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    """Files of other editors are read."""
    path = tmp_path / "kata.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    assert toml.read(path).table == {"a": 1, "b": 2}


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """A named pipe or a directory in place of the file cannot stop a command."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert "regular file" in _refusal(tmp_path / "pipe").message
    assert "regular file" in _refusal(tmp_path / "folder").message


def test_f03_an_unreadable_file_is_an_io_error(tmp_path: Path) -> None:
    """A file that exists but cannot be opened is exit 11, not an empty file."""
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    failure = _refusal(loop)
    assert (failure.code, failure.exit) == ("io", 11)
    assert str(loop) in failure.message


TEXT = """\
a = 1
[context]
# exclude = []
enabled = true
[providers."my-llm"]
kind = "openai"
[deep.er]
x.y = 1
inline = { z = 1 }
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("a", 1),
        ("context", 2),
        ("context.enabled", 4),
        ("context.exclude", 2),
        ("providers.my-llm", 5),
        ("providers.my-llm.kind", 6),
        ("deep", 7),
        ("deep.er.x.y", 8),
        ("deep.er.inline.z", 9),
        ("none", 0),
    ],
)
def test_the_line_of_a_key_is_found(key: str, line: int) -> None:
    """Tables, dotted and quoted keys are followed; what is not written points at the table around it."""
    assert toml.line_of(TEXT, key) == line


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """No content makes the reader fail in another way."""
    path = tmp_path_factory.mktemp("toml") / "kata.toml"
    path.write_bytes(data)
    assert _outcome(path) in ("table", "config")


def _outcome(path: Path) -> str:
    try:
        toml.read(path)
    except KataError as error:
        return error.failure.code
    return "table"
