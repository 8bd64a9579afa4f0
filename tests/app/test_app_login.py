"""What a login accepts, before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kata_cli.app.login import prepare_login
from kata_cli.app.options import Common
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.redact import Redactor


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, which is the working directory too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(home: Path, text: str, *, is_token_session: bool) -> Failure:
    """The failure that a secret in a file ends in, after a look that nothing was written or said."""
    (home / "secret").write_bytes(text.encode())
    told: list[str] = []
    with pytest.raises(KataError) as caught:
        prepare_login(
            Common(api_key_file="secret"),
            "anthropic",
            is_token_session=is_token_session,
            say=told.append,
            redactor=Redactor(),
        )
    assert [path.name for path in home.iterdir()] == ["secret"]
    assert told == []
    assert "canary" not in caught.value.failure.message + caught.value.failure.hint
    return caught.value.failure


@pytest.mark.parametrize("code", [*range(32), 127])
def test_s6_f86_no_control_character_gets_into_the_file(home: Path, code: int) -> None:
    """S6, F86: each of the 32 and DEL is refused inside a key, inside a token, and inside one in JSON."""
    secret = f"canary{chr(code)}X-Evil: 1"
    for text, is_token in ((secret, False), (secret, True), (json.dumps({"token": secret}), True)):
        failure = refused(home, text, is_token_session=is_token)
        assert (failure.code, failure.exit) == ("invalid_auth", 4)
