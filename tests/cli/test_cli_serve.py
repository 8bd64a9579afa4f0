"""`kata serve` as a process: how it begins, what it refuses, what survives it, and how it ends."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cli.live_service import LiveService
from cli.service_client import Client, events
from cli.shell import Shell
from servers.vendor import Reply, VendorServer
from servers.wire import Call

END_S = 3.0  # H8: from the first signal to the end of the process


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def heard_of(stream: http.client.HTTPResponse) -> list[Any]:
    return list(events(stream))


def client_of(service: LiveService) -> Client:
    return Client(service.url, service.token)


def test_it_says_where_it_is_and_never_the_token(shell: Shell) -> None:
    """One line for people, one document for programs; the token lies in a file that only its owner reads."""
    with LiveService(shell, "--max-sessions", "3") as service:
        assert service.token_file.stat().st_mode & 0o777 == 0o600
        status, told = client_of(service).ask("GET", "/api/capabilities")
        assert (status, told["max_sessions"], told["runtime_mode"]) == (200, 3, "mock")
        assert told["services"]["pi"]["mode"] == "off"
        service._process.send_signal(signal.SIGTERM)
        out, err = service._process.communicate(timeout=20)
        assert service.token not in (out + err).decode()
        assert service.url in err.decode()


def test_h8_f96_sigterm_with_eight_streams_ends_in_time(shell: Shell) -> None:
    """Every stream gets `bye`, the process says why and exits 143, the turns are kept as far as they came."""
    scenario = shell.home.parent / "slow.toml"
    scenario.write_text("tokens_per_s = 5\n")
    with LiveService(shell, "--scenario", scenario) as service, ExitStack() as open_streams:
        client = client_of(service)
        paths = [f"/api/sessions/{client.create()}/stream" for _ in range(8)]
        streams = [open_streams.enter_context(client.open("POST", path, {"message": "Go"})) for path in paths]
        with ThreadPoolExecutor(8) as readers:
            hearing = [readers.submit(heard_of, stream) for stream in streams]
            started_s = time.monotonic()
            service._process.send_signal(signal.SIGTERM)
            _, err = service._process.communicate(timeout=20)
            took_s = time.monotonic() - started_s
            heard = [each.result(20) for each in hearing]
    assert service._process.returncode == 143
    assert b"Traceback" not in err
    assert took_s <= END_S
    assert all(each[-1]["type"] in ("error", "bye") for each in heard)


def test_sessions_survive_kill_9(shell: Shell) -> None:
    """What was told is on disk: the next service takes the session up with all of it."""
    with LiveService(shell) as first:
        session_id = client_of(first).create(title="Kept")
        told = client_of(first).turn(session_id, "One")
        first.kill()
    with LiveService(shell) as second:
        client = client_of(second)
        status, session = client.ask("GET", f"/api/sessions/{session_id}")
        assert (status, session["status"], session["messages"]) == (200, "closed", 2)
        assert client.turn(session_id, "Two")[-1]["type"] == "done"
        _, history = client.ask("GET", f"/api/sessions/{session_id}/history")
        assert history["messages"][1]["text"] == told[-1]["text"]
        assert len(history["messages"]) == 4
    tree = shell.kata("sessions", "tree", session_id)
    assert "user: One" in tree.text


def test_a_session_in_a_service_is_in_use_for_others(shell: Shell) -> None:
    """T4: `sessions rm` names the process that has it open, and deletes nothing."""
    with LiveService(shell) as service:
        session_id = client_of(service).create()
        assert "in use by process" in shell.kata("sessions", "rm", session_id).refused(11)
    assert shell.kata("sessions", "rm", session_id).code == 0


def test_au19_without_a_key_it_is_alive_and_not_ready(shell: Shell) -> None:
    """503 names the variable; nothing of the session stays."""
    with LiveService(shell, "--mode", "native") as service:
        client = client_of(service)
        assert client.ask("GET", "/healthz")[0] == 200
        for answer in (
            client.ask("GET", "/readyz"),
            client.ask("POST", "/api/sessions/create", {}),
        ):
            assert (answer[0], answer[1]["code"]) == (503, "missing_auth")
            assert "ANTHROPIC_API_KEY" in answer[1]["message"] + answer[1]["remediation"]
        assert client.ask("GET", "/api/sessions")[1]["sessions"] == []


def test_native_sessions_ask_the_vendor_with_the_whole_conversation(shell: Shell) -> None:
    """The real SDK, over a loopback vendor; the second request holds the first answer."""
    with VendorServer([Reply(text="First answer."), Reply(text="Second answer.")]) as vendor:
        env = {"ANTHROPIC_API_KEY": "sk-ant-canary-key", "ANTHROPIC_BASE_URL": vendor.base_url}
        with NativeService(shell, env) as service:
            client = client_of(service)
            session_id = client.create()
            assert client.turn(session_id, "One")[-1]["text"] == "First answer."
            assert client.turn(session_id, "Two")[-1]["text"] == "Second answer."
        asked = [message["role"] for message in vendor.requests[-1].body["messages"]]
    assert asked == ["user", "assistant", "user"]


def test_a_client_answers_the_tool_calls_of_a_real_model_protocol(shell: Shell) -> None:
    """The call reaches the client as `wanted`, its result reaches the vendor in the vendor's own form."""
    call = Call(id="call_1", name="weather", arguments='{"city": "Ulm"}')
    replies = [Reply(text="", calls=[call], stop="tool_use"), Reply(text="It rains in Ulm.")]
    tool = {"name": "weather", "description": "The weather.", "parameters": {"type": "object"}}
    with VendorServer(replies) as vendor:
        env = {"OPENAI_API_KEY": "sk-canary-key", "OPENAI_BASE_URL": vendor.openai_url}
        with NativeService(shell, env) as service:
            client = client_of(service)
            session_id = client.create(tools=[tool], model="openai/gpt-5")
            path = f"/api/sessions/{session_id}"
            with client.open("POST", f"{path}/stream", {"message": "Weather in Ulm?"}) as stream:
                told = events(stream)
                wanted = next(event for event in told if event["type"] == "tool")
                assert (wanted["state"], wanted["tool"], wanted["input"]) == (
                    "wanted",
                    "weather",
                    '{"city": "Ulm"}',
                )
                given = {"call_id": wanted["call_id"], "output": "rain"}
                assert client.ask("POST", f"{path}/tool-result", given)[0] == 200
                assert list(told)[-1]["text"] == "It rains in Ulm."
        asked = json.dumps(vendor.requests[-1].body)
    assert "rain" in asked
    assert "call_1" in asked


class NativeService(LiveService):
    """A service in native mode, with an environment of its own."""

    def __init__(self, shell: Shell, env: dict[str, str]) -> None:
        plain = shell.env
        shell.env = lambda more=None: plain({**env, **(more or {})})  # type: ignore[method-assign]
        try:
            super().__init__(shell, "--mode", "native")
        finally:
            shell.env = plain  # type: ignore[method-assign]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_h2_an_address_that_others_reach_needs_a_word(shell: Shell, host: str) -> None:
    """Nothing listens, and the hint names the flag."""
    refused = shell.kata("serve", "--mode", "mock", "--host", host, "--port", "0").refused(2)
    assert "--allow-remote" in refused


def test_a_port_that_is_taken_is_exit_11(shell: Shell) -> None:
    """The hint names another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "choose another --port" in shell.kata("serve", "--mode", "mock", "--port", port).refused(11)


def test_the_variables_of_the_older_service_are_read(shell: Shell) -> None:
    """`PI_SERVICE_PORT` and the others; kata's own come before them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    older = {"PI_SERVICE_HOST": "0.0.0.0", "KATA_SERVE_HOST": "localhost", "PI_SERVICE_PORT": str(port)}
    shown = shell.kata("config", "show", "--json", env={**older, "PI_SERVICE_MAX_SESSIONS": "7"})
    values = {entry["name"]: entry["value"] for entry in shown.document["settings"]}
    assert values["serve.host"] == "localhost"
    assert values["serve.port"] == port
    assert values["serve.max_sessions"] == 7


@pytest.mark.parametrize("problem", ["mode", "symlink"])
def test_s2_a_token_file_that_others_read_is_refused(shell: Shell, problem: str) -> None:
    """Exit 4; the file stays as it is."""
    path = shell.home.parent / "token"
    path.write_text("A" * 43)
    path.chmod(0o644 if problem == "mode" else 0o600)
    if problem == "symlink":
        path = shell.home.parent / "link"
        path.symlink_to(shell.home.parent / "token")
    refused = shell.kata("serve", "--mode", "mock", "--port", "0", "--token-file", str(path)).refused(4)
    assert str(path) in refused


def test_x5_agents_in_a_ci_job_need_a_word(shell: Shell) -> None:
    """As for a run in pi mode."""
    refused = shell.kata("serve", "--mode", "pi", "--port", "0", env={"CI": "true"}).refused(2)
    assert "--allow-agent" in refused


def test_a_workspace_that_is_none_is_refused(shell: Shell) -> None:
    """Before anything listens."""
    refused = shell.kata("serve", "--mode", "mock", "--port", "0", "--workspace", "absent").refused(11)
    assert "--workspace" in refused


def test_s1_no_key_and_no_token_reaches_an_answer_or_a_file(shell: Shell) -> None:
    """A canary key in the environment is in no event, no answer and no session on disk."""
    canary = "sk-ant-api03-" + "c4n4Ry" * 15
    with VendorServer([Reply(text=f"You hold {canary}, do you?")]) as vendor:
        env = {"ANTHROPIC_API_KEY": canary, "ANTHROPIC_BASE_URL": vendor.base_url}
        with NativeService(shell, env) as service:
            client = client_of(service)
            told = client.turn(client.create(), f"What is {canary}? And {service.token}?")
            assert told[-1]["type"] == "done"
            shown = json.dumps([told, client.ask("GET", "/api/sessions")])
            assert canary not in shown
            assert service.token not in shown
            kept = [path for path in shell.home.rglob("*") if path.is_file() and path != service.token_file]
            assert all(canary.encode() not in path.read_bytes() for path in kept)
            assert all(service.token.encode() not in path.read_bytes() for path in kept)
