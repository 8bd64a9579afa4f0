"""What `kata config show` needs."""

from __future__ import annotations

import os

from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.config.resolve import Row, describe


def show_config(
    *, profile: str | None, is_isolated: bool, trusts_project: bool
) -> tuple[list[Row], list[str]]:
    """All settings with their origins, and the warnings of reading them. Raises `KataError`."""
    options = Common(profile=profile, is_isolated=is_isolated, trusts_project=trusts_project)
    resolved = resolved_settings(options, os.environ, working_directory())
    return describe(resolved), resolved.warnings
