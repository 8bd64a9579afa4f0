"""Where kata keeps things."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from config_world import World

from kata_cli.config.paths import find_paths
from kata_cli.core.errors import KataError


def test_the_xdg_defaults_lie_below_home() -> None:
    """Config, state and cache are apart."""
    paths = find_paths({"HOME": "/h"})
    assert [paths.config, paths.state, paths.cache] == [
        Path("/h/.config/kata"),
        Path("/h/.local/state/kata"),
        Path("/h/.cache/kata"),
    ]


def test_relative_xdg_values_are_ignored() -> None:
    """The XDG rules call them invalid."""
    env = {"HOME": "/h", "XDG_CONFIG_HOME": "conf", "XDG_STATE_HOME": "", "XDG_CACHE_HOME": "/c"}
    paths = find_paths(env)
    assert (paths.config, paths.state) == (Path("/h/.config/kata"), Path("/h/.local/state/kata"))
    assert paths.cache == Path("/c/kata")


@pytest.mark.parametrize("env", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_f88_no_home_falls_back_to_the_account(env: dict[str, str]) -> None:
    """The account's entry stands in for a missing or relative HOME."""
    assert find_paths(env).config == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".config" / "kata"


def test_f88_no_home_and_no_account_is_a_clear_error() -> None:
    """A container with a bare user id learns what to export."""

    def nobody() -> str:
        raise KeyError

    with pytest.raises(KataError, match="no home directory") as caught:
        find_paths({}, home_of_user=nobody)
    assert caught.value.failure.exit == 11
    assert "export HOME=" in caught.value.failure.hint


def test_home_moves_state_only_by_flag_variable_and_key(tmp_path: Path) -> None:
    """`--home` > `KATA_HOME` > `home` > XDG."""
    world = World(tmp_path)
    world.env["XDG_STATE_HOME"] = "/xdg"
    assert world.resolve().paths.state == Path("/xdg/kata")
    world.user("home = 'runs'")
    assert world.resolve().paths.state == world.config / "runs"
    env = {"KATA_HOME": "/by-env"}
    assert world.resolve(env=env).paths.state == Path("/by-env")
    paths = world.resolve({"home": "/by-flag"}, env).paths
    assert (paths.state, paths.config) == (Path("/by-flag"), world.config)


def test_looking_for_paths_makes_no_directory(tmp_path: Path) -> None:
    """Whoever writes makes the directory; reading leaves no trace."""
    find_paths({"HOME": str(tmp_path)}, str(tmp_path / "state"))
    assert list(tmp_path.iterdir()) == []
