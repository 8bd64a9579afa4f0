"""One sync of a directory for all threads that wait for one: runs of a batch begin in the same two places."""

from __future__ import annotations

import threading
from pathlib import Path

from kata_cli.store.atomic import FileSystem, sync_directory


class SharedSync:
    """`sync_directory` for one directory; who comes while it is under way shares the next one."""

    def __init__(self, directory: Path, fs: FileSystem) -> None:
        self._directory = directory
        self._fs = fs
        self._asking = threading.Lock()
        self._syncing = threading.Lock()
        self._asked = 0
        self._synced = 0

    def sync(self) -> None:
        """Make all names durable that are in the directory by now. Raises `OSError`."""
        with self._asking:
            self._asked += 1
            own = self._asked
        with self._syncing:
            if self._synced >= own:
                return
            covered = self._asked  # whoever asked before the sync begins has made his name
            sync_directory(self._directory, self._fs)
            self._synced = covered
