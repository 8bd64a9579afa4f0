"""All runs on disk: made once, owned by one process, read by any."""

from __future__ import annotations

import os
from pathlib import Path

from kata_cli.core.errors import KataError
from kata_cli.core.records import RunRecord
from kata_cli.store import names
from kata_cli.store.atomic import FileSystem, make_dirs, refused, remove_tree, sweep
from kata_cli.store.journal import Journal
from kata_cli.store.owner import OwnerLock
from kata_cli.store.recovery import recovered
from kata_cli.store.replacing import discard_mock, replacing
from kata_cli.store.shared_sync import SharedSync
from kata_cli.store.views import read_ended


class RunDir:
    """A run that this process owns until `close`."""

    def __init__(self, path: Path, journal: Journal, lock: OwnerLock) -> None:
        self.path = path
        self.id = path.name
        self.journal = journal
        self._lock = lock

    def close(self) -> None:
        """Close the journal and give the run free."""
        self.journal.close()
        self._lock.release()


class RunStore:
    """The runs under `state_dir/runs`, one directory (0700) each."""

    def __init__(self, state_dir: Path, fs: FileSystem = os) -> None:
        self.directory = state_dir / "runs"
        self._fs = fs
        self._names = SharedSync(self.directory, fs)
        self._is_swept = False

    def create(self, run_id: str, *, replaces_finished: bool = False) -> RunDir:
        """A new run with an empty journal. Raises `KataError` io when the id is taken.

        With `replaces_finished`, a mock run of that id that nobody works on makes room.
        """
        _check_id(run_id)
        self._prepare()
        path = self.directory / run_id
        if not replaces_finished:
            return self._make(path)
        with replacing(path):
            if path.exists():
                discard_mock(self._existing(run_id), self._fs)
            return self._make(path)

    def ids(self) -> list[str]:
        """The ids of all runs, newest first."""
        try:
            found = [entry.name for entry in os.scandir(self.directory)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise refused("list", self.directory, error) from error
        return sorted(filter(names.RUN_ID.fullmatch, found), reverse=True)

    def has(self, run_id: str) -> bool:
        """Whether there is a run of this id; it may be unreadable."""
        return names.RUN_ID.fullmatch(run_id) is not None and os.path.lexists(self.directory / run_id)

    def load(self, run_id: str) -> RunRecord:
        """A run as it stands; one whose process is gone is recorded as interrupted. Raises `KataError` io."""
        path = self._existing(run_id)
        return read_ended(path) or recovered(path, self._fs)

    def _prepare(self) -> None:
        """Make the directory and sweep it, once: with many runs in it a look at each takes its time."""
        if not self._is_swept:
            make_dirs(self.directory, fs=self._fs)
            sweep(self.directory)
            self._is_swept = True

    def _existing(self, run_id: str) -> Path:
        _check_id(run_id)
        path = self.directory / run_id
        if not path.exists():
            raise KataError("usage", f"there is no run {run_id}", "kata sessions list")
        if path.is_symlink() or not path.is_dir():
            raise KataError("io", f"{path} is no directory of its own; symlinks are not followed")
        return path

    def _make(self, path: Path) -> RunDir:
        try:
            self._fs.mkdir(path, 0o700)
        except FileExistsError:
            raise KataError(
                "io", f"the run {path.name} exists already", f"kata sessions show {path.name}"
            ) from None
        except OSError as error:
            raise refused("create the run", path, error) from error
        return self._begin(path)

    def _begin(self, path: Path) -> RunDir:
        """Own a directory just made; if that fails it is removed again."""
        try:
            self._names.sync()
            return self._own(path)
        except OSError as error:
            remove_tree(path)
            raise refused("create the run", path, error) from error
        except KataError:
            remove_tree(path)
            raise

    def _own(self, path: Path) -> RunDir:
        lock = OwnerLock.acquire(path)
        try:
            return RunDir(path, Journal.create(path / "events.jsonl", self._fs), lock)
        except BaseException:
            lock.release()
            raise


def _check_id(run_id: str) -> None:
    """Refuse what is no run id before it becomes a path. Raises `KataError` usage."""
    if not names.RUN_ID.fullmatch(run_id):
        raise KataError("usage", f"{run_id[:80]!r} is no run id", "kata sessions list")
