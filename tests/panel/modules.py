"""The modules of the panel by themselves: an empty page in Chromium that can import them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from kata_cli.service.panel import find

ORIGIN = "http://panel.test"
EMPTY = (
    "<!doctype html><title>-</title><div id=log><div id=list></div></div><button id=newer hidden></button>"
)


@contextmanager
def empty_page(browser: Browser) -> Iterator[Page]:
    """A page whose every address is answered from the package, without a service."""
    page = browser.new_page()
    page.route("**/*", _serve)
    page.goto(f"{ORIGIN}/empty")
    yield page
    page.close()


def _serve(route: Any) -> None:
    found = find(route.request.url.rpartition("/")[2])
    if found is None:
        route.fulfill(body=EMPTY, content_type="text/html")
    else:
        route.fulfill(body=found.data, content_type=found.media_type)


def call(page: Page, module: str, script: str, arg: object = None) -> Any:
    """What a function of a module gives: `script` is an expression over the module `m` and `arg`."""
    return page.evaluate(
        f"async (arg) => {{ const m = await import('/panel/{module}.js'); return {script}; }}", arg
    )
