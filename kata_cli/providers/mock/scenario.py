"""What a scenario file scripts: how fast the mock provider is, and how it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.toml import read

FaultKind = Literal[
    "rate_limited",
    "provider_unavailable",
    "invalid_auth",
    "session_expired",
    "truncated",
    "empty",
    "bad_schema",
    "task_failed",
    "stall",
    "crash",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scripted failure: the first `times` requests of `task` (an id, or `*` for every task) get it."""

    task: str = "*"
    kind: FaultKind
    times: int = 1
    retry_after_s: float | None = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mock provider's behaviour. With `keywords`, `fail` and `delegate-fail` in a goal act."""

    latency_ms: float = 0.0
    tokens_per_s: float = 0.0
    keywords: bool = False
    faults: list[Fault] = []


def read_scenario(path: Path) -> Scenario:
    """A scenario file. Raises `KataError`: io when there is none, config naming file and key."""
    if not path.exists():
        raise KataError("io", f"there is no scenario file {path}")
    file = read(path)
    try:
        return msgspec.convert(file.table, Scenario)
    except msgspec.ValidationError as error:
        reason, _, key = str(error).partition(" - at `$.")
        raise file.error(key.rstrip("`"), reason[:1].lower() + reason[1:]) from error
