"""Which credentials the agents of pi mode get, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kata_cli.app.agents import agent_keys
from kata_cli.config.credentials import CredentialFinder
from kata_cli.config.resolve import resolve
from kata_cli.core.redact import Redactor

KEY, TOKEN, OAUTH = "canary-key-0001", "canary-token-0002", "canary-oauth-0003"


def keys(home: Path, **variables: str) -> Mapping[str, Mapping[str, str]]:
    """What agents get with these variables, after a look that all of it is redacted from then on."""
    env = {"HOME": str(home), "KATA_RUNTIME_MODE": "pi", **variables}
    resolved, redactor = resolve({}, env, home), Redactor()
    given = agent_keys(resolved, CredentialFinder(env, resolved.paths, resolved), redactor)
    assert "canary" not in redactor.text(str(given))
    return given


@pytest.mark.parametrize(
    ("variables", "given"),
    [
        ({"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_OAUTH_TOKEN": OAUTH}, {"ANTHROPIC_OAUTH_TOKEN": OAUTH}),
        ({"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_OAUTH_TOKEN": " "}, {"ANTHROPIC_API_KEY": KEY}),
        ({"KATA_ANTHROPIC_API_KEY": KEY, "ANTHROPIC_OAUTH_TOKEN": OAUTH}, {"ANTHROPIC_API_KEY": KEY}),
        (
            {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_OAUTH_TOKEN": OAUTH, "KATA_AUTH_MODE": "api_key"},
            {"ANTHROPIC_API_KEY": KEY},
        ),
        ({"ANTHROPIC_AUTH_TOKEN": TOKEN}, {"ANTHROPIC_OAUTH_TOKEN": TOKEN}),
    ],
    ids=["both", "blank", "own", "mode", "token"],
)
def test_au_20_pi_gets_its_token_before_a_key(
    tmp_path: Path, variables: dict[str, str], given: dict[str, str]
) -> None:
    """AU-20: ANTHROPIC_OAUTH_TOKEN beats the vendor's other variables, and one credential is handed on."""
    assert keys(tmp_path, **variables, OPENAI_API_KEY=KEY) == {
        "anthropic": given,
        "openai": {"OPENAI_API_KEY": KEY},
    }


def test_no_key_is_no_entry(tmp_path: Path) -> None:
    """A provider without a credential is left out: Pi says itself that it has none."""
    assert keys(tmp_path) == {}
