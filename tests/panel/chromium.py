"""The Chromium of this machine, as `scripts/chromium` finds or installs it."""

from __future__ import annotations

import os
import shutil

import pytest

# A sandbox needs a user of its own, and the rest would look for hosts outside.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """The program. Without one the tests are skipped, in CI they fail."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("needs Chromium, which scripts/chromium installs")
    return found
