"""The instances of a run in pi mode: services elsewhere, and with `local` the agents of its own."""

from __future__ import annotations

from collections.abc import Mapping

from kata_cli.app.agents import pi_provider
from kata_cli.app.services import Address, addresses, open_client
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.resolve import Resolved
from kata_cli.config.settings import LOCAL
from kata_cli.core.ports import Clock, Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.pi.instance import Instance
from kata_cli.pi.instances import Instances
from kata_cli.providers.remote import RemotePi


def instances(
    resolved: Resolved,
    env: Mapping[str, str],
    finder: CredentialFinder,
    redactor: Redactor,
    timeouts: Timeouts,
    clock: Clock,
) -> Instances:
    """Those that the settings name, in their order; nothing is started or sent yet. Raises `KataError`."""
    services = iter(addresses(resolved))
    found = []
    for name in dict.fromkeys(resolved.settings.services):
        if name != LOCAL:
            found.append(_remote(next(services), redactor, timeouts, clock))
            continue
        pool = pi_provider(resolved, env, finder, redactor, timeouts)
        found.append(Instance(LOCAL, pool, clock.monotonic, capacity=resolved.settings.jobs))
    return Instances(found)


def _remote(address: Address, redactor: Redactor, timeouts: Timeouts, clock: Clock) -> Instance:
    service = RemotePi(open_client(address, redactor, timeouts), timeouts)
    return Instance(service.host, service, clock.monotonic, probe=service.probe)
