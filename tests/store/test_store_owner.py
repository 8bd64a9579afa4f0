"""One owner at a time, however many ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kata_cli.core.errors import KataError
from kata_cli.store.owner import Owned, OwnerLock


def test_t4_no_two_owners_at_once(tmp_path: Path) -> None:
    """Eight contenders take and free a run as fast as they can; the file's removal opens no gap."""
    inside = threading.Lock()

    def contend(_: int) -> list[bool]:
        alone = []
        for _ in range(300):
            try:
                lock = OwnerLock.acquire(tmp_path)
            except Owned:
                continue
            is_alone = inside.acquire(blocking=False)
            alone.append(is_alone and (tmp_path / "owner").exists())
            if is_alone:
                inside.release()
            lock.release()
        return alone

    with ThreadPoolExecutor(8) as pool:
        alone = [each for contender in pool.map(contend, range(8)) for each in contender]
    assert len(alone) >= 8
    assert all(alone)
    assert list(tmp_path.iterdir()) == []


def test_t4_an_owner_is_named_even_if_its_file_is_unreadable(tmp_path: Path) -> None:
    """A lock without a legible owner still refuses."""
    lock = OwnerLock.acquire(tmp_path)
    (tmp_path / "owner").write_bytes(b"?")
    with pytest.raises(Owned, match=f"the run {tmp_path.name} is in use by another process"):
        OwnerLock.acquire(tmp_path)
    lock.release()


def test_f2_a_symlink_as_owner_file_is_refused(tmp_path: Path) -> None:
    """The lock follows no link."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    (tmp_path / "owner").symlink_to(victim)
    with pytest.raises(KataError, match="cannot lock"):
        OwnerLock.acquire(tmp_path)
    assert victim.read_bytes() == b"old"


def test_what_a_dead_owner_left_is_taken_over(tmp_path: Path) -> None:
    """A stale file says nothing; only the lock counts."""
    (tmp_path / "owner").write_bytes(b'{"pid":1,"host":"elsewhere","more":"than before, and longer"}')
    lock = OwnerLock.acquire(tmp_path)
    with pytest.raises(Owned, match=r"in use by process \d+ on "):
        OwnerLock.acquire(tmp_path)
    lock.release()
    assert list(tmp_path.iterdir()) == []
