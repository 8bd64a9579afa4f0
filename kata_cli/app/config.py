"""What `kata config show` needs."""

from __future__ import annotations

import os

import msgspec

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.config.resolve import Row, describe


class SettingList(msgspec.Struct, kw_only=True):
    """All settings with their origins, and the warnings of reading them (`kata.settings/v1`)."""

    schema: str = "kata.settings/v1"
    settings: list[Row]
    warnings: list[str]


def show_config(*, profile: str | None, is_isolated: bool, trusts_project: bool) -> SettingList:
    """The effective settings. Raises `KataError`."""
    options = Common(profile=profile, is_isolated=is_isolated, trusts_project=trusts_project)
    resolved = resolved_settings(options, os.environ, working_directory())
    return SettingList(settings=describe(resolved), warnings=resolved.warnings)
