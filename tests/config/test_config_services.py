"""The services that settings name: their addresses, their token files, and whether agents run here."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8765", "http://[::1]:1/", "http://localhost", "https://agents.example", "local"]
)
def test_a_service_is_an_address_or_local(world: World, url: str) -> None:
    """Plain http on this machine, https elsewhere; `local` is the word for agents of a run's own."""
    assert world.resolve({"services": [url]}).settings.services == (url,)


@pytest.mark.parametrize(
    "url", ["http://agents.example", "agents.example:1", "https://me:word@agents.example", "https://a/?x=1"]
)
def test_any_other_address_is_refused_with_its_source(world: World, url: str) -> None:
    """A token would go there."""
    flag = world.refusal({"services": [url]})
    assert (flag.code, flag.message.startswith("--service: ")) == ("usage", True)
    variable = world.refusal(env={"KATA_SERVICE": url})
    assert (variable.code, variable.message.startswith("KATA_SERVICE: ")) == ("usage", True)
    world.user(f'services = ["{url}"]')
    assert world.refusal().code == "config"


def test_plain_http_elsewhere_takes_the_word_that_it_takes_for_providers(world: World) -> None:
    """`allow_http`, in the user's own file."""
    world.user('allow_http = true\nservices = ["http://agents.example"]')
    assert world.resolve().settings.services == ("http://agents.example",)


def test_token_files_of_a_file_are_relative_to_it(world: World) -> None:
    """As any path in a file; those of a flag are relative to where one stands."""
    world.user('service_token_file = ["token", "/abs/token"]')
    found = world.resolve().settings.service_token_file
    assert found == (str(world.user_file.parent / "token"), "/abs/token")
    assert world.resolve({"service_token_file": ["token"]}).settings.service_token_file == ("token",)


@pytest.mark.parametrize(
    ("mode", "services", "starts"),
    [
        ("pi", [], True),
        ("pi", ["http://localhost:1"], False),
        ("pi", ["http://localhost:1", "local"], True),
        ("native", [], False),
        ("mock", ["local"], False),
    ],
)
def test_a_run_starts_agents_unless_all_are_at_services(
    world: World, mode: str, services: list[str], starts: bool
) -> None:
    """Only then a Pi must be installed, and in a CI job be allowed."""
    assert world.resolve({"runtime_mode": mode, "services": services}).starts_agents is starts
