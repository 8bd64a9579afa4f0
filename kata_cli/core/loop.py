"""An event loop with virtual time, so that a mock run does not depend on how fast the machine is."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from kata_cli.core import collector

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: a wait for a timer becomes a jump of the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)
        self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and jumps to the next timer when nothing is ready."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return round(self._jumping.now_s, 9)


def run(main: Coroutine[Any, Any, T], *, is_virtual: bool = False) -> T:
    """Run `main` to its end, on virtual time if asked; like `asyncio.run` it cancels what is left."""
    collector.resume()
    factory = VirtualLoop if is_virtual else asyncio.SelectorEventLoop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
