"""Globs are what the shell's are, but bounded."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.context import globs
from kata_cli.context.globs import expand
from kata_cli.core.errors import Exit, KataError

FILES = [
    "a.txt",
    "b.py",
    ".hidden",
    "d/a.txt",
    "d/e/a.txt",
    "d/e/f.py",
    ".git/a.txt",
    "d/.e/a.txt",
    "[x]/a.txt",
]
_PARTS = st.sampled_from(
    ["**", "*", "*.txt", "?.py", "[ab]*", "[!a]*", ".*", "d", "e", ".git", "a.txt", "[[]x]"]
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files at several depths, some of them hidden."""
    root = tmp_path_factory.mktemp("tree")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@settings(max_examples=200, deadline=None)
@given(st.lists(_PARTS, min_size=1, max_size=5).map("/".join).filter(globs.is_glob))
def test_without_symlinks_a_glob_means_what_python_says(tree: Path, pattern: str) -> None:
    """The same files as the standard library finds, sorted, each once, relative or absolute."""
    found = set(glob.glob(pattern, root_dir=tree, recursive=True))
    # Not `Path.is_file`: it would drop the slash of `a.txt/`, which names no file.
    assert expand(pattern, tree) == sorted(name for name in found if os.path.isfile(f"{tree}/{name}"))
    absolute = expand(f"{tree}/{pattern}", Path("/"))
    assert absolute == [f"{tree}/{name}" for name in expand(pattern, tree)]


def test_cx14_a_directory_that_links_to_itself_ends(tmp_path: Path) -> None:
    """However often `**` is repeated, each directory is looked at once and no link to one is followed."""
    (tmp_path / "a.txt").write_text("a")
    for number in range(3):
        (tmp_path / f"loop{number}").symlink_to(tmp_path)
    (tmp_path / "b.txt").symlink_to("a.txt")
    (tmp_path / "nowhere.txt").symlink_to("nowhere.txt")
    assert expand("**/**/**/*", tmp_path) == ["a.txt", "b.txt"]
    assert expand("**/*/**/*/**/*", tmp_path) == []
    assert expand("*/*.txt", tmp_path) == []


def test_a_link_that_the_user_names_is_entered(tmp_path: Path) -> None:
    """What comes before the first wildcard is the user's own choice."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("a")
    (tmp_path / "link").symlink_to("real")
    assert expand("link/*.txt", tmp_path) == ["link/a.txt"]
    assert expand("./link/../real/*", tmp_path) == ["./link/../real/a.txt"]


def test_too_many_entries_are_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk stops, and the hint says how to narrow it."""
    for number in range(4):
        (tmp_path / f"{number}.txt").touch()
    monkeypatch.setattr(globs, "MAX_ENTRIES", 4)
    assert len(expand("**/*", tmp_path)) == 4
    monkeypatch.setattr(globs, "MAX_ENTRIES", 3)
    with pytest.raises(KataError, match="more than 3 files") as caught:
        expand("**/*", tmp_path)
    assert caught.value.failure.exit == Exit.USAGE


def test_a_home_with_glob_characters_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the user typed is one."""
    (tmp_path / "[h]").mkdir()
    (tmp_path / "[h]" / "a.txt").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "[h]"))
    assert expand("~/*.txt", tmp_path) == [f"{tmp_path}/[h]/a.txt"]
