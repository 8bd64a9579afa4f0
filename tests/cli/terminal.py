"""A terminal of the kernel's own kind, to run `kata` on."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
import tty
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from cli.shell import PROGRAM, TIMEOUT_S, Shell


class Shown(msgspec.Struct, frozen=True):
    """How a process on a terminal ended, and every byte the terminal got."""

    code: int
    screen: bytes
    stdout: bytes

    @property
    def text(self) -> str:
        return self.screen.decode()


def on_terminal(
    shell: Shell,
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    streams: str = "both",
    columns: int = 80,
) -> Shown:
    """Run `kata` with stdout, stderr or both on a terminal that adds nothing of its own to the bytes."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    termios.tcsetwinsize(slave, (24, columns))
    where: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    for name in ("stdout", "stderr"):
        if streams in (name, "both"):
            where[name] = slave
    process = subprocess.Popen(
        [PROGRAM, *args],
        env=shell.env({"TERM": "xterm-256color", **(env or {})}),
        cwd=shell.project,
        stdin=subprocess.DEVNULL,
        **where,
    )
    os.close(slave)
    screen = _all_of(master)
    stdout, _ = process.communicate(timeout=TIMEOUT_S)
    return Shown(process.returncode, screen, stdout or b"")


def _all_of(master: int) -> bytes:
    """What the terminal gets until nobody holds its other end; Linux then says EIO."""
    data = b""
    try:
        while chunk := os.read(master, 65_536):
            data += chunk
    except OSError:
        pass
    finally:
        os.close(master)
    return data
