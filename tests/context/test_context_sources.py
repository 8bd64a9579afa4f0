"""Files named with `-f` (F4, F87)."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kata_cli.context.sources import select
from kata_cli.core.errors import Exit, KataError

MAX_BYTES = 1_048_576


def hint(name: str, data: bytes, cwd: Path) -> str:
    """The next command when a file of these bytes is named."""
    (cwd / name).write_bytes(data)
    with pytest.raises(KataError) as caught:
        select((name,), cwd, MAX_BYTES)
    return caught.value.failure.hint


def failure(pattern: str, cwd: Path) -> tuple[int, str]:
    """How selecting a pattern ends."""
    with pytest.raises(KataError) as caught:
        select((pattern,), cwd, MAX_BYTES)
    return caught.value.failure.exit, caught.value.failure.message


def test_globs_are_sorted_recursive_and_without_repetition(tmp_path: Path) -> None:
    """`**` reaches into directories; each file comes once, where it was first named."""
    for name in ("b.txt", "a.txt", "deep/er/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = select(("b.txt", "**/*.txt"), tmp_path, MAX_BYTES)
    assert [file.name for file in found.files] == ["b.txt", "a.txt", "deep/er/c.txt"]


def test_a_file_outside_the_project_keeps_its_given_name(tmp_path: Path) -> None:
    """The user named it, so it is read, and shown as named."""
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "project").mkdir()
    found = select(("../notes.txt",), tmp_path / "project", MAX_BYTES)
    assert [(file.name, file.text) for file in found.files] == [("../notes.txt", "hello")]


def test_cx14_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quoted globs and paths reach kata with the tilde in them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes.txt").write_text("hello")
    assert select(("~/notes.txt",), tmp_path / "gone", MAX_BYTES).files[0].text == "hello"


def test_a_name_with_glob_characters_that_exists_is_that_file(tmp_path: Path) -> None:
    """`[id].ts` is a usual name of a route."""
    (tmp_path / "[id].ts").write_text("route")
    assert select(("[id].ts",), tmp_path, MAX_BYTES).files[0].text == "route"


def test_sc02_a_glob_leaves_secrets_out_and_a_plain_name_does_not(tmp_path: Path) -> None:
    """Only who names a sensitive file itself gets it."""
    (tmp_path / "server.key").write_text("k")
    (tmp_path / "a.txt").write_text("a")
    found = select(("*",), tmp_path, MAX_BYTES)
    assert ([file.name for file in found.files], found.sensitive) == (["a.txt"], ["server.key"])
    assert select(("server.key",), tmp_path, MAX_BYTES).files[0].text == "k"


def test_f4_bom_and_crlf_are_taken_off(tmp_path: Path) -> None:
    """What an editor on another system adds is no content."""
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert select(("a.txt",), tmp_path, MAX_BYTES).files[0].text == "one\ntwo\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"caf\xe9", "f.txt: not UTF-8 at byte 3"),
        (b"\xef\xbb\xbfcaf\xe9", "f.txt: not UTF-8 at byte 6"),
        (b"a\0b", "f.txt: is binary, not text"),
        (b"x" * (2 * MAX_BYTES), "f.txt: 2,097,152 bytes, at most 1,048,576 are taken"),
    ],
)
def test_f4_f87_what_is_no_text_of_fair_size_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """F4, F87: exit 11, with the byte offset or the size."""
    (tmp_path / "f.txt").write_bytes(data)
    assert failure("f.txt", tmp_path) == (Exit.IO, message)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    """A missing file or a directory cannot be read; a glob without a match is a wrong argument."""
    (tmp_path / "folder").mkdir()
    assert failure("gone.txt", tmp_path) == (Exit.IO, "gone.txt: No such file or directory")
    assert failure("folder", tmp_path) == (Exit.IO, "folder: is not a regular file")
    assert failure("*.rs", tmp_path)[0] == Exit.USAGE
    assert failure("nul\0.txt", tmp_path)[0] == Exit.USAGE


@pytest.mark.parametrize("name", ["a b;id.txt", "$(id)", "-it's"])
def test_f4_a_hint_can_be_pasted_whatever_the_name(tmp_path: Path, name: str) -> None:
    """A shell that is given the hint sees the name as one word, and runs nothing of it."""
    words = shlex.split(hint(name, b"caf\xe9", tmp_path))
    assert words == ["iconv", "-t", "UTF-8", "<", name, ">", f"{name}.utf8"]
    words = shlex.split(hint(name, b"x" * (2 * MAX_BYTES), tmp_path))
    assert words == ["head", "-c", "400000", "<", name, "|", "kata", "run", "…"]


def test_the_hint_of_a_glob_without_match_lists_where_it_looked(tmp_path: Path) -> None:
    """The directory before the first wildcard, quoted."""
    for pattern, command in [("*.rs", "ls ."), ("my src/*.rs", "ls 'my src/'")]:
        with pytest.raises(KataError) as caught:
            select((pattern,), tmp_path, MAX_BYTES)
        assert caught.value.failure.hint == command


def test_an_empty_name_is_said_to_be_empty(tmp_path: Path) -> None:
    """`-f "$UNSET"` is a usual slip."""
    assert failure("", tmp_path) == (Exit.USAGE, "an empty name was given to -f")


def test_a_tilde_before_a_name_with_glob_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home is expanded before kata asks whether that file exists."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "[id].ts").write_text("route")
    assert select(("~/[id].ts",), tmp_path / "gone", MAX_BYTES).files[0].text == "route"
