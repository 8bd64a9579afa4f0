"""The panel as a page: its frame, its keys, its colours, and where its token is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from panel.page import OpenPanel, PanelPage
from panel.serving import Serving, conversation, mock_service, session_id

LONG, SHORT = 1, 2
NARROW = {"viewport": {"width": 390, "height": 740}}
CONTRAST = """() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
  };
  const ratio = (one) => {
    const [high, low] = [light(parts(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const hasText = (one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  return [...document.querySelectorAll("#app *")]
    .filter((one) => hasText(one) && one.checkVisibility({ opacityProperty: true }) && !one.disabled)
    .map((one) => [one.outerHTML.slice(0, 80), ratio(one)])
    .filter(([, ratio]) => ratio < 4.5);
}"""

# Up, and two frames more: what comes into sight is laid out only then.
SCROLL_UP = """() => new Promise((done) => {
  log.onscrollend = () => requestAnimationFrame(() => requestAnimationFrame(done));
  log.scrollTop -= 1500;
})"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service in mock mode with a session that fills the page and one that does not."""
    serving = mock_service(tmp_path_factory.mktemp("quick"), tokens_per_s=60)
    serving.seed(
        SHORT, conversation(["Short.", "# Yes\n\nIt `is`: [so](https://example.invalid).\n\n> quoted"])
    )
    serving.seed(LONG, conversation(f"Message {number}. " + "Words. " * 40 for number in range(60)))
    with serving:
        yield serving


def _box(page: PanelPage, selector: str) -> tuple[float, float]:
    box = page[selector].bounding_box()
    assert box is not None
    return box["y"], box["y"] + box["height"]


@pytest.mark.parametrize("size", [{"width": 1100, "height": 700}, {"width": 390, "height": 740}])
def test_the_composer_is_pinned_below_the_messages(
    quick: Serving, panel: OpenPanel, size: dict[str, int]
) -> None:
    """CL-11: the composer stays at the bottom of the window, and only the messages above it scroll."""
    page = panel(quick, session=session_id(LONG), viewport=size)
    expect(page.messages).to_have_count(60)
    for top in (0, 1000, 2000):
        assert page.run(f"(log.scrollTop = {top}, log.scrollTop)") == top
        above, below = _box(page, "#composer")
        assert size["height"] - 40 < below <= size["height"]
        assert _box(page, "#log")[1] <= above
    assert page.run("[scrollY, document.documentElement.scrollHeight <= innerHeight]") == [0, True]
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.page.fill("#message", "line\n" * 60)
    assert _box(page, "#composer")[1] <= size["height"]
    assert _box(page, "#log")[1] > 200


def test_the_reader_is_not_moved_while_reading_above(quick: Serving, panel: OpenPanel) -> None:
    """New messages scroll into sight at the end; above it the place stays, and a button leads down."""
    page = panel(quick, session=session_id(LONG))
    page.say("First.")
    expect(page.answers.last).to_contain_text("You asked: First.")
    expect(page["#newer"]).to_be_hidden()
    assert page.run("log.scrollHeight - log.scrollTop - log.clientHeight") < 32
    page.run(SCROLL_UP)
    page.run("window.read = Array.from(messages.children).find((one) => one.getBoundingClientRect().y > 100)")
    seen = page.run("read.getBoundingClientRect().y")
    page.say("Second.")
    expect(page.answers.last).to_contain_text("You asked: Second.")
    expect(page["#newer"]).to_be_visible()
    assert abs(page.run("read.getBoundingClientRect().y") - seen) < 4
    page["#newer"].click()
    expect(page["#newer"]).to_be_hidden()
    expect(page.answers.last).to_be_in_viewport()


def test_the_rail_collapses(quick: Serving, panel: OpenPanel) -> None:
    """CL-11: a button and Ctrl+B hide the list of sessions and bring it back."""
    page = panel(quick)
    expect(page["#toggle"]).to_have_attribute("aria-expanded", "true")
    page["#toggle"].click()
    expect(page["#rail"]).to_be_hidden()
    expect(page["#toggle"]).to_have_attribute("aria-expanded", "false")
    page.page.keyboard.press("Control+b")
    expect(page["#rail"]).to_be_visible()


def test_on_a_small_screen_the_rail_lies_over_the_page(quick: Serving, panel: OpenPanel) -> None:
    """Below 700 px the list is closed at first, opens over the page, closes by Esc, a choice or a click."""
    page = panel(quick, **NARROW)
    expect(page["#rail"]).to_be_hidden()
    page["#toggle"].click()
    expect(page["#rail"]).to_be_visible()
    page.page.keyboard.press("Escape")
    expect(page["#rail"]).to_be_hidden()
    page["#toggle"].click()
    page["#sessions .session"].filter(has_text="Short.").click()
    expect(page["#rail"]).to_be_hidden()
    expect(page["#title"]).to_have_value("Short.")
    page["#toggle"].click()
    page["#shade"].click(position={"x": 380, "y": 400})
    expect(page["#rail"]).to_be_hidden()


def test_everything_is_reached_by_the_keyboard(quick: Serving, panel: OpenPanel) -> None:
    """From the token on without a mouse: a new session, a message, another session, stopping one."""
    page = panel(quick, token="")
    keys = page.page.keyboard
    expect(page["#token"]).to_be_focused()
    keys.type(quick.token)
    keys.press("Enter")
    expect(page["#message"]).to_be_focused()
    keys.press("Alt+n")
    expect(page["#title"]).to_have_value("")
    keys.type("By keys.")
    keys.press("Shift+Enter")
    keys.type("Two lines.")
    keys.press("Enter")
    expect(page.answers).to_have_count(1)
    expect(page["#messages .user"]).to_have_text("By keys.\nTwo lines.", use_inner_text=True)
    page["#create"].focus()
    keys.press("Tab")
    expect(page["#sessions .session"].first).to_be_focused()
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("ArrowDown")
    expect(page["#sessions .session"].nth(1)).to_be_focused()
    keys.press("Enter")
    expect(page["#sessions .session"].nth(1)).to_have_attribute("aria-current", "true")
    page["#sessions .session"].first.focus()
    keys.press("Tab")
    keys.press("Enter")
    expect(page["#sessions .dot"].first).to_have_class("dot closed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_can_be_read(quick: Serving, panel: OpenPanel, scheme: str) -> None:
    """Dark and light differ, and all text has the contrast that WCAG AA asks for (4.5 to 1)."""
    page = panel(quick, session=session_id(SHORT), color_scheme=scheme)
    expect(page.answers).to_have_count(1)
    red = page.run("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red < 60) == (scheme == "dark")
    assert page.run(CONTRAST) == []


def test_motion_is_reduced_when_the_system_asks(quick: Serving, panel: OpenPanel) -> None:
    """Nothing pulses for those who want no motion."""
    page = panel(quick, reduced_motion="reduce")
    page.create()
    page.say("Go.")
    expect(page["#sessions .dot.running"]).to_have_count(1)
    assert page.run("getComputedStyle(document.querySelector('.dot.running')).animationName") == "none"


def test_the_page_tells_its_parts_to_screen_readers(quick: Serving, panel: OpenPanel) -> None:
    """The log, the status, the list and all that can be pressed have roles and names."""
    page = panel(quick, session=session_id(SHORT))
    expect(page.page.get_by_role("log", name="Conversation")).to_be_visible()
    expect(page.page.get_by_role("status").first).to_have_text("closed")
    expect(page.page.get_by_role("navigation", name="Sessions").get_by_role("listitem")).not_to_have_count(0)
    expect(page.page.get_by_role("button", name="Short., closed")).to_have_attribute("aria-current", "true")
    expect(page.page.get_by_role("textbox", name="Message")).to_be_visible()
    unnamed = "Array.from(document.querySelectorAll('button, select, textarea, input'))"
    assert (
        page.run(
            f"{unnamed}.filter((one) => !one.textContent.trim() && !one.ariaLabel && !one.labels?.length)"
        )
        == []
    )


def test_the_token_is_kept_in_memory_only(quick: Serving, panel: OpenPanel) -> None:
    """H3, CL-11: no storage, cookie or address holds the token, and after a reload it is asked for again."""
    page = panel(quick)
    page.create()
    page.say("Go.")
    expect(page.answers).to_have_count(1)
    kept = page.run(
        "async () => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href,"
        " document.documentElement.outerHTML, token.value, await indexedDB.databases(), await caches.keys()])"
    )
    assert quick.token not in kept
    assert page.run("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page["#token"].get_attribute("type") == "password"
    page.page.reload()
    expect(page["#unlock"]).to_be_visible()
    expect(page.messages).to_have_count(0)


def test_a_wrong_token_brings_the_field_back(quick: Serving, panel: OpenPanel) -> None:
    """401: nothing opens, the field says why, and the right token opens the page."""
    page = panel(quick, token="", may_refuse=True)
    page.page.fill("#token", "wrong")
    page.page.keyboard.press("Enter")
    expect(page["#unlock-error"]).to_have_text("This is not the token of this service.")
    expect(page["#app"]).to_have_attribute("inert", "")
    page.unlock(quick.token)
    expect(page["#unlock"]).to_be_hidden()
