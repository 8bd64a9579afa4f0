"""The panel in a real Chromium with the real `kata serve` behind it (CL-11): turns, reloads, sessions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from panel.page import OpenPanel
from panel.serving import Serving, mock_service

MUCH = "Begin with the store, then the journal. " * 4 + "Now."  # the mock provider repeats it, slowly


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service in mock mode that takes its time to answer."""
    root = tmp_path_factory.mktemp("slow")
    with mock_service(root, tokens_per_s=30) as serving:
        yield serving


def test_a_message_is_sent_and_its_answer_streams_in(slow: Serving, panel: OpenPanel) -> None:
    """CL-11: create, send, receive; what streams is provisional and gives way to the message that holds."""
    page = panel(slow)
    page.create()
    page.say("What is there?")
    expect(page["#message"]).to_have_value("")
    expect(page["#messages .user"]).to_have_text("What is there?")
    expect(page["#messages .provisional"]).to_contain_text("Mock mode")
    expect(page["#abort"]).to_be_visible()
    expect(page.answers).to_contain_text("You asked: What is there?")
    expect(page["#messages .provisional"]).to_have_count(0)
    expect(page["#status"]).to_have_text("ready")
    expect(page["#sessions [aria-current]"]).to_contain_text("What is there?")


@pytest.mark.parametrize("how", ["button", "key"])
def test_a_turn_is_stopped_in_mid_stream(slow: Serving, panel: OpenPanel, how: str) -> None:
    """CL-11: Stop and Esc end the turn; what had come of the answer stays, marked as broken off."""
    page = panel(slow)
    page.create()
    page.say(MUCH)
    expect(page["#messages .provisional"]).to_contain_text("Mock")
    if how == "button":
        page["#abort"].click()
    else:
        page.page.keyboard.press("Escape")
    expect(page["#messages .notice"]).to_have_text("Stopped.")
    expect(page.answers.locator(".broken")).to_have_text("broken off")
    expect(page.answers.locator(".meta")).to_have_count(0)
    expect(page["#abort"]).to_be_hidden()
    page.say("Once more.")
    expect(page.answers.last).to_contain_text("You asked: Once more.")


def test_a_reload_in_mid_stream_loses_and_doubles_nothing(slow: Serving, panel: OpenPanel) -> None:
    """H6: after a reload the history, the answer so far and the rest of it make the one whole answer."""
    page = panel(slow)
    page.create()
    page.say(MUCH)
    expect(page["#messages .provisional"]).to_contain_text("Mock")
    page.reload()
    expect(page["#log"]).to_have_attribute("data-status", "running")
    expect(page["#messages .provisional"]).to_contain_text("Mock mode")
    expect(page.answers.locator(".meta")).to_be_visible()
    texts = page.messages.all_inner_texts()
    assert len(texts) == 2
    assert texts[0] == MUCH
    assert texts[1].count("Mock mode") == 1
    page.reload()
    expect(page.messages).to_have_count(2)
    assert page.messages.all_inner_texts() == texts
    assert len(page.followed) >= 3
    assert all(page.followed)  # each stream goes on after the history that was read


def test_two_pages_show_the_same_session(slow: Serving, panel: OpenPanel) -> None:
    """What is sent from one page is seen on another that has the session open."""
    first = panel(slow)
    first.create()
    second = panel(slow, session=first.page.url.partition("#")[2])
    first.say("From the first.")
    expect(second["#messages .user"]).to_have_text("From the first.")
    for page in (first, second):
        expect(page.answers).to_contain_text("You asked: From the first.")
        expect(page.messages).to_have_count(2)


def test_steering_and_following_up_while_the_agent_works(slow: Serving, panel: OpenPanel) -> None:
    """In a turn Enter steers and Alt+Enter follows up; what waits is shown until it is taken."""
    page = panel(slow)
    page.create()
    page.say(MUCH)
    expect(page["#send"]).to_have_text("Steer")
    page.say("Rather this.")
    expect(page["#queue li"]).to_have_text(["steering Rather this."])
    page.say("And then that.", "Alt+Enter")
    expect(page["#queue li"]).to_have_text(["steering Rather this.", "follow-up And then that."])
    expect(page["#messages .user"]).to_have_text([MUCH, "Rather this.", "And then that."])
    expect(page.answers).to_have_count(3)
    expect(page["#queue li"]).to_have_count(0)


def test_sessions_are_switched_and_stopped(slow: Serving, panel: OpenPanel) -> None:
    """CL-11: a session is stopped in the list, stays there closed, and is taken up by the next message."""
    page = panel(slow)
    page.create()
    page.say("The first one.")
    expect(page.answers).to_have_count(1)
    page.create()
    expect(page["#messages .empty"]).to_be_visible()
    row = page["#sessions li"].filter(has_text="The first one.").first
    row.locator(".session").click()
    expect(page.messages).to_have_count(2)
    row.locator(".stop").click()
    expect(page["#status"]).to_have_text("closed")
    expect(row.locator(".dot")).to_have_class("dot closed")
    expect(row.locator(".stop")).to_be_hidden()
    page.say("Again.")
    expect(page.answers).to_have_count(2)
    expect(page["#status"]).to_have_text("ready")


def test_what_is_written_belongs_to_its_session(slow: Serving, panel: OpenPanel) -> None:
    """A message that was not sent waits in its session while another one is open."""
    page = panel(slow)
    page.create()
    page.page.fill("#message", "not yet")
    page.create()
    expect(page["#message"]).to_have_value("")
    page["#sessions .session"].nth(1).click()
    expect(page["#message"]).to_have_value("not yet")


def test_a_title_is_given(slow: Serving, panel: OpenPanel) -> None:
    """The title of a session can be changed, and is still there after a reload."""
    page = panel(slow)
    page.create()
    page.page.fill("#title", "Atomic saving")
    page.page.press("#title", "Enter")
    expect(page["#sessions [aria-current]"]).to_contain_text("Atomic saving")
    page.reload()
    expect(page["#title"]).to_have_value("Atomic saving")
