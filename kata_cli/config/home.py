"""The one setting that commands about past work need: where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kata_cli.config import layers, trust
from kata_cli.config.layers import Layer
from kata_cli.config.paths import find_paths
from kata_cli.config.setting import Origin
from kata_cli.config.settings import SETTINGS
from kata_cli.core import toml
from kata_cli.core.errors import KataError

_DECLARED = {name: SETTINGS[name] for name in ("home", "trusted_projects")}


def find_state(home: str | None, env: Mapping[str, str], cwd: Path) -> tuple[Path, list[str]]:
    """The state directory, and warnings: what is broken in other settings does not matter here.

    `home` is the flag. The order is that of all settings; a `kata.toml` counts only where it is trusted.
    Raises `KataError`: config or io for the user's own file, io when there is no home directory.
    """
    user_file = toml.read(find_paths(env).config_file)
    trust.check_owner(user_file)
    user = _layer(user_file, "user")
    project, warnings = _project_layer(cwd, user)
    stack = [layers.from_flags(_DECLARED, {"home": home}), layers.from_env(_DECLARED, env), project, user]
    return find_paths(env, layers.pick(_DECLARED, stack, warnings)["home"].value).state, warnings


def _project_layer(cwd: Path, user: Layer) -> tuple[Layer, list[str]]:
    path = trust.project_file(cwd)
    listed = user.values.get("trusted_projects")
    if path is None or listed is None or not trust.is_listed(path.parent, listed.value):
        return Layer(values={}), []
    try:
        file = toml.read(path)
        trust.check_owner(file)
        return _layer(file, "project"), []
    except KataError as error:
        return Layer(values={}), [f"{error}; the file is ignored here"]


def _layer(file: toml.File, origin: Origin) -> Layer:
    table = {key: value for key, value in file.table.items() if key in _DECLARED}
    return layers.from_file(_DECLARED, file, table, origin)
