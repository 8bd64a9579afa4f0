"""The tasks of a mock spec, and which of them has to wait for which."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Work(msgspec.Struct, frozen=True):
    """A piece of work: who, what, where, for which requirement (from 1), and its stage.

    A `test` waits for what its requirement builds, a `check` for all that is built, a `page` for everything.
    """

    stage: Literal["build", "test", "check", "page"]
    role: str
    text: str
    path: str
    requirement: int = 1


def ordered_tasks(works: list[Work]) -> list[dict[str, Any]]:
    """The tasks as plain JSON data, in the given order; what does not wait may run at the same time."""
    tasks: list[dict[str, Any]] = []
    before: list[set[int]] = []
    for index, work in enumerate(works):
        needed = {earlier for earlier in range(index) if _waits(work, works[earlier])}
        implied: set[int] = set().union(*(before[earlier] for earlier in needed))
        before.append(needed | implied)
        tasks.append(_task(index, work, sorted(needed - implied)))
    return tasks


def _waits(work: Work, earlier: Work) -> bool:
    if work.stage == "page" or (work.path and work.path == earlier.path):
        return True
    is_own = work.requirement == earlier.requirement
    return earlier.stage == "build" and (work.stage == "check" or (work.stage == "test" and is_own))


def _task(index: int, work: Work, after: list[int]) -> dict[str, Any]:
    return {
        "id": _id(index),
        "role": work.role,
        "requirements": [f"REQ-{work.requirement:03d}"],
        "text": work.text,
        "path": work.path,
        "after": [_id(earlier) for earlier in after],
    }


def _id(index: int) -> str:
    return f"T-{index + 1:03d}"
