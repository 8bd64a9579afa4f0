"""Where a command stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_cli.app.place import working_directory
from kata_cli.core.errors import KataError


def test_a_working_directory_that_was_removed_is_an_io_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell may stand in a directory that is gone: one line, no traceback."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    os.rmdir(gone)
    with pytest.raises(KataError, match="no longer exists") as caught:
        working_directory()
    assert caught.value.failure.code == "io"
