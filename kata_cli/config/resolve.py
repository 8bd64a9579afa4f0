"""Every setting with its effective value and origin, decided once per command.

Order: flag, variable, `--profile`, project file, user file, default. A profile is a table of the user
file that the user names on the command line, so it stands above both files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.config import endpoints, layers, trust
from kata_cli.config.endpoints import ProviderEntry
from kata_cli.config.layers import Layer
from kata_cli.config.paths import Paths, find_paths
from kata_cli.config.setting import Origin, Value
from kata_cli.config.settings import LOCAL, PI_JOBS, SETTINGS, Settings
from kata_cli.config.values import nearest
from kata_cli.core import toml
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Endpoint

_TABLES = ("providers", "profiles")
_OTHER_VARIABLES = ("KATA_DEBUG",)


class Resolved(msgspec.Struct, kw_only=True):
    """The outcome: settings, providers, directories, and what the user should hear about them.

    `project_file` is the `kata.toml` in use, if any; `project_root` the repository or working directory.
    """

    settings: Settings
    providers: dict[str, ProviderEntry]
    paths: Paths
    project_root: Path
    project_file: Path | None
    is_trusted: bool
    warnings: list[str]

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        return {name: entry.endpoint for name, entry in self.providers.items()}

    @property
    def mode_source(self) -> str:
        """Who chose the runtime mode: flag, env, project, user or default; a profile is the user's."""
        origin = self.settings.origins["runtime_mode"].origin
        return "user" if origin == "profile" else origin

    @property
    def starts_agents(self) -> bool:
        """Whether a run starts Pi itself: in pi mode, unless all its agents run at services."""
        services = self.settings.services
        return self.settings.runtime_mode == "pi" and (not services or LOCAL in services)


class Row(msgspec.Struct, frozen=True):
    """One line of `kata config show`."""

    name: str
    value: Any
    origin: str
    source: str


def resolve(
    flags: Mapping[str, Any],
    env: Mapping[str, str],
    cwd: Path,
    *,
    profile: str | None = None,
    is_isolated: bool = False,
    trusts_project: bool = False,
) -> Resolved:
    """Settings, providers and directories for one command.

    `flags` maps setting names to what was given, None where a flag was not; `cwd` is absolute.
    `is_isolated` ignores both files. Raises `KataError`: usage for a flag or variable, config for a file,
    io when one cannot be read or there is no home directory.
    """
    warnings: list[str] = []
    user = _user_file(find_paths(env).config_file, is_isolated=is_isolated)
    user_layer = _layer(user, "user")
    path = None if is_isolated else trust.project_file(cwd)
    project = toml.read(path) if path else toml.File(cwd / trust.PROJECT_FILE)
    is_trusted = trusts_project or _is_listed(project, user_layer)
    project_layer = _project_layer(project, is_trusted=is_trusted)
    stack = [
        layers.from_flags(SETTINGS, flags),
        layers.from_env(SETTINGS, env),
        *([_profile_layer(user, profile)] if profile else []),
        project_layer,
        user_layer,
    ]
    settings = Settings(_adjusted(layers.pick(SETTINGS, stack, warnings)))
    files: list[tuple[Origin, toml.File]] = [("user", user)]
    if is_trusted:
        files.insert(0, ("project", project))
    providers = endpoints.build(files, env, allows_http=settings.allow_http)
    _check_provider(settings, providers)
    _check_services(settings)
    if not is_trusted and settings.provider is None:
        trust.check_model(project_layer.values.get("model"), providers)
    return Resolved(
        settings=settings,
        providers=providers,
        paths=find_paths(env, settings.home),
        project_root=trust.project_root(cwd),
        project_file=path,
        is_trusted=is_trusted,
        warnings=warnings + _unknown_variables(env, providers),
    )


def describe(resolved: Resolved) -> list[Row]:
    """All settings with their origins, for `kata config show`. Holds no secrets."""
    rows = [_row(SETTINGS[name].key, value) for name, value in resolved.settings.origins.items()]
    for name, entry in resolved.providers.items():
        rows += [_row(f"providers.{name}.{key}", value) for key, value in _shown(entry).items()]
    return rows


def _user_file(path: Path, *, is_isolated: bool) -> toml.File:
    if is_isolated:
        return toml.File(path)
    file = toml.read(path)
    trust.check_owner(file)
    return file


def _layer(file: toml.File, origin: Origin) -> Layer:
    table = {key: value for key, value in file.table.items() if key not in _TABLES}
    return layers.from_file(SETTINGS, file, table, origin)


def _is_listed(project: toml.File, user: Layer) -> bool:
    listed = user.values.get("trusted_projects")
    return listed is not None and trust.is_listed(project.path.parent, listed.value)


def _project_layer(file: toml.File, *, is_trusted: bool) -> Layer:
    if is_trusted:
        trust.check_owner(file)
    else:
        trust.check_keys(file)
    layer = _layer(file, "project")
    trust.check_user_only(layer)
    if "profiles" in file.table:
        raise file.error("profiles", "profiles belong into your own config.toml only", "move it there")
    if not is_trusted:
        trust.check_values(layer, file)
        layer.is_limited = True
    return layer


def _profile_layer(user: toml.File, profile: str) -> Layer:
    profiles = user.table.get("profiles", {})
    table = profiles.get(profile) if isinstance(profiles, dict) else None
    if not isinstance(table, dict):
        near = nearest(profile, profiles)
        raise KataError(
            "usage",
            f"--profile: no profile {profile!r} in {user.path}{near}",
            f"add [profiles.{profile}] there",
        )
    layer = layers.from_file(SETTINGS, user, table, "profile", f"profiles.{profile}.")
    trust.check_user_only(layer)
    return layer


def _adjusted(values: dict[str, Value]) -> dict[str, Value]:
    if values["runtime_mode"].value == "pi" and values["jobs"].origin == "default":
        return values | {"jobs": Value(PI_JOBS, "default", "default of pi mode")}
    return values


def _check_provider(settings: Settings, providers: Mapping[str, ProviderEntry]) -> None:
    # In pi mode the provider is one of Pi's own, which kata cannot know.
    if settings.provider is None or settings.provider in providers or settings.runtime_mode == "pi":
        return
    known = f"expected one of {', '.join(providers)}, got {settings.provider!r}"
    near = nearest(settings.provider, providers)
    raise layers.rejection(
        settings.origins["provider"],
        known + near,
        "kata models list, or define it below [providers] in your config",
    )


def _check_services(settings: Settings) -> None:
    for url in settings.services:
        try:
            if url != LOCAL:
                endpoints.check_url(url, allows_http=settings.allow_http)
        except ValueError as error:
            hint = "--service http://127.0.0.1:8765"
            raise layers.rejection(settings.origins["services"], str(error), hint) from None


def _unknown_variables(env: Mapping[str, str], providers: Mapping[str, ProviderEntry]) -> list[str]:
    known = {variable for setting in SETTINGS.values() for variable in layers.variables(setting)}
    known |= {endpoints.key_variable(name) for name in providers}
    known |= {variable for entry in providers.values() for variable in entry.key_vars}
    known |= set(_OTHER_VARIABLES)
    unknown = sorted(name for name in env if name.startswith("KATA_") and name not in known)
    return [f"unknown variable {name} is ignored{nearest(name, sorted(known))}" for name in unknown]


def _row(name: str, value: Value) -> Row:
    return Row(name, value.value, value.origin, value.source)


def _shown(entry: ProviderEntry) -> dict[str, Value]:
    """The provider's settings as they work out; of a command only its name, as arguments may be private."""
    endpoint = entry.endpoint
    effective = {
        "api": endpoint.api,
        "base_url": endpoint.base_url,
        "requires_key": endpoint.requires_key,
    }
    shown = {}
    for key, value in entry.origins.items():
        if key == "key_cmd" and value.value:
            value = msgspec.structs.replace(value, value=(value.value[0], *["…"] * (len(value.value) > 1)))
        shown[key] = msgspec.structs.replace(value, value=effective.get(key, value.value))
    return shown
