"""One file of the index: what is read again, and what happens when two processes write it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import msgspec
import pytest
from context_project import Project

from kata_cli.context import stamps
from kata_cli.context.index import ReadPolicy
from kata_cli.context.shard import Outdated, Source, State, build, update
from kata_cli.context.stamps import Files

POLICY = ReadPolicy(200_000, ("*.skip",))
NAMES = [b"one.py", b"two.py", b"three.skip"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three files, old enough to be trusted the moment they are written."""
    monkeypatch.setattr(stamps, "RACY_NS", 0)
    made = Project(tmp_path / "p", is_git=False)
    for name in NAMES:
        made.write(name.decode(), f"parser in {name.decode()}\n")
    return made


@pytest.fixture
def file(tmp_path: Path, project: Project) -> Path:
    """A shard of all three files."""
    path = tmp_path / "cache" / "shard.db"
    build(source(project), path).close()
    return path


def source(project: Project, names: list[bytes] = NAMES) -> Source:
    """The named files of a project."""
    return Source(project.root, lambda: names, POLICY)


def rows(project: Project, file: Path, names: list[bytes] = NAMES) -> dict[bytes, int]:
    """The document number of each file after an update: a new one means that the file was read."""
    updated = update(source(project, names), file)
    updated.close()
    return dict(zip(updated.files.paths, updated.files.rows, strict=True))


def test_only_a_changed_file_is_read_again(project: Project, file: Path) -> None:
    """What is as it was keeps its document."""
    assert rows(project, file) == {b"one.py": 1, b"three.skip": 2, b"two.py": 3}
    project.write("one.py", "tokens\n")
    assert rows(project, file) == {b"three.skip": 2, b"two.py": 3, b"one.py": 4}


def test_a_change_that_keeps_size_and_mtime_is_seen(project: Project, file: Path) -> None:
    """The ctime tells, which no program can set back."""
    before = (project.root / "one.py").stat()
    project.write("one.py", "PARSER IN one.py\n")
    os.utime(project.root / "one.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rows(project, file)[b"one.py"] == 4


def test_a_young_file_is_read_each_time(
    project: Project, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change once more within one tick of the clock, and nothing would tell."""
    monkeypatch.setattr(stamps, "RACY_NS", 3_600_000_000_000)
    assert rows(project, file)[b"one.py"] == 4
    assert rows(project, file)[b"one.py"] == 7


def test_deleted_and_unlisted_files_leave_the_index(project: Project, file: Path) -> None:
    """Their postings stay behind and are ignored; their reasons go with them."""
    updated = update(source(project, [b"two.py"]), file)
    assert updated.documents("parser") == [b"two.py"]
    assert updated.files.reasons == {}
    updated.close()


def test_the_reason_of_a_file_left_out_is_kept(project: Project, file: Path) -> None:
    """A warm index accounts for what a cold one left out."""
    updated = update(source(project), file)
    updated.close()
    assert updated.files.reasons == {b"three.skip": "excluded"}


def test_t_another_process_that_writes_meanwhile_is_noticed(project: Project, file: Path) -> None:
    """Nothing of what the other one has indexed is overwritten."""
    turns: list[int] = []

    def paths() -> list[bytes]:
        turns.append(len(turns))
        if len(turns) == 1:
            assert rows(project, file)[b"one.py"] == 4
        return NAMES

    project.write("one.py", "tokens\n")
    updated = update(Source(project.root, paths, POLICY), file)
    assert updated.documents("tokens") == [b"one.py"]
    assert updated.files.rows == [2, 3, 4]
    assert len(turns) == 2
    updated.close()


def test_t_columns_of_different_length_are_no_state(project: Project, file: Path) -> None:
    """A state that decodes but cannot be true is not used."""
    broken = msgspec.msgpack.encode(State(4, Files(NAMES, [1, 2, 3], [1, 2], [9, 9, 9])))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE state SET value = ?", (broken,))
    connection.close()
    with pytest.raises(Outdated):
        update(source(project), file)
