"""A real Chromium, and the panel open in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, sync_playwright

from panel.chromium import FLAGS, chromium
from panel.page import OpenPanel, PanelPage


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module: while it is there, asyncio.run works nowhere else in this process."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def panel(browser: Browser) -> Iterator[OpenPanel]:
    """Opens the panel of a service, as often as is asked; at the end nothing may have gone wrong on a page."""
    with ExitStack() as stack:
        yield lambda serving, **options: stack.enter_context(PanelPage(browser, serving, **options))
