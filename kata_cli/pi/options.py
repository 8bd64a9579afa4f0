"""How Pi is found, confined and limited; all of it comes from settings, nothing from the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

READ_ONLY_TOOLS = ("read", "grep", "find", "ls")


def _unchanged(text: str) -> str:
    return text


class Purpose(NamedTuple):
    """What an agent is started for: the provider whose key it gets, and perhaps one conversation.

    The empty provider stands for all keys, where none is used; without a `directory` it works where the
    options say.
    """

    provider: str
    task: str = ""
    directory: Path | None = None


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How agents live on between the requests of a conversation.

    `directory_of` says where the agent of a conversation works, by its task, or raises `KataError`; at most
    `max_instances` of them are alive, of which those that rest give way to others, the longest at rest first.
    """

    directory_of: Callable[[str], Path]
    max_instances: int


class PiOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`environ` is what the child's few variables are taken from, and where PATH is read.

    `keys` holds, for each of Pi's providers, the variables that carry its key; a child gets only those of the
    provider that it is started for. `agent_dir` is the user's own Pi directory, whose login and models.json
    are then used; `models`, where it is not empty, is the models.json of every child instead of the user's.
    `redact` is applied to what the child says on stderr.
    """

    cwd: Path
    environ: Mapping[str, str]
    binary: str = ""  # an absolute path, or a name to be found on PATH; empty means `pi`
    tools: tuple[str, ...] = READ_ONLY_TOOLS
    agent_dir: Path | None = None
    models: bytes = b""
    has_extensions: bool = False
    keys: Mapping[str, Mapping[str, str]] = {}
    redact: Callable[[str], str] = _unchanged
    max_instances: int = 4
    start_s: float = 10.0
    command_s: float = 10.0
    ping_after_s: float = 60.0
    ping_s: float = 5.0

    @property
    def may_run_programs(self) -> bool:
        """Whether agents have tools that start programs, which could outlive them."""
        return self.has_extensions or not set(self.tools) <= set(READ_ONLY_TOOLS)
