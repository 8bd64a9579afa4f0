"""Running a `key_cmd`: no shell, no stdin, bounded in time and output, nothing left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress

from kata_cli.core.errors import KataError

MAX_BYTES = 65_536


def run(argv: tuple[str, ...], timeout_s: float, source: str) -> bytes:
    """What the command prints on stdout; one that ends otherwise is killed with all its children.

    Raises `KataError` invalid_auth for a command that fails, floods or hangs. Its own messages are not
    repeated: they may hold secrets.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(argv, source, f"does not start: {error.strerror}") from None
    has_ended = False
    try:
        data = _read(child, time.monotonic() + timeout_s)
        has_ended = True
    except TimeoutError:
        raise _failed(argv, source, f"took longer than {timeout_s:g} s") from None
    except OverflowError:
        raise _failed(argv, source, f"printed more than {MAX_BYTES} bytes") from None
    finally:
        _end(child, has_ended=has_ended)
    if child.returncode != 0:
        raise _failed(argv, source, f"ended with status {child.returncode}")
    return data


def _read(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    """All output up to its end. Raises `TimeoutError` or `OverflowError` with the child still there."""
    assert child.stdout is not None
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select(_left(deadline)):
            chunk = os.read(child.stdout.fileno(), MAX_BYTES)
            data += chunk
            if len(data) > MAX_BYTES:
                raise OverflowError
            if not chunk:
                break
        else:
            raise TimeoutError
    try:
        child.wait(_left(deadline))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return data


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _end(child: subprocess.Popen[bytes], *, has_ended: bool) -> None:
    # The child is reaped only after the kill, so its process group cannot be somebody else's by now.
    if not has_ended:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert child.stdout is not None
    child.stdout.close()


def _failed(argv: tuple[str, ...], source: str, what: str) -> KataError:
    return KataError(
        "invalid_auth", f"{source}: {argv[0]} {what}", f"run {argv[0]} yourself to see why, or export the key"
    )
