"""The messages of a session that wait for a turn, within bounds: each `session` event tells them all."""

from __future__ import annotations

from kata_cli.service import errors
from kata_cli.service.documents import Queue

MAX_MESSAGES = 32
MAX_CHARS = 1024 * 1024


class Waiting:
    """Steering for the next request of the turn under way, follow-ups for its end."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._steering: list[str] = []
        self._follow_ups: list[str] = []

    @property
    def told(self) -> Queue:
        return Queue(steering=list(self._steering), follow_up=list(self._follow_ups))

    @property
    def has_follow_up(self) -> bool:
        return bool(self._follow_ups)

    def steer(self, text: str) -> None:
        """Raises `KataError` busy beyond the bounds."""
        self._check(text)
        self._steering.append(text)

    def follow_up(self, text: str) -> None:
        """Raises `KataError` busy beyond the bounds."""
        self._check(text)
        self._follow_ups.append(text)

    def take_steering(self) -> list[str]:
        taken, self._steering = self._steering, []
        return taken

    def take_next(self) -> list[str]:
        """What the next turn begins with: all steering, else the first follow-up."""
        if self._steering or not self._follow_ups:
            return self.take_steering()
        return [self._follow_ups.pop(0)]

    def clear(self) -> None:
        self._steering.clear()
        self._follow_ups.clear()

    def _check(self, text: str) -> None:
        waiting = [*self._steering, *self._follow_ups]
        if len(waiting) >= MAX_MESSAGES or sum(map(len, waiting)) + len(text) > MAX_CHARS:
            raise errors.queue_full(self._session_id, len(waiting))
