"""Threads that share the syncs of a directory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier

import pytest
from faulty_fs import FaultyFs

from kata_cli.store.shared_sync import SharedSync

THREADS, TURNS = 6, 40


class Timed(FaultyFs):
    """Notes when each sync began and ended, on a clock that ticks with every look."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = count()
        self.syncs: list[tuple[int, int]] = []

    def fsync(self, fd: int) -> None:
        began = next(self.clock)
        super().fsync(fd)
        self.syncs.append((began, next(self.clock)))


def test_nobody_returns_before_a_sync_that_began_after_he_asked(tmp_path: Path) -> None:
    """A sync that was under way may have missed the name: only one from its beginning on counts."""
    fs = Timed()
    shared, start = SharedSync(tmp_path, fs), Barrier(THREADS)

    def ask() -> list[tuple[int, int]]:
        start.wait()
        waits = []
        for _ in range(TURNS):
            asked = next(fs.clock)
            shared.sync()
            waits.append((asked, next(fs.clock)))
        return waits

    with ThreadPoolExecutor(THREADS) as pool:
        asking = [pool.submit(ask) for _ in range(THREADS)]
        waits = [wait for each in asking for wait in each.result()]
    assert len(fs.syncs) <= len(waits) == THREADS * TURNS
    assert all(
        any(asked < began and ended < returned for began, ended in fs.syncs) for asked, returned in waits
    )


def test_f10_a_refused_sync_is_no_sync(tmp_path: Path) -> None:
    """F10: whoever asks after a sync that failed has one made for him."""
    fs = FaultyFs(fail_at=2)
    shared = SharedSync(tmp_path, fs)
    with pytest.raises(OSError, match="Input/output"):
        shared.sync()
    shared.sync()
    assert fs.calls.count("fsync") == 2
