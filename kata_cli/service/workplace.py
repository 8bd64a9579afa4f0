"""What live sessions work with: seams alone, and no adapter, store or setting behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.messages import ModelInfo, ModelRef
from kata_cli.core.ports import Clock, LiveProvider
from kata_cli.core.redact import Redactor
from kata_cli.core.session import CompactionEntry, Entry, Origin, Session
from kata_cli.service.workspace import Workspace

E = TypeVar("E", bound=Entry)


class OpenTree(Protocol):
    """A session tree that this process alone adds to. Each entry is durable when `append` returns."""

    @property
    def session(self) -> Session: ...

    def append(self, entry: E, *, ts: str) -> E: ...

    def close(self) -> None: ...


class Trees(Protocol):
    """The session trees on disk. Unknown ids and files in use are `KataError`s."""

    def create(
        self,
        session_id: str,
        *,
        project: str,
        ts: str,
        forked_from: Origin | None = None,
        entries: Iterable[Entry] = (),
    ) -> OpenTree: ...

    def open(self, session_id: str) -> OpenTree: ...

    def read(self, session_id: str) -> Session: ...

    def has(self, session_id: str) -> bool: ...

    def each(self) -> Iterator[Session | KataError]: ...


class Backend(Protocol):
    """The models behind the sessions, as the settings and keys of this machine allow."""

    @property
    def provider(self) -> LiveProvider: ...

    async def choose(self, model: str) -> ModelRef:
        """The model of a session that asks for `model`, or for none. Raises `KataError`, as for no key."""
        ...

    async def models(self) -> list[ModelInfo]:
        """All models that can be chosen. Raises `KataError`."""
        ...

    def system(self, session: Session) -> str:
        """What the agent is told before the conversation."""
        ...

    async def summary(self, session: Session) -> CompactionEntry | None:
        """What can stand for the path to the head; None when it holds nothing new. Raises `KataError`."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much the service takes on. Idle sessions are closed, and so is one that is `lifetime_s` old."""

    max_sessions: int = 20
    idle_s: float = 1800.0
    lifetime_s: float = 8 * 3600.0
    tool_s: float = 600.0  # how long a client may take for the result of a tool


class Workplace(msgspec.Struct, frozen=True, kw_only=True):
    """All that the sessions of one service share. `max_tokens` and `temperature` are those of an answer."""

    trees: Trees
    backend: Backend
    workspace: Workspace
    redactor: Redactor
    clock: Clock
    limits: Limits
    runtime_mode: str
    version: str
    url: str
    new_id: Callable[[float], str]
    on_bug: Callable[[BaseException], None]
    max_tokens: int | None = None
    temperature: float | None = None
    thinking: str | None = None
