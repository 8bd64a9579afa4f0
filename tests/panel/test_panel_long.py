"""A session of 2,000 messages in the panel: shown without a stall, and gone on with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from panel.page import OpenPanel
from panel.serving import Serving, conversation, mock_service

MESSAGES = 2000
PARAGRAPHS = "\n\n".join(
    f"Paragraph {number} with **bold** text and `code`.\n\n- one\n- two" for number in range(4)
)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service whose only session is long."""
    serving = mock_service(tmp_path_factory.mktemp("long"), tokens_per_s=30)
    serving.seed(1, conversation(f"Message {number}.\n\n{PARAGRAPHS}" for number in range(MESSAGES)))
    with serving:
        yield serving


def test_two_thousand_messages_do_not_stall_the_page(long: Serving, panel: OpenPanel) -> None:
    """A long history is rendered in many short tasks, the latest messages first."""
    page = panel(long, token="")
    page.run(
        """() => {
          window.slices = [];
          new MutationObserver((records) => slices.push(records.flatMap((one) => [...one.addedNodes]).length))
            .observe(messages, { childList: true });
        }"""
    )
    page.unlock(long.token)
    expect(page.messages.last).to_contain_text(f"Message {MESSAGES - 1}.")
    expect(page.messages).to_have_count(MESSAGES)
    first_lines = "Array.from(messages.children, (one) => one.firstChild.textContent.split('\\n')[0])"
    assert page.run(first_lines) == [f"Message {number}." for number in range(MESSAGES)]
    assert max(page.run("slices")) < MESSAGES / 3
    assert [task for task in page.run("longTasks") if task > 500] == []


def test_an_answer_to_a_long_history_renders_only_itself(long: Serving, panel: OpenPanel) -> None:
    """While text streams in, no message that stands already is touched, and the end stays in sight."""
    page = panel(long)
    page.say("Take it up.")
    expect(page.answers.last).to_contain_text("You asked: Take it up.")
    expect(page.messages).to_have_count(MESSAGES + 2)
    page.run(
        """() => {
          window.touched = window.streamed = 0;
          const inside = (node, what) => Boolean(node.closest(what));
          new MutationObserver((records) => {
            for (const { target } of records) {
              if (inside(target, ".provisional")) streamed += 1;
              else if (inside(target, ".message")) touched += 1;
            }
          }).observe(messages, { childList: true, subtree: true });
        }"""
    )
    page.say("And now?")
    expect(page.answers.last).to_contain_text("You asked: And now?")
    assert page.run("streamed") > 2
    assert page.run("touched") == 0
    assert page.run("log.scrollHeight - log.scrollTop - log.clientHeight") < 32
