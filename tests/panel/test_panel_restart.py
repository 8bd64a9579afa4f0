"""The panel while its service goes away and comes back."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from panel.page import OpenPanel
from panel.serving import mock_service

# What it says depends on whether the service could still tell that it lets its sessions go.
GONE = re.compile("connection lost|closed")


def test_a_restart_of_the_service_is_survived(tmp_path: Path, panel: OpenPanel) -> None:
    """The panel says that the service is gone, loses nothing that was written, and the session goes on."""
    with mock_service(tmp_path, tokens_per_s=200) as serving:
        page = panel(serving, may_refuse=True)
        page.create()
        page.say("Before.")
        expect(page.answers).to_contain_text("You asked: Before.")
        serving.stop()
        expect(page["#status"]).to_have_text(GONE)
        page.say("Meanwhile.")
        expect(page["#alert"]).to_contain_text("The service does not answer.")
        expect(page["#message"]).to_have_value("Meanwhile.")
        serving.start()
        expect(page["#status"]).to_have_text("closed")
        expect(page.messages).to_have_count(2)
        page.page.press("#message", "Enter")
        expect(page.answers).to_have_count(2)
        expect(page["#messages .user"]).to_have_text(["Before.", "Meanwhile."])


def test_a_new_token_is_asked_for_and_nothing_is_lost(tmp_path: Path, panel: OpenPanel) -> None:
    """401: the field comes back; with the new token the page is where it was, with what was being written."""
    with mock_service(tmp_path, tokens_per_s=200) as serving:
        page = panel(serving, may_refuse=True)
        page.create()
        page.say("Before.")
        expect(page.answers).to_have_count(1)
        page.page.fill("#message", "Not sent yet.")
        serving.stop()
        (serving.state / "serve.token").unlink()
        serving.start()
        expect(page["#unlock-error"]).to_contain_text("does not take this token any more")
        expect(page["#token"]).to_be_focused()
        page.unlock(serving.token)
        expect(page["#message"]).to_have_value("Not sent yet.")
        expect(page.messages).to_have_count(2)
