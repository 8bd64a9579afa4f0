"""Whole files or nothing, whichever system call fails."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_fs import ERRNOS, FaultyFs, torture

from kata_cli.core.errors import KataError
from kata_cli.store.atomic import make_dirs, sweep, write_file

SAVER = """
import sys
from itertools import count
from pathlib import Path
from kata_cli.store.atomic import write_file
for number in count(int(sys.argv[2])):
    write_file(Path(sys.argv[1]), f"{number}\\n".encode() * 5000)
    print(number, flush=True)
"""

OLD, NEW = b"old content\n", b"new content, longer\n"


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("fault", ERRNOS)
def test_f01_to_f10_each_failing_call_of_a_save_leaves_old_or_new(
    tmp_path: Path, fault: str, short: bool
) -> None:
    """ENOSPC, EIO, EACCES, EROFS, EINTR, EMFILE at every call, writes short or whole: no tear, no stray."""
    path = tmp_path / "run.json"
    path.write_bytes(OLD)

    def check(error: KataError | None) -> None:
        content = path.read_bytes()
        assert content in (OLD, NEW)
        assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
        if error is None:
            assert content == NEW
        else:
            reason = os.strerror(ERRNOS[fault])
            assert str(error) == f"cannot write {path}: {reason}"
            assert error.failure.exit == 11
        path.write_bytes(OLD)

    calls = torture(lambda fs: write_file(path, NEW, fs=fs), check, ERRNOS[fault], short=short)
    assert calls >= (13 if short else 8)


def test_f05_an_interrupted_write_is_continued(tmp_path: Path) -> None:
    """EINTR from write itself is no failure."""
    fs = FaultyFs(2, errno.EINTR)
    write_file(tmp_path / "a", NEW, fs=fs)
    assert fs.calls[:3] == ["open", "write", "write"]
    assert (tmp_path / "a").read_bytes() == NEW


def test_f08_f10_file_and_directory_are_synced_in_this_order(tmp_path: Path) -> None:
    """The content is durable before the name, the name before the call returns."""
    fs = FaultyFs()
    write_file(tmp_path / "a", NEW, fs=fs)
    assert fs.calls == ["open", "write", "fsync", "close", "replace", "open", "fsync", "close"]


def test_f2_a_symlink_at_the_target_is_replaced(tmp_path: Path) -> None:
    """What the link points to stays untouched."""
    victim = tmp_path / "victim"
    victim.write_bytes(OLD)
    (tmp_path / "a").symlink_to(victim)
    write_file(tmp_path / "a", NEW)
    assert victim.read_bytes() == OLD
    assert not (tmp_path / "a").is_symlink()


def test_modes_are_private_whatever_the_umask_allows(tmp_path: Path) -> None:
    """Files 0600, directories 0700, parents included."""
    before = os.umask(0)
    try:
        make_dirs(tmp_path / "a" / "b")
        write_file(tmp_path / "a" / "b" / "c", NEW)
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/c")]
    assert modes == [0o700, 0o700, 0o600]


def test_make_dirs_is_idempotent_and_refuses_a_file(tmp_path: Path) -> None:
    """An existing directory is fine, a file in its place is an io error."""
    make_dirs(tmp_path)
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(KataError, match=r"cannot create the directory .*: File exists"):
        make_dirs(tmp_path / "file")
    with pytest.raises(KataError, match=r"cannot create the directory .*below: "):
        make_dirs(tmp_path / "file" / "below")


def test_make_dirs_may_be_raced(tmp_path: Path) -> None:
    """Two processes that make the same directory at once both succeed."""

    class Raced(FaultyFs):
        def mkdir(self, path: Path, mode: int = 0o777) -> None:
            path.mkdir()
            super().mkdir(path, mode)

    make_dirs(tmp_path / "a" / "b", fs=Raced())
    assert (tmp_path / "a" / "b").is_dir()


def test_e13_sweep_removes_what_dead_processes_left(tmp_path: Path) -> None:
    """Temporary files and directories of a dead pid go; those of live ones and foreign names stay."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".tmp-{dead.pid}-abc123").write_bytes(OLD)
    (tmp_path / f".tmp-{dead.pid}-dir123").mkdir()
    (tmp_path / f".tmp-{dead.pid}-dir123" / "file").write_bytes(OLD)
    kept = {f".tmp-{os.getpid()}-abc123", ".tmp-notes", "run.json", ".tmp-1-abc123"}
    for name in kept:
        (tmp_path / name).write_bytes(OLD)
    sweep(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == kept


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_t1_f11_sigkill_during_saves_tears_nothing(tmp_path: Path, kills: int) -> None:
    """The file is whole and at least as new as what was acknowledged; strays go with the next sweep."""
    path, number = tmp_path / "a", 0
    rng = random.Random(kills)
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path), str(number)], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            for _ in range(rng.randrange(1, 20)):
                child.stdout.readline()
            child.kill()
            rest = [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
        saved = path.read_bytes().split()
        assert len(saved) == 5000
        assert len(set(saved)) == 1
        assert int(saved[0]) >= max(int(line) for line in [*rest, b"0"])
        number = int(saved[0]) + 1
        sweep(tmp_path)
        assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
