"""A mock run that is made again with the same id takes the place of the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kata_cli.core.errors import KataError
from kata_cli.store.atomic import FileSystem, refused, remove_tree, temporary
from kata_cli.store.journal import read_start
from kata_cli.store.locking import locked
from kata_cli.store.owner import Owned, OwnerLock


@contextmanager
def replacing(path: Path) -> Iterator[None]:
    """Only one process at a time replaces a run: each step would pull the path from under another's.

    Raises `KataError` io when another process works on the run.
    """
    with locked(path.parent):
        try:
            yield
        except Owned:
            hint = "run one after the other, or give each its own --home"
            raise KataError("io", f"another kata is writing the run {path.name}", hint) from None


def discard_mock(path: Path, fs: FileSystem) -> None:
    """Move a mock run out of the way in one step, then delete it; any other run stays.

    Raises `Owned` when another process works on it, or `KataError` io.
    """
    grave = temporary(path.parent)
    lock = OwnerLock.acquire(path)
    try:
        start = read_start(path / "events.jsonl")
        if start is None or start.runtime_mode != "mock":
            return
        fs.replace(path, grave)
    except OSError as error:
        raise refused("replace", path, error) from error
    finally:
        lock.release()
    remove_tree(grave)
