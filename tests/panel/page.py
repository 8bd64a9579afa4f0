"""The panel as a person meets it: a page in Chromium, and all that went wrong on it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, Request

from panel.serving import Serving

REFUSED = "Failed to load resource"  # Chromium writes each refusal to its console
WATCH_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask", buffered: true });
"""


class PanelPage:
    """The panel of a service, opened with its token; `options` go to the browser's context."""

    def __init__(
        self,
        browser: Browser,
        serving: Serving,
        *,
        session: str = "",
        token: str | None = None,
        may_refuse: bool = False,
        **options: Any,
    ) -> None:
        self.serving = serving
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.followed: list[str | None] = []  # per stream of events the id that it goes on after
        self._may_refuse = may_refuse
        self._token = serving.token if token is None else token
        self._context = browser.new_context(**{"viewport": {"width": 1100, "height": 700}, **options})
        self.page: Page = self._context.new_page()
        self.page.add_init_script(WATCH_TASKS)
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog {dialog.message}"))
        self.page.on("request", self._asked)
        self.page.goto(f"{serving.url}/#{session}")
        if self._token:
            self.unlock(self._token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()
        if kind is None:
            assert self.problems == []
            assert self.hosts <= {urlsplit(self.serving.url).netloc}

    def _said(self, type_: str, text: str) -> None:
        is_expected = self._may_refuse and text.startswith(REFUSED)
        if type_ in ("error", "warning") and not is_expected:
            self.problems.append(text)

    def _asked(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)
        if request.url.endswith("/events"):
            self.followed.append(request.headers.get("last-event-id"))

    def __getitem__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    @property
    def messages(self) -> Locator:
        return self["#messages .message"]

    @property
    def answers(self) -> Locator:
        """The answers that hold."""
        return self["#messages .assistant:not(.provisional)"]

    def unlock(self, token: str) -> None:
        """Give a token that is right."""
        self.page.fill("#token", token)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#app:not([inert])")

    def create(self) -> None:
        """A new session, by the button."""
        before = self.page.url
        self.page.click("#create")
        self.page.wait_for_function("before => location.href !== before", arg=before)

    def say(self, text: str, key: str = "Enter") -> None:
        """Write a message and send it."""
        self.page.fill("#message", text)
        self.page.press("#message", key)

    def reload(self) -> None:
        """Load the page anew, which forgets the token, and give it again."""
        self.page.reload()
        self.unlock(self._token)

    def run(self, script: str, arg: object = None) -> Any:
        """What a script gives, run in the page."""
        return self.page.evaluate(script, arg)


class OpenPanel(Protocol):
    """Opens the panel of a service; see `PanelPage`."""

    def __call__(self, serving: Serving, **options: Any) -> PanelPage: ...
