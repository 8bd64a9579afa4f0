"""Which Pi is run: where it is looked for, and which versions are taken."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from fake_pi.fakes import FakePi
from fake_pi.flooded import peak_kib
from kata_cli.core.errors import KataError
from kata_cli.pi import binary
from kata_cli.pi.binary import Version


def program(place: Path, mode: int = 0o755) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    path = place / "pi"
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def failure_of(configured: str, path_variable: str, cwd: Path) -> KataError:
    with pytest.raises(KataError) as caught:
        binary.find(configured, path_variable, cwd)
    assert caught.value.failure.code == "agent_unavailable"
    return caught.value


def test_the_first_on_path_is_taken(tmp_path: Path) -> None:
    """PATH is searched in order, entries that cannot be run are passed over."""
    program(tmp_path / "a", 0o644)
    second = program(tmp_path / "b")
    program(tmp_path / "c")
    path_variable = os.pathsep.join(str(tmp_path / name) for name in "abc")
    assert binary.find("", path_variable, tmp_path) == second
    assert binary.find(" pi ", path_variable, tmp_path) == second


def test_a_configured_path_is_the_only_one(tmp_path: Path) -> None:
    """An absolute path is taken as it is, and PATH is not asked when it is missing."""
    first, second = program(tmp_path / "a"), program(tmp_path / "b")
    assert binary.find(str(second), str(first.parent), tmp_path) == second
    error = failure_of(str(tmp_path / "gone"), str(first.parent), tmp_path)
    assert str(error) == f"Pi is not installed: no {tmp_path / 'gone'}"


def test_p8_nothing_of_the_project_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither `./pi`, nor a relative entry of PATH, nor the working directory on PATH is looked at."""
    program(tmp_path)
    program(tmp_path / "bin")
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    hostile = os.pathsep.join(["", ".", "bin", "./bin", "../" + tmp_path.name, str(tmp_path), str(link)])
    assert "no pi on PATH" in str(failure_of("", hostile, tmp_path))
    assert "relative" in str(failure_of("./pi", hostile, tmp_path))
    assert list(binary.absolute_entries(f"/bin:{hostile}", tmp_path)) == [Path("/bin")]


def test_f55_not_found(tmp_path: Path) -> None:
    """The message names what was looked for, the hint how to install it."""
    error = failure_of("", str(tmp_path), tmp_path / "w")
    assert str(error) == "Pi is not installed: no pi on PATH"
    assert "npm install -g @earendil-works/pi-coding-agent" in error.failure.hint


def test_f56_not_executable(tmp_path: Path) -> None:
    """A file without the permission is named, with the command that gives it."""
    path = program(tmp_path / "a", 0o644)
    error = failure_of("", str(path.parent), tmp_path)
    assert (str(error), error.failure.hint) == (f"{path} is not executable", f"chmod +x {path}")


def asked(path: Path, within_s: float = 4.0) -> Version:
    return asyncio.run(binary.version_of(path, {"PATH": os.environ["PATH"]}, within_s))


@pytest.mark.parametrize(
    ("version", "has_settled", "has_levels"),
    [("0.74.2", False, False), ("0.80.3", False, False), ("0.80.4", True, False), ("1.5.2", True, True)],
)
def test_the_version_says_what_pi_can_do(
    tmp_path: Path, version: str, has_settled: bool, has_levels: bool
) -> None:
    """It is read from either stream: old versions write it to stderr."""
    found = asked(FakePi(tmp_path, version=version).binary)
    assert str(found) == version
    assert (found.has_settled, found.has_thinking_levels) == (has_settled, has_levels)


@pytest.mark.parametrize(
    ("fake", "words", "hint"),
    [
        ({"version": "0.74.1"}, "is older than 0.74.2", "update Pi"),
        ({"fault": "no-version"}, "--version ended with 1: no version here", "install Pi"),
        ({"version": "a.b"}, "--version ended with 1: ", "install Pi"),
    ],
)
def test_a_version_that_cannot_be_used(tmp_path: Path, fake: dict[str, Any], words: str, hint: str) -> None:
    """Too old, or none at all: refused, with what to do."""
    with pytest.raises(KataError) as caught:
        asked(FakePi(tmp_path, **fake).binary)
    assert words in str(caught.value)
    assert caught.value.failure.hint.startswith(hint)


def test_a_version_that_never_comes(tmp_path: Path) -> None:
    """The question has a time limit, and the process it was put to is ended."""
    with pytest.raises(KataError, match=r"--version did not answer within 0.05 s"):
        asked(FakePi(tmp_path, fault="slow-version").binary, 0.05)


@pytest.mark.parametrize(
    ("mega_bytes", "within_s", "words"),
    [(1, 5.0, "--version ended with 0: zzz"), (2**20, 0.5, "--version did not answer within 0.5 s")],
)
def test_he_04_a_flood_instead_of_a_version(
    tmp_path: Path, mega_bytes: int, within_s: float, words: str
) -> None:
    """No more than the beginning of either stream is kept, and the time limit holds while more comes."""
    before_kib = peak_kib()
    with pytest.raises(KataError, match=words) as caught:
        asked(FakePi(tmp_path, fault="flood-version", mega_bytes=mega_bytes).binary, within_s)
    assert len(str(caught.value)) < 500
    assert peak_kib() - before_kib < 8 * 1024


def test_a_version_is_a_line_of_its_own(tmp_path: Path) -> None:
    """A warning of node's that names another version is passed over, on either stream."""
    path = program(tmp_path)
    path.write_text("#!/bin/sh\necho 'node 22.1.0 warns' >&2\necho 'use 9.9.9'\necho 0.87.1 >&2\n")
    assert str(asked(path)) == "0.87.1"


@pytest.mark.parametrize("text", ["not a program", "#!/no/such/interpreter\n"])
def test_f56_not_a_program(tmp_path: Path, text: str) -> None:
    """What the system cannot run is an error of ours, not a traceback."""
    path = program(tmp_path)
    path.write_text(text)
    with pytest.raises(KataError, match="cannot start"):
        asked(path)
