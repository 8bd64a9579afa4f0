"""What the real Pi does on its stdio, in both generations: the facts that `kata_cli.pi` is built on."""

from __future__ import annotations

import subprocess

import pytest

from pi_real.installed import (
    KEY,
    TIMEOUT_S,
    Generation,
    Open,
    RawPi,
    last_answer,
    read_notes_then_answer,
    text_of,
)
from servers.vendor import Reply, Status


def test_the_version_is_on_the_stream_that_this_generation_uses(opened: Open) -> None:
    """`pi --version` prints the version alone, the old one on stderr, and leaves nothing in the home."""
    place = opened([])
    done = subprocess.run(
        [place.pi, "--version"],
        env=place.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0
    assert getattr(done, place.generation.version_stream).decode().strip() == place.generation.version
    assert (done.stdout + done.stderr).decode().strip() == place.generation.version
    assert list(place.home.iterdir()) == []


def test_the_first_record_answers_the_first_command(opened: Open) -> None:
    """Nothing is printed until something is asked; then the state names the model that was chosen."""
    with opened([]).rpc() as pi:
        pi.send("get_state")
        first = pi.until(lambda _: True)[0]
        assert (first["type"], first["id"], first["success"]) == ("response", "get_state", True)
        state = first["data"]
        assert (state["model"]["provider"], state["model"]["id"]) == ("vendor", "served-1")
        assert (state["isStreaming"], state["thinkingLevel"]) == (False, "off")
        assert "sessionFile" not in state


def test_models_are_those_of_models_json(idle: RawPi) -> None:
    """With a scrubbed environment no built-in model is offered."""
    models = idle.ask("get_available_models")["data"]["models"]
    assert [(model["provider"], model["id"]) for model in models] == [
        ("vendor", "served-1"),
        ("vendor", "thinker-1"),
    ]
    assert (models[0]["name"], models[0]["contextWindow"]) == ("Served One", 64_000)


def test_a_prompt_is_answered_by_the_vendor(opened: Open) -> None:
    """Acceptance first, deltas, the message whole at its end, and this generation's last event."""
    place = opened([Reply(text="Forty-two it is.")])
    with place.rpc() as pi:
        pi.send("prompt", message="What is the answer?")
        records = pi.until_type(place.generation.ends_with)
    accepted = next(record for record in records if record["type"] == "response")
    assert (accepted["command"], accepted["success"]) == ("prompt", True)
    updates = [record["assistantMessageEvent"] for record in records if record["type"] == "message_update"]
    assert "".join(event["delta"] for event in updates if event["type"] == "text_delta") == "Forty-two it is."
    answer = last_answer(records)
    assert (answer["stopReason"], text_of(answer)) == ("stop", "Forty-two it is.")
    # The wire's whole input is 10 of which 2 come from the cache and 1 goes to it.
    assert (answer["usage"]["output"], answer["usage"]["cacheRead"]) == (5, 2)
    assert answer["usage"]["cost"]["total"] > 0


def test_the_vendor_gets_the_key_of_models_json(opened: Open) -> None:
    """The key goes to the vendor as a bearer token."""
    place = opened([Reply()])
    with place.rpc() as pi:
        pi.send("prompt", message="Hello")
        pi.until_type(place.generation.ends_with)
    assert place.server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_tool_call_is_one_run_of_two_turns(opened: Open) -> None:
    """The tool's start and end are events, its result goes back to the model, the answer comes last."""
    place = opened(read_notes_then_answer)
    with place.rpc("--tools", "read,ls") as pi:
        pi.send("prompt", message="Read the notes.")
        records = pi.until_type(place.generation.ends_with)
    types = [record["type"] for record in records]
    assert (types.count("agent_start"), types.count("turn_start")) == (1, 2)
    started = next(record for record in records if record["type"] == "tool_execution_start")
    ended = next(record for record in records if record["type"] == "tool_execution_end")
    assert (started["toolName"], started["args"], ended["isError"]) == ("read", {"path": "notes.txt"}, False)
    assert text_of(last_answer(records)).strip() == "the answer is 42"


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_is_a_message_and_not_a_response(opened: Open, status: int) -> None:
    """The prompt is accepted; the failure is the stop reason of the message, and is not retried."""
    place = opened([Status(status=status, message="Sorry")])
    with place.rpc() as pi:
        pi.send("prompt", message="Hello")
        records = pi.until_type(place.generation.ends_with)
    assert all(record["success"] for record in records if record["type"] == "response")
    answer = last_answer(records)
    assert answer["stopReason"] == "error"
    assert answer["errorMessage"].startswith(str(status))
    assert "auto_retry_start" not in [record["type"] for record in records]


def test_an_overloaded_vendor_is_retried_by_pi_itself(opened: Open) -> None:
    """After a 529 Pi announces a retry; the first `agent_end` was not the end."""
    place = opened([Status(status=529, message="Overloaded"), Reply(text="now")])
    with place.rpc() as pi:
        pi.send("prompt", message="Hello")
        before = pi.until_type("auto_retry_start")
        after = pi.until_type(place.generation.ends_with)
    assert "agent_end" in [record["type"] for record in before]
    assert before[-1]["attempt"] == 1
    assert text_of(last_answer(after)) == "now"


def test_an_answer_cut_by_its_bound(opened: Open) -> None:
    """The stop reason says so."""
    place = opened([Reply(text="half a", stop="length")])
    with place.rpc() as pi:
        pi.send("prompt", message="Hello")
        answer = last_answer(pi.until_type(place.generation.ends_with))
    assert (answer["stopReason"], text_of(answer)) == ("length", "half a")


def test_abort_ends_a_stalled_answer(opened: Open) -> None:
    """Abort is answered once the run is over; the message keeps the text it had."""
    place = opened([Reply(text="A long answer that stops half way.", cut_at=400, is_stalled=True)])
    with place.rpc() as pi:
        pi.send("prompt", message="Hello")
        records = pi.until_type("message_update")
        pi.send("abort")
        records += pi.until(lambda record: record["type"] == "response" and record["command"] == "abort")
        if not any(record["type"] == "agent_end" for record in records):
            records += pi.until_type("agent_end")
        assert pi.ask("get_state")["data"]["isStreaming"] is False
    assert last_answer(records)["stopReason"] == "aborted"


def test_an_unknown_command_is_refused(idle: RawPi, generation: Generation) -> None:
    """The old generation leaves out the id, so that a waiter by id alone would wait for ever."""
    answer = idle.ask("no_such_command")
    assert answer["success"] is False
    assert ("id" in answer) is generation.names_unknown_commands


def test_the_line_null_ends_pi(opened: Open) -> None:
    """This is why a client must never send it."""
    with opened([]).rpc() as pi:
        pi.write("null")
        assert pi.child.wait(TIMEOUT_S) == 1


def test_a_thinking_level_that_does_not_exist_is_accepted(idle: RawPi) -> None:
    """Success says nothing: the level has to be read back."""
    idle.ask("set_model", provider="vendor", modelId="served-1")
    assert idle.ask("set_thinking_level", level="enormous")["success"] is True
    assert idle.ask("get_state")["data"]["thinkingLevel"] == "off"


def test_a_level_that_the_map_leaves_out_becomes_the_next_one(idle: RawPi) -> None:
    """`minimal` is mapped to nothing, so the model thinks at `low`."""
    assert idle.ask("set_model", provider="vendor", modelId="thinker-1")["success"] is True
    idle.ask("set_thinking_level", level="minimal")
    assert idle.ask("get_state")["data"]["thinkingLevel"] == "low"


def test_a_model_that_is_not_offered_is_refused(idle: RawPi) -> None:
    """A built-in model without a key counts as unknown."""
    answer = idle.ask("set_model", provider="anthropic", modelId="claude-opus-5-5")
    assert (answer["success"], "not found" in answer["error"]) == (False, True)


def test_the_end_of_stdin_ends_pi(opened: Open) -> None:
    """An idle agent leaves with status 0."""
    with opened([]).rpc() as pi:
        pi.ask("get_state")
        assert pi.end() == 0


def test_line_separators_of_unicode_do_not_end_a_line(opened: Open) -> None:
    """They stand unescaped inside a line, which only a line feed ends."""
    text = "one\u2028two\u2029three\x85four"
    place = opened([Reply(text=text)])
    with place.rpc() as pi:
        pi.send("prompt", message=text)
        records = pi.until_type(place.generation.ends_with)
    assert text_of(last_answer(records)) == text
    user = next(
        r["message"] for r in records if r["type"] == "message_end" and r["message"]["role"] == "user"
    )
    assert text_of(user) == text
