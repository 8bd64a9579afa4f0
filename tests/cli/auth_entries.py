"""Credentials of a user, stored as `kata auth login` does or found there already."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

from cli.shell import Ended, Shell

KEY = "canary-key-of-mine-0001"
TOKEN = "canary-token-of-mine-0002"


def credentials(shell: Shell) -> Path:
    """The file that login owns."""
    return shell.home / ".config/kata/credentials.toml"


def stored(shell: Shell) -> dict[str, Any]:
    """What is stored, after a look that nobody else may read it."""
    path = credentials(shell)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    return tomllib.loads(path.read_text())


def login(shell: Shell, provider: str, secret: str = KEY, *flags: str, **options: Any) -> Ended:
    """Store a secret that is piped in; nothing of it is ever shown."""
    ended = shell.kata("auth", "login", provider, *flags, stdin=secret.encode(), **options)
    assert ended.stdout == b""
    assert "canary" not in ended.stderr
    return ended


def prewritten(shell: Shell, text: str = f'[openai]\napi_key = "{KEY}"\n', mode: int = 0o600) -> Path:
    """A credentials file that is there already."""
    path = credentials(shell)
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text(text)
    path.chmod(mode)
    return path


def providers(shell: Shell, *names: str) -> None:
    """More providers in the user's config file."""
    tables = [f'[providers.{name}]\nkind = "openai"\nbase_url = "https://{name}.example"' for name in names]
    path = credentials(shell).with_name("config.toml")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text("\n".join(tables))
