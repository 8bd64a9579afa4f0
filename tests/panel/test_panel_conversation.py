"""What the panel makes of the events of a session and of its history, run in Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from panel.modules import call

Event = dict[str, Any]
CALL = {"id": "c1", "name": "look_up", "arguments": '{"name": "save"}'}
DEEP = "[" * 20_000 + "]" * 20_000
MAKE = """(async () => {
  const { Sticky } = await import("/panel/scroll.js");
  list.replaceChildren();
  window.conversation = new m.Conversation(list, new Sticky(log, list, newer));
})()"""


def _show(page: Page, *events: Event) -> None:
    page.evaluate("(events) => events.forEach((event) => conversation.apply(event))", list(events))


def _told(role: str, text: str, **fields: Any) -> Event:
    return {"entry": "e1", "role": role, "text": text, **fields}


def _message(role: str, text: str, **fields: Any) -> Event:
    return {"type": "message", "message": _told(role, text, **fields)}


def _history(*messages: Event, partial: str = "", wanted: tuple[Event, ...] = ()) -> Event:
    session = {"id": "s-1", "wanted": list(wanted)}
    return {
        "type": "history",
        "history": {"messages": list(messages), "partial": partial, "session": session},
    }


def _delta(text: str, kind: str = "text") -> Event:
    return {"type": "delta", "text": text, "kind": kind}


def _tool(state: str, **fields: Any) -> Event:
    return {
        "type": "tool",
        "state": state,
        "call_id": "c1",
        "tool": "look_up",
        "input": "",
        "output": "",
        **fields,
    }


@pytest.fixture
def shown(modules: Page) -> Page:
    """A page with an empty conversation."""
    call(modules, "conversation", MAKE)
    return modules


def test_what_streams_gives_way_to_what_holds(shown: Page) -> None:
    """Deltas are provisional: whole blocks stand, the last one grows, the message takes the place of all."""
    _show(shown, _message("user", "Go."), _delta("One **bo"), _delta("ld**.\n\nTw"), _delta("o"))
    expect(shown.locator(".provisional .settled strong")).to_have_text("bold")
    expect(shown.locator(".provisional .tail")).to_have_text("Two")
    _show(shown, _message("assistant", "Other."))
    expect(shown.locator("#list > *")).to_have_text(["Go.", "Other."])


def test_text_of_an_attempt_that_failed_does_not_count(shown: Page) -> None:
    """A retry drops what streamed and says why; the notice goes when the next attempt brings something."""
    error = {"code": "rate_limited", "message": "Too many requests.", "remediation": "wait"}
    _show(shown, _delta("half"), {"type": "retry", "error": error, "delay_s": 1.5})
    expect(shown.locator("#list > *")).to_have_text(["Too many requests. Trying again in 2 s."])
    _show(shown, _delta("whole"))
    expect(shown.locator("#list > *")).to_have_text(["whole"])


def test_tools_of_the_agent_are_folded_steps_of_its_answer(shown: Page) -> None:
    """A step shows what is called while it runs, then its output; the message brings the steps that hold."""
    _show(shown, _tool("started", input='{"path": "a.py"}'))
    step = shown.locator(".provisional .step")
    expect(step.locator("summary")).to_have_text("look_uppath: a.pyrunning")
    _show(shown, _tool("finished", output="text \x1b[31m of <b>it</b>"), _delta("Done."))
    assert step.get_attribute("open") is None
    step.locator("summary").click()
    expect(step.locator("pre").last).to_have_text("text ^[[31m of <b>it</b>")
    expect(step.locator("pre").first).to_have_text("path: a.py")
    _show(shown, _message("assistant", "Done.", steps=[{"tool": "look_up", "input": "a", "is_error": True}]))
    expect(shown.locator("#list .step .state")).to_have_text(["failed"])


@pytest.mark.parametrize("is_live", [True, False])
def test_a_call_for_a_client_waits_for_its_result(shown: Page, is_live: bool) -> None:
    """The call shows that it waits, then its result, whether it was seen live or in the history."""
    asked = _told("assistant", "Let me see.", calls=[CALL])
    if is_live:
        _show(shown, {"type": "message", "message": asked}, _tool("wanted"))
    else:
        _show(shown, _history(asked, wanted=(CALL,)))
    expect(shown.locator(".step .state")).to_have_text("waiting for a client")
    _show(
        shown,
        _tool("answered"),
        _message("tool", "store.py:1", call_id="c1"),
        _message("assistant", "There."),
    )
    expect(shown.locator("#list > *")).to_have_count(3)
    expect(shown.locator(".step .state")).to_have_text("")
    expect(shown.locator(".step pre").last).to_have_text("store.py:1")


def test_a_history_pairs_calls_with_results(shown: Page) -> None:
    """Results stand at their calls also where ids come again; one without a call stands alone."""
    turn = [_told("assistant", "", calls=[CALL]), _told("tool", "first", call_id="c1")]
    again = [_told("assistant", "", calls=[CALL]), _told("tool", "second", call_id="c1", is_error=True)]
    _show(shown, _history(_told("tool", "lost", call_id="c9"), *turn, *again))
    expect(shown.locator(".step")).to_have_count(3)
    assert shown.locator(".step .code:last-child code").all_text_contents() == ["lost", "first", "second"]
    expect(shown.locator(".step.failed")).to_have_count(1)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('{"a": "x\\ny", "b": [1, {"c": null}]}', 'a: x\ny\nb: [1,{"c":null}]'),
        ("plain <b>", "plain <b>"),
        ("null", "null"),
        ("[1, 2]", "[1, 2]"),
        ('{"a": ' + DEEP + "}", f"a: {DEEP}"),
    ],
    ids=["arguments", "text", "null", "list", "deep"],
)
def test_the_input_of_a_tool_is_shown_whatever_it_is(shown: Page, given: str, told: str) -> None:
    """Arguments stand in lines of their own; all else, also what is nested without end, stays as it is."""
    _show(shown, _tool("started", input=given))
    assert shown.locator(".step pre").first.text_content() == told


def test_thinking_is_folded_and_steering_stands_in_order(shown: Page) -> None:
    """Thoughts are folded; a message given meanwhile stands before the answer that goes on."""
    _show(shown, _delta("Hm, \x1b[1m", "thinking"), _delta("well.", "thinking"), _delta("So"))
    _show(shown, _message("user", "Faster."), _delta(" then."))
    expect(shown.locator("#list > *").first).to_have_text("Faster.")
    expect(shown.locator(".provisional .tail")).to_have_text("So then.")
    expect(shown.locator(".provisional .thinking .said")).to_have_text("Hm, ^[[1mwell.")
    assert shown.locator(".thinking").get_attribute("open") is None


def test_a_compaction_leaves_a_mark(shown: Page) -> None:
    """Live it tells both sizes; in the history the summary stands first, folded."""
    event = {
        "type": "compaction",
        "entry": "e9",
        "summary": "It was *about* saving.",
        "tokens_before": 12_345,
        "tokens_after": 678,
    }
    _show(shown, event)
    expect(shown.locator(".marker summary")).to_have_text("Compacted: 12k → 678 tokens (estimated)")
    _show(shown, _history(_told("summary", "It was *about* saving."), _told("user", "Go on.")))
    expect(shown.locator(".marker summary")).to_have_text("Earlier messages are summarised")
    expect(shown.locator(".marker em")).to_have_text("about")


def test_a_history_in_mid_answer_goes_on(shown: Page) -> None:
    """The answer so far comes with the history; deltas go on from it, and the message ends it."""
    _show(shown, _history(_told("user", "Go."), partial="Once upon "), _delta("a time"))
    expect(shown.locator(".provisional")).to_have_text("Once upon a time")
    _show(shown, _message("assistant", "Once upon a time."))
    expect(shown.locator("#list > *")).to_have_text(["Go.", "Once upon a time."])


def test_an_end_without_an_answer_says_why(shown: Page) -> None:
    """A failure tells its remedy; a stop is no failure; an answer that was cut off says so."""
    error = {"code": "missing_auth", "message": "No key.", "remediation": "export OPENAI_API_KEY"}
    _show(shown, _delta("x"), {"type": "error", "error": error})
    expect(shown.locator("#list > *")).to_have_text(["No key.export OPENAI_API_KEY"])
    _show(shown, {"type": "error", "error": {"code": "interrupted", "message": "the turn was aborted"}})
    expect(shown.locator("#list > .notice")).to_have_text("Stopped.")
    _show(shown, _message("assistant", "Too lo", stop="length"))
    expect(shown.locator(".broken")).to_have_text("cut off at the limit of tokens")


def test_only_figures_that_are_known_are_shown(shown: Page) -> None:
    """Tokens and cost stand below an answer where the provider told them, and nowhere else."""
    usage = {"input": 900, "cache_read": 100, "output": 34_567, "cost_usd": 0.0123}
    _show(
        shown,
        _message("assistant", "a", model="p/m", usage=usage),
        _message("assistant", "b", model="p/m", usage={}),
    )
    _show(shown, _message("assistant", "c", model="p/m", usage=None))
    expect(shown.locator(".meta")).to_have_text(["p/m · 1.0k in · 35k out · $0.0123", "p/m"])
