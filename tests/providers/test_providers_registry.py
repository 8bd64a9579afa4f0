"""The registry: rows, near names, and adapters that are imported only when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kata_cli.core.errors import KataError
from kata_cli.core.ports import Credential, Endpoint, Timeouts
from kata_cli.providers import registry
from kata_cli.providers.registry import Adapter, connect, require, table


def test_ps_01_kinds_keep_their_order() -> None:
    """PS-01: rows are found by kind and listed as they were entered."""
    rows = table(Adapter(kind="b", factory="m:f"), Adapter(kind="a", factory="m:g"))
    assert list(rows) == ["b", "a"]
    assert require("a", rows).factory == "m:g"


def test_ps_02_a_kind_is_entered_once() -> None:
    """PS-02: a second row of the same kind is a mistake of the programmer."""
    with pytest.raises(ValueError, match="two adapters for the kind 'a'"):
        table(Adapter(kind="a", factory="m:f"), Adapter(kind="a", factory="m:g"))


def test_ps_03_an_unknown_kind_is_met_with_the_nearest() -> None:
    """PS-03: exit 2 and the name that was probably meant."""
    with pytest.raises(KataError, match="unknown provider kind 'antropic'") as caught:
        require("antropic")
    assert caught.value.failure.code == "usage"
    assert "anthropic" in caught.value.failure.hint


def test_ps_03_a_kind_like_no_other_is_met_with_all() -> None:
    """PS-03: without a near name the hint lists every kind."""
    with pytest.raises(KataError) as caught:
        require("zzzzzz")
    assert caught.value.failure.hint == "known kinds: anthropic, openai, mock"


def test_ps_04_each_kind_says_what_it_can_do() -> None:
    """PS-04: API keys, token sessions and listing, by kind."""
    able = {
        kind: (row.has_api_key, row.has_token_session, row.has_model_listing)
        for kind, row in registry.ADAPTERS.items()
    }
    assert able == {
        "anthropic": (True, True, True),
        "openai": (True, False, True),
        "mock": (False, False, True),
    }


def test_connect_hands_all_three_to_the_factory() -> None:
    """A factory is any callable of a module; it gets endpoint, credential and timeouts."""
    rows = table(Adapter(kind="triple", factory="builtins:slice"))
    endpoint = Endpoint(name="x", kind="triple", base_url="https://x.example")
    made: object = connect(endpoint, Credential(source="test"), Timeouts(), rows)
    assert made == slice(endpoint, Credential(source="test"), Timeouts())


@pytest.mark.parametrize("kind", list(registry.ADAPTERS))
def test_every_factory_exists(kind: str) -> None:
    """Each row names a module of this package and something callable in it."""
    from importlib import import_module

    module, _, name = registry.ADAPTERS[kind].factory.partition(":")
    assert callable(getattr(import_module(module), name))


def test_the_service_imports_no_adapter() -> None:
    """Importing the service loads neither an SDK nor an adapter, so that start-up stays short."""
    code = (
        "import sys, kata_cli.providers.service; "
        "print(sorted({'anthropic', 'openai', 'httpx2', 'pydantic', 'rich', "
        "'kata_cli.providers.anthropic', 'kata_cli.providers.openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
