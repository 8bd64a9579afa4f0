"""Every test here runs once per generation of Pi."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pi_real.installed import NEW, OLD, Generation, Open, Place, RawPi
from servers.vendor import VendorServer


@pytest.fixture(scope="session", params=[OLD, NEW], ids=lambda generation: generation.version)
def generation(request: pytest.FixtureRequest) -> Generation:
    found: Generation = request.param
    return found


@pytest.fixture
def opened(generation: Generation, tmp_path: Path) -> Iterator[Open]:
    """Makes a place whose vendor follows a script."""
    with ExitStack() as stack:
        yield lambda script: Place(tmp_path, generation, stack.enter_context(VendorServer(script)))


@pytest.fixture(scope="module")
def idle(generation: Generation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawPi]:
    """A live agent for commands without a prompt; whoever changes its model or level says which it needs."""
    with VendorServer([]) as server, Place(tmp_path_factory.mktemp("idle"), generation, server).rpc() as pi:
        yield pi
