"""Live sessions whose agents are real Pis: one process a session, steered, aborted, taken up again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cli.service_client import Client, events
from pi_real.installed import MODEL, TIMEOUT_S, Generation, Place, read_notes_then_answer
from pi_real.test_pi_real_services import Services, works_in
from servers.vendor import Reply, Script


class Served(Services):
    """A service in mode pi, and a client of it that holds the token."""

    def open(self, name: str, script: Script) -> tuple[Client, Place, Any]:
        url, process, place = self.start(name, script)
        token = (self.shell.home / ".local/state/kata/serve.token").read_text().strip()
        return Client(url, token), place, process


@pytest.fixture
def served(tmp_path: Path, generation: Generation) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path, generation, stack)


def test_a_session_is_one_agent_that_keeps_its_conversation(served: Served) -> None:
    """Its tool steps are told and kept; the second message goes to the same process as one conversation."""
    client, place, _ = served.open("one", read_notes_then_answer)
    session_id = client.create(model=MODEL)
    first = client.turn(session_id, "Read notes.txt")
    assert first[-1]["text"] == "the answer is 42\n"
    tools = [(event["state"], event["tool"]) for event in first if event["type"] == "tool"]
    assert tools == [("started", "read"), ("finished", "read")]
    before = works_in(place)
    assert client.turn(session_id, "And again")[-1]["type"] == "done"
    assert works_in(place) == before != []
    asked = [str(message["content"]) for message in place.server.requests[-1].body["messages"]]
    assert any("Read notes.txt" in text for text in asked)
    assert any("And again" in text for text in asked)
    _, history = client.ask("GET", f"/api/sessions/{session_id}/history")
    (step,) = history["messages"][1]["steps"]
    assert step["tool"] == "read"
    assert "the answer is 42" in step["output"]


def test_stop_ends_the_agent_and_the_session_goes_on_from_its_tree(served: Served) -> None:
    """Another agent is told what came before."""
    client, place, _ = served.open("one", [Reply(text="Blue.")])
    session_id = client.create(model=MODEL)
    client.turn(session_id, "My favourite colour is blue")
    status, stopped = client.ask("POST", f"/api/sessions/{session_id}/stop", {})
    assert (status, stopped["status"]) == (200, "closed")
    assert works_in(place) == []
    assert client.turn(session_id, "Which one is it?")[-1]["type"] == "done"
    asked = str(place.server.requests[-1].body["messages"])
    assert "My favourite colour is blue" in asked
    assert "Which one is it?" in asked


def test_abort_ends_the_turn_and_keeps_the_session(served: Served) -> None:
    """A stream that hangs is left at once, and the next message is answered."""
    script = [Reply(text="Never whole", cut_at=40, is_stalled=True), Reply(text="Whole.")]
    client, place, _ = served.open("one", script)
    session_id = client.create(model=MODEL)
    path = f"/api/sessions/{session_id}"
    with client.open("POST", f"{path}/stream", {"message": "Go"}) as stream:
        told = events(stream)
        assert next(told)["type"] == "session"
        _until(lambda: place.server.requests)
        assert client.ask("POST", f"{path}/abort", {})[1]["status"] == "idle"
        assert list(told)[-1]["type"] == "error"
    assert client.turn(session_id, "Again")[-1]["text"] == "Whole."


def test_models_and_capabilities_are_pi_s_own(served: Served) -> None:
    """The list comes from Pi; `features.pi` says what this service is."""
    client, _, _ = served.open("one", [])
    _, told = client.ask("GET", "/api/capabilities")
    assert told["features"]["pi"] is True
    assert told["services"]["pi"]["mode"] == "service"
    _, models = client.ask("GET", "/api/models")
    assert MODEL in [model["id"] for model in models["models"]]


def test_a_summary_takes_the_place_of_the_conversation(served: Served) -> None:
    """The next message reaches the model with the summary and without what it stands for."""
    replies = [Reply(text="Blue."), Reply(text="The user likes blue."), Reply(text="Blue it is.")]
    client, place, _ = served.open("one", replies)
    session_id = client.create(model=MODEL)
    path = f"/api/sessions/{session_id}"
    client.turn(session_id, "My favourite colour is blue, remember")
    client.ask("POST", f"{path}/compact", {})
    _until(lambda: client.ask("GET", path)[1]["status"] == "idle")
    assert client.turn(session_id, "Which one?")[-1]["text"] == "Blue it is."
    asked = str(place.server.requests[-1].body["messages"])
    assert "The user likes blue." in asked
    assert "remember" not in asked


def _until(is_so: Any) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
