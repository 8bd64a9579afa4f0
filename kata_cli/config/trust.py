"""The project's `kata.toml`: finding it, and what it may set while nobody vouches for it."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from kata_cli.config.layers import Layer, rejection
from kata_cli.config.setting import Value
from kata_cli.config.settings import SETTINGS
from kata_cli.core import toml
from kata_cli.core.errors import KataError

PROJECT_FILE = "kata.toml"


def project_root(cwd: Path) -> Path:
    """The root of the repository around a directory, or the directory itself outside one."""
    return next((folder for folder in (cwd, *cwd.parents) if os.path.lexists(folder / ".git")), cwd)


def project_file(cwd: Path) -> Path | None:
    """The nearest `kata.toml` from `cwd` up to the repository root."""
    root = project_root(cwd)
    folders = [folder for folder in (cwd, *cwd.parents) if folder.is_relative_to(root)]
    return next((folder / PROJECT_FILE for folder in folders if os.path.lexists(folder / PROJECT_FILE)), None)


def is_listed(project: Path, trusted_projects: Collection[str]) -> bool:
    """Whether the user file names this very directory; its parents do not count."""
    real = os.path.realpath(project)
    return any(os.path.realpath(os.path.expanduser(path)) == real for path in trusted_projects)


def check_owner(file: toml.File) -> None:
    """Refuse a file that may name commands when somebody else could have written it. Raises config."""
    try:
        status = os.stat(file.path)
    except OSError:
        return
    if status.st_uid not in (os.geteuid(), 0):
        raise KataError("config", f"{file.path}: expected a file of yours", f"ls -l {file.path}")
    if status.st_mode & 0o002:
        raise KataError("config", f"{file.path}: everybody may write it", f"chmod o-w {file.path}")


def check_keys(file: toml.File) -> None:
    """Refuse `[providers]` and `[profiles]` of an untrusted file. Raises `KataError` config."""
    for key in ("providers", "profiles"):
        if key in file.table:
            raise _untrusted(file.source(key), "is not for a project that is not trusted", file.path)


def check_values(layer: Layer, file: toml.File) -> None:
    """Refuse what an untrusted project may not set. Raises `KataError` config with both ways on."""
    for name, value in layer.values.items():
        setting = SETTINGS[name]
        if not setting.is_trusted:
            raise _untrusted(value.source, "is not for a project that is not trusted", file.path)
        if setting.trusted_choices and value.value not in setting.trusted_choices:
            allowed = " or ".join(setting.trusted_choices)
            raise _untrusted(value.source, f"a project that is not trusted may only say {allowed}", file.path)


def check_model(model: Value | None, providers: Collection[str]) -> None:
    """Refuse a model of a provider that is neither built in nor the user's own. Raises config."""
    if model and model.value.partition("/")[0] not in providers:
        raise rejection(
            model,
            f"expected a model of {', '.join(providers)}, got {model.value!r}",
            "write it as provider/model",
        )


def check_user_only(layer: Layer) -> None:
    """Refuse keys that belong to the user file alone, trusted or not. Raises `KataError` config."""
    for name, value in layer.values.items():
        if SETTINGS[name].is_user_only:
            raise rejection(value, "belongs at the top of your own config.toml only", "move it there")


def _untrusted(source: str, message: str, path: Path) -> KataError:
    return KataError(
        "config",
        f"{source}: {message}",
        f"read the file, then use --trust-project, or add {str(path.parent)!r} to trusted_projects"
        " in your own config.toml",
    )
