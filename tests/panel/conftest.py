"""A real Chromium, and the panel open in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from panel.chromium import FLAGS, chromium
from panel.modules import empty_page
from panel.page import OpenPanel, PanelPage

expect.set_options(timeout=20_000)  # a loaded machine is no fault of the panel's


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module: while it is there, asyncio.run works nowhere else in this process."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def panel(browser: Browser) -> Iterator[OpenPanel]:
    """Opens the panel of a service as often as is asked; on no page may anything have gone wrong."""
    with ExitStack() as stack:
        yield lambda serving, **options: stack.enter_context(PanelPage(browser, serving, **options))


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Page]:
    """An empty page for the modules of the panel by themselves."""
    with empty_page(browser) as page:
        yield page
