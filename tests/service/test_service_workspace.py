"""The workspace: what a client names is below it, or nothing is opened."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_cli.core.errors import KataError
from kata_cli.service.workspace import MAX_FILE_BYTES, Workspace

OUTSIDE = [
    "..", "../x", "../../etc/passwd", "a/../../x", "a/..", "./..", "/", "/etc/passwd", "//etc/passwd",
    "a/../a.txt", "sub/../../secret", "~", "~/x", "\0", "a.txt\0", "a\0/b", "", ".", "./", "././.", "//",
    "absent", "absent/x", "a.txt/x", "link", "link/secret", "hop/secret", "sub/up/secret",
    "loop", "fifo", "sub", "x" * 300, "x/" * 3000, "\udcff", "CON\\..\\x", "..\\x", "%2e%2e/x", "secret.env",
]  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A tree with a file, links that lead out of it, and what is no file."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("no")
    (root / "a.txt").write_text("yes")
    (root / "secret.env").write_text("KEY=1")
    (root / "sub" / "b.txt").write_bytes(b"\xffyes")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "hop").symlink_to(tmp_path)
    (root / "sub" / "up").symlink_to("../..")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "fifo")
    return Workspace(root, lambda name: name.endswith(b".env"))


@pytest.mark.parametrize("name", OUTSIDE)
def test_f1_nothing_outside_is_read(workspace: Workspace, name: str) -> None:
    """Traversal, absolute paths, links, odd bytes and what is no file: refused as a bad request."""
    with pytest.raises(KataError) as refused:
        workspace.read("", name)
    assert (refused.value.failure.code, refused.value.failure.status) == ("usage", 400)
    assert "\0" not in refused.value.failure.message


@pytest.mark.parametrize("name", ["a.txt", "./a.txt", ".//a.txt", "a.txt/"])
def test_a_file_below_the_workspace_is_read(workspace: Workspace, name: str) -> None:
    """However it is written."""
    assert workspace.read("", name) == "yes"


def test_names_are_relative_to_the_session_s_directory(workspace: Workspace) -> None:
    """Bytes that are no UTF-8 are replaced; the directory above is not reached."""
    assert workspace.read("sub", "b.txt") == "\ufffdyes"
    with pytest.raises(KataError):
        workspace.read("sub", "../a.txt")
    with pytest.raises(KataError):
        workspace.read("..", "secret")


def test_a_file_that_is_too_long_is_refused(workspace: Workspace) -> None:
    """The limit itself is allowed."""
    path = workspace.root / "long.txt"
    path.write_bytes(b"x" * MAX_FILE_BYTES)
    assert len(workspace.read("", "long.txt")) == MAX_FILE_BYTES
    path.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(KataError):
        workspace.read("", "long.txt")


@pytest.mark.parametrize("name", ["..", "/", "a.txt", "absent", "hop", "sub/up", "link", "sub/../..", "\0"])
def test_a_directory_is_one_below_the_workspace(workspace: Workspace, name: str) -> None:
    """Not a file, not a link, not outside."""
    with pytest.raises(KataError):
        workspace.directory(name)


def test_the_root_and_what_is_below_are_directories(workspace: Workspace) -> None:
    """The empty name is the root."""
    assert workspace.directory("") == workspace.root
    assert workspace.directory("sub") == workspace.root / "sub"


@given(st.lists(st.sampled_from(["..", ".", "", "sub", "up", "hop", "link", "secret", "root", "a.txt"])))
def test_no_mixture_of_parts_leads_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    """Whatever is read is the one file below the workspace."""
    root = tmp_path_factory.mktemp("w")
    (root / "in").mkdir()
    (root / "in" / "a.txt").write_text("inside")
    (root / "a.txt").write_text("outside")
    (root / "in" / "hop").symlink_to(root)
    with suppress(KataError):
        assert Workspace(root / "in").read("", "/".join(parts)) == "inside"


def test_t3_a_lack_of_this_process_is_no_fault_of_the_client(workspace: Workspace) -> None:
    """F06: without a free descriptor a file that is there is not refused as a bad name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(KataError) as refused:
            workspace.read("", "a.txt")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.value.failure.code == "io"
