"""The provider service of a command: live, or answering from a record."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kata_cli.app.known_secrets import learn_environment
from kata_cli.app.prices import price_list
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.endpoints import host_of
from kata_cli.config.resolve import Resolved
from kata_cli.core.clock import SystemClock
from kata_cli.core.exchange import Exchange
from kata_cli.core.messages import ModelRef, Usage
from kata_cli.core.ports import Clock, Credential, Endpoint, Provider, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.providers import registry
from kata_cli.providers.budget import Account, Limits
from kata_cli.providers.mock import MockProvider
from kata_cli.providers.mock.scenario import Scenario
from kata_cli.providers.service import MOST_REQUESTS, Policy, ProviderService

if TYPE_CHECKING:
    from kata_cli.pi.options import LiveOptions


def open_service(
    resolved: Resolved,
    env: Mapping[str, str],
    *,
    clock: Clock,
    redactor: Redactor,
    api_key_file: str | None = None,
    scenario: Scenario | None = None,
    spent: Usage = Usage(),  # noqa: B008 - frozen
    most_requests: int = MOST_REQUESTS,
    live_agents: LiveOptions | None = None,
) -> ProviderService:
    """The provider service of a command, with the timeouts, fallbacks and limits of its settings.

    `spent` counts towards the limits: a resumed run goes on with the budget that is left. With `live_agents`
    an agent of pi mode is kept for each conversation, that is, for each task.

    The redactor learns every key that the environment holds, asked for or not, and those that are found.
    """
    learn_environment(redactor, resolved, env)
    key_file = Path(api_key_file) if api_key_file else None
    finder = CredentialFinder(env, resolved.paths, resolved, key_file)
    return ProviderService(
        policy=_policy(resolved, hosts=tuple(map(host_of, resolved.settings.services))),
        endpoints=resolved.endpoints,
        credentials=finder,
        clock=clock,
        on_secret=redactor.learn,
        account=_account(resolved, spent),
        connect=_connector(resolved, env, finder, redactor, clock, scenario, live_agents),
        # Retries of a run on fixed time must take the same time in every run.
        jitter=random.random if isinstance(clock, SystemClock) else lambda: 0.0,
        most_requests=most_requests,
    )


def open_replay(resolved: Resolved, exchanges: list[Exchange], clock: Clock, spent: Usage) -> ProviderService:
    """A service that sends nothing: a record answers for every provider in it, and no wait is kept.

    Limits hold as they did then: they shape the requests, and may have ended the run.
    """
    from kata_cli.providers.replay import ReplayKeys, ReplayProvider, endpoints_of

    provider = ReplayProvider(exchanges)
    return ProviderService(
        policy=_policy(resolved),
        endpoints={**resolved.endpoints, **endpoints_of(exchanges)},
        credentials=ReplayKeys(),
        clock=clock,
        on_secret=lambda secret: None,
        account=_account(resolved, spent),
        connect=lambda endpoint, credential, timeouts: provider,
        sleep=lambda delay_s: asyncio.sleep(0),
        is_paced=False,
    )


def _account(resolved: Resolved, spent: Usage) -> Account:
    settings = resolved.settings
    limits = Limits(tokens=settings.token_budget, cost_usd=settings.max_cost)
    return Account(price_list(resolved.endpoints, settings.runtime_mode), limits, spent)


def _policy(resolved: Resolved, hosts: tuple[str, ...] = ()) -> Policy:
    settings = resolved.settings
    return Policy(
        mode=settings.runtime_mode,
        mode_source=resolved.mode_source,
        timeouts=Timeouts(
            connect_s=settings.connect_timeout,
            first_byte_s=settings.first_byte_timeout,
            idle_s=settings.idle_timeout,
            request_s=settings.request_timeout,
        ),
        fallbacks=tuple(ModelRef.parse(text) for text in settings.fallback),
        hosts=hosts,
    )


def _connector(
    resolved: Resolved,
    env: Mapping[str, str],
    finder: CredentialFinder,
    redactor: Redactor,
    clock: Clock,
    scenario: Scenario | None,
    live_agents: LiveOptions | None,
) -> Callable[[Endpoint, Credential, Timeouts], Provider]:
    def connect(endpoint: Endpoint, credential: Credential, timeouts: Timeouts) -> Provider:
        if endpoint.kind == "mock":
            return MockProvider(endpoint, credential, timeouts, scenario)
        if endpoint.kind == "pi" and resolved.settings.services and live_agents is None:
            from kata_cli.app.instances import instances

            return instances(resolved, env, finder, redactor, timeouts, clock)
        if endpoint.kind == "pi":
            from kata_cli.app.agents import pi_provider

            return pi_provider(resolved, env, finder, redactor, timeouts, live_agents)
        return registry.connect(endpoint, credential, timeouts)

    return connect
