"""Ctrl-C and friends: the first wakes the loop, the second is the kernel's, a watchdog ends what hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import msgspec

from kata_cli.core.errors import Failure
from kata_cli.core.stop import Stop

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 2.5


class SignalStop:
    """Turns the first signal into a stop; `emergency` is called from a thread if the end takes too long.

    `way_on` tells, at that moment, how what is stopped is gone on with; empty where it cannot be.

    The handler resets all three signals before anything else: a loop that is stuck then still dies of the
    next one, and no task is ever cancelled twice. An inherited SIG_IGN (a background job) is left alone.
    """

    def __init__(self, stop: Stop, emergency: Callable[[Failure], None], way_on: Callable[[], str]) -> None:
        self._stop = stop
        self._way_on = way_on
        self._emergency = emergency
        self._loop = asyncio.get_running_loop()
        self._installed: list[signal.Signals] = []
        self._watchdog: threading.Timer | None = None

    def install(self) -> None:
        for number in HANDLED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
                self._installed.append(number)

    def disarm(self) -> None:
        """The run is recorded; from here on a signal simply ends the process."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._reset()

    def _reset(self) -> None:
        for number in self._installed:
            signal.signal(number, signal.SIG_DFL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._reset()
        name = signal.Signals(number).name
        failure = Failure(code="interrupted", message=f"stopped by {name}", exit_code=128 + number)
        self._watchdog = threading.Timer(GRACE_S, self._end, (failure,))
        self._watchdog.daemon = True
        self._watchdog.start()
        self._loop.call_soon_threadsafe(self._request, failure)

    def _request(self, failure: Failure) -> None:
        """Stop from the loop's own thread, where what the run has come to does not change meanwhile."""
        self._stop.request(self._with_way_on(failure))

    def _end(self, failure: Failure) -> None:
        try:
            self._emergency(self._with_way_on(failure))
        finally:
            os._exit(failure.exit)

    def _with_way_on(self, failure: Failure) -> Failure:
        return msgspec.structs.replace(failure, remediation=self._way_on())
