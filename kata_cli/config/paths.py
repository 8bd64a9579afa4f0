"""Where kata keeps things, after the XDG base directory rules. Whoever writes makes the directory (0700)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from kata_cli.core.errors import KataError


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """The directories of one user: hand-written config, state (runs, sessions), and cache."""

    config: Path
    state: Path
    cache: Path

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def credentials_file(self) -> Path:
        return self.config / "credentials.toml"

    @property
    def token_file(self) -> Path:
        """The token of this machine's own service of live sessions."""
        return self.state / "serve.token"

    @property
    def models_file(self) -> Path:
        return self.config / "models.toml"


def _home_of_user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_dir


def find_paths(
    env: Mapping[str, str], home: str | None = None, *, home_of_user: Callable[[], str] = _home_of_user
) -> Paths:
    """The directories; `home` is the effective setting and moves state only.

    Relative XDG values are ignored. Raises `KataError` io when there is no home directory to fall back on.
    """
    return Paths(
        config=_xdg(env, "XDG_CONFIG_HOME", ".config", home_of_user),
        state=Path(os.path.expanduser(home)).absolute()
        if home
        else _xdg(env, "XDG_STATE_HOME", ".local/state", home_of_user),
        cache=_xdg(env, "XDG_CACHE_HOME", ".cache", home_of_user),
    )


def _xdg(env: Mapping[str, str], name: str, fallback: str, home_of_user: Callable[[], str]) -> Path:
    base = env.get(name, "")
    if not os.path.isabs(base):
        base = os.path.join(_home(env, home_of_user), fallback)
    return Path(base) / "kata"


def _home(env: Mapping[str, str], home_of_user: Callable[[], str]) -> str:
    if os.path.isabs(env.get("HOME", "")):
        return env["HOME"]
    try:
        home = home_of_user()
    except KeyError:
        home = ""
    if not os.path.isabs(home):
        raise KataError("io", "there is no home directory", "export HOME=/a/directory/of/yours")
    return home
