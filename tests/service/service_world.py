"""The sessions of a service over a real store and the real mock provider, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kata_cli.app.session_compact import has_news, summarize
from kata_cli.config.setting import Value
from kata_cli.config.settings import SETTINGS, Settings
from kata_cli.core import loop
from kata_cli.core.clock import FixedClock
from kata_cli.core.events import Event
from kata_cli.core.messages import ModelInfo, ModelRef, Request, Tool
from kata_cli.core.ports import Credential, Endpoint, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.core.session import CompactionEntry, MessageEntry, Session
from kata_cli.providers.mock.scenario import Scenario
from kata_cli.providers.service import Policy, ProviderService
from kata_cli.service.documents import Create, Send
from kata_cli.service.log import Logged
from kata_cli.service.sessions import Sessions
from kata_cli.service.workplace import Limits, Workplace
from kata_cli.service.workspace import Workspace
from kata_cli.store.sessions import SessionStore

ENDPOINTS = {
    "openai": Endpoint(name="openai", kind="openai", base_url="http://127.0.0.1:1", default_model="gpt"),
}
T = TypeVar("T")
EPOCH_S = 1_800_000_000
LOOK_UP = Tool(name="look_up", parameters={"type": "object"})
SLOW = Scenario(latency_ms=1_000, tokens_per_s=10)


class _NoKeys:
    def find(self, endpoint: object) -> Credential:
        return Credential(kind="none")


class MockBackend:
    """A backend whose models are the mock. `asked` are the requests that reached it."""

    def __init__(self, scenario: Scenario, redactor: Redactor, clock: FixedClock) -> None:
        from kata_cli.providers.mock import MockProvider

        self.asked: list[Request] = []
        self.steer_s = 0.0  # how long it takes to say that nobody can be steered
        self._redactor = redactor
        self.service = ProviderService(
            policy=Policy(mode="mock", mode_source="flag", timeouts=Timeouts()),
            endpoints=ENDPOINTS,
            credentials=_NoKeys(),
            clock=clock,
            on_secret=redactor.learn,
            connect=lambda at, key, limits: MockProvider(at, key, limits, scenario),
            jitter=lambda: 0.0,
        )

    @property
    def provider(self) -> MockBackend:
        return self

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        events: Any = self.service.stream(request)
        async with aclosing(events):
            async for event in events:
                yield event

    async def steer(self, task: str, text: str) -> bool:
        await asyncio.sleep(self.steer_s)
        return await self.service.steer(task, text)

    async def leave(self, task: str) -> None:
        await self.service.leave(task)

    async def aclose(self) -> None:
        await self.service.aclose()

    async def choose(self, model: str) -> ModelRef:
        return self.service.choose(None, model or None).model

    async def models(self) -> list[ModelInfo]:
        return await self.service.models()

    def system(self, session: Session) -> str:
        return "Be brief."

    async def summary(self, session: Session) -> CompactionEntry | None:
        if not has_news(session):
            return None
        earlier = "\n".join(entry.text for entry in session.path() if isinstance(entry, MessageEntry))
        defaults = {name: Value(each.default, "default", "") for name, each in SETTINGS.items()}
        model = ModelRef("mock", "mock-1")
        return await summarize(self.service, Settings(defaults), model, self._redactor, earlier)


class World:
    """One workspace and one store; `run` does a scene on virtual time, each with a service of its own."""

    def __init__(self, root: Path, scenario: Scenario | None = None, **limits: Any) -> None:
        self.workspace = root / "workspace"
        self.workspace.mkdir(exist_ok=True)
        self.state = root / "state"
        self.redactor = Redactor()
        self.scenario = scenario or Scenario()
        self.limits = Limits(**limits)
        self.fs: Any = None
        self.bugs: list[BaseException] = []
        self._made = 0

    def run(self, scene: Callable[[Sessions], Awaitable[T]]) -> T:
        return loop.run(self._served(scene), is_virtual=True)

    async def _served(self, scene: Callable[[Sessions], Awaitable[T]]) -> T:
        sessions = Sessions(self.place())
        try:
            return await scene(sessions)
        finally:
            await sessions.aclose()

    def place(self) -> Workplace:
        clock = FixedClock(EPOCH_S)
        self.backend = MockBackend(self.scenario, self.redactor, clock)
        return Workplace(
            trees=SessionStore(self.state, self.fs) if self.fs else SessionStore(self.state),
            backend=self.backend,
            workspace=Workspace(self.workspace, lambda name: name.endswith(b".env")),
            redactor=self.redactor,
            clock=clock,
            limits=self.limits,
            runtime_mode="mock",
            version="0",
            url="http://127.0.0.1:1",
            new_id=self._new_id,
            on_bug=self.bugs.append,
        )

    def _new_id(self, now_s: float) -> str:
        self._made += 1
        return f"s-20270115-080000-{self._made:06d}"


async def begun(sessions: Sessions, **asked: Any) -> str:
    """The id of a new session."""
    return (await sessions.create(Create(**asked))).id


async def told(batches: Coroutine[Any, Any, AsyncGenerator[list[Logged], None]]) -> list[Logged]:
    """All events of a stream up to its end."""
    found = []
    async with aclosing(await batches) as events:
        async for batch in events:
            found += batch
    return found


def types(events: list[Logged]) -> list[str]:
    return [event.type for event in events]


def body(event: Logged) -> Any:
    return msgspec.json.decode(event.data)


async def said(sessions: Sessions, session_id: str, message: str = "What is this?") -> list[Any]:
    return await told(sessions.stream(session_id, Send(message=message), None))


def roles(sessions: Sessions, session_id: str) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in sessions.history(session_id).messages]
