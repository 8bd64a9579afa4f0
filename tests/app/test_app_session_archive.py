"""The zip of a run: all evidence, no secret, the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from kata_cli.app.session_archive import archive
from kata_cli.core.redact import Redactor

CANARY = "canary-7f3b91d2aa"
FILES = {
    "events.jsonl": f'{{"a":"x {CANARY}"}}\n{{"b":"plain"}}\n'.encode(),
    "run.json": f'{{\n  "goal": "password: {CANARY}", "n": 1\n}}\n'.encode(),
    "spec.md": f"# Draft\n\n{CANARY}\n".encode(),
    "traceback.txt": b"none\n",
    "tasks/look.md": b"\xff\xfe no text at all",
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with a secret in it."""
    directory = tmp_path / "20261121-054412-k3f9q2"
    (directory / "tasks").mkdir(parents=True)
    for name, data in FILES.items():
        (directory / name).write_bytes(data)
    return directory


def opened(data: bytes) -> dict[str, bytes]:
    """The files of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as files:
        assert files.testzip() is None
        return {name: files.read(name) for name in files.namelist()}


def test_an_archive_holds_every_file_with_its_hash(run: Path) -> None:
    """All files below the name of the run, in order, and a manifest that is right."""
    files = opened(archive(run, Redactor()))
    names = [name.removeprefix(f"{run.name}/") for name in files]
    assert names == [*sorted(FILES), "manifest.json"]
    manifest = json.loads(files[f"{run.name}/manifest.json"])
    assert (manifest["schema"], manifest["run_id"]) == ("kata.archive/v1", run.name)
    for entry in manifest["files"]:
        data = files[f"{run.name}/{entry['path']}"]
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert files[f"{run.name}/tasks/look.md"] == FILES["tasks/look.md"]


def test_s1_what_the_process_knows_is_taken_out_again(run: Path) -> None:
    """S1: a key that was unknown when the run was made is in no file; JSON stays JSON, the rest as it was."""
    redactor = Redactor()
    redactor.learn(CANARY)
    files = opened(archive(run, redactor))
    assert not [name for name, data in files.items() if CANARY.encode() in data]
    assert json.loads(files[f"{run.name}/run.json"])["n"] == 1
    first, second = files[f"{run.name}/events.jsonl"].splitlines()
    assert "[redacted" in json.loads(first)["a"]
    assert second == b'{"b":"plain"}'
    assert json.loads(files[f"{run.name}/manifest.json"])["redactions"] == redactor.count > 0


def test_the_same_run_gives_the_same_bytes(run: Path) -> None:
    """Neither the clock, nor the order in the directory, nor times of files show."""
    first = archive(run, Redactor())
    for name in sorted(FILES, reverse=True):
        os.utime(run / name, (1, 1))
    assert archive(run, Redactor()) == first
    with zipfile.ZipFile(io.BytesIO(first)) as files:
        assert {entry.date_time for entry in files.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in files.infolist()} == {0o100600}


def test_f2_what_is_no_evidence_stays_outside(run: Path, tmp_path: Path) -> None:
    """F2: symlinks are not followed; half written files and the owner of the run are left out."""
    (tmp_path / "secret").write_text("s")
    (run / "link.md").symlink_to(tmp_path / "secret")
    (run / "tasks" / "all").symlink_to(tmp_path)
    (run / ".tmp-1-abcdef").write_text("half")
    (run / "owner").write_text("{}")
    names = {name.removeprefix(f"{run.name}/") for name in opened(archive(run, Redactor()))}
    assert names == {*FILES, "manifest.json"}
