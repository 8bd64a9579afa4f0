"""`kata agents list`: each service as it is measured now, and its sessions."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Literal

import msgspec

from kata_cli.app.agents_services import SESSIONS, Asking, open_services
from kata_cli.core import loop
from kata_cli.core.errors import ErrorDocument, Failure, KataError, document
from kata_cli.providers.service_client import ServiceClient
from kata_cli.service.documents import Capabilities, Health, LiveSession, LiveSessions

State = Literal["ok", "stopping", "refused", "failing", "unreachable"]


class ServiceState(msgspec.Struct, kw_only=True):
    """A service as it answered this very call; what is not known is None.

    `refused`: it is there, but does not take the token. `failing`: it is there, and does not do what it
    should. `response_s` is the time that an answer takes over an open connection.
    """

    url: str
    state: State
    response_s: float | None = None
    version: str | None = None
    runtime_mode: str | None = None
    model: str | None = None
    workspace: str | None = None
    live: int | None = None
    running: int | None = None
    max_sessions: int | None = None
    sessions: list[LiveSession] | None = None
    warnings: list[str] = []
    error: ErrorDocument | None = None


class AgentList(msgspec.Struct, kw_only=True):
    """The services and their sessions (`kata.agents/v1`)."""

    schema: str = "kata.agents/v1"
    services: list[ServiceState]


class Listed(msgspec.Struct, frozen=True):
    """The list, and why the command failed: no service answered as it should."""

    agents: AgentList
    failure: Failure | None


def list_agents(asking: Asking) -> Listed:
    """Ask every service how it is and what it holds. Raises `KataError` for settings and token alone."""
    return loop.run(_listed(asking))


async def _listed(asking: Asking) -> Listed:
    async with aclosing(open_services(asking)) as services:
        asked = await asyncio.gather(*map(_ask, services.clients))
    failures = [failure for _, failure in asked if failure is not None]
    failure = failures[0] if len(failures) == len(asked) else None
    return Listed(AgentList(services=[state for state, _ in asked]), failure)


async def _ask(client: ServiceClient) -> tuple[ServiceState, Failure | None]:
    """How a service is, and what is wrong with it."""
    state = ServiceState(url=client.url, state="unreachable")
    try:
        await _fill(state, client)
    except KataError as error:
        if error.failure.status is not None:
            state.state = "refused" if error.failure.status == 401 else "failing"
        state.error = document(error.failure)
        return state, error.failure
    return state, None


async def _fill(state: ServiceState, client: ServiceClient) -> None:
    """Put down what the service says, answer by answer, up to the first that fails."""
    await client.get("/healthz", Health)  # connects, and loads what that takes: not the service's time
    began_s = time.monotonic()
    health = await client.get("/healthz", Health)
    state.response_s = round(time.monotonic() - began_s, 4)
    state.state = "failing"
    state.version = health.version
    state.live, state.running, state.max_sessions = health.live, health.running, health.max_sessions
    able = await client.get("/api/capabilities", Capabilities)
    state.runtime_mode, state.model, state.workspace = able.runtime_mode, able.default_model, able.workspace
    listed = await client.get(SESSIONS, LiveSessions)
    state.sessions, state.warnings = listed.sessions, listed.warnings
    state.state = health.status
