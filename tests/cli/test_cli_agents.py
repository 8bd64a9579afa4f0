"""`kata agents` against a real `kata serve` in mock mode: what a person or a script types, and gets."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

from cli.live_service import BreakingProxy, LiveService
from cli.shell import Ended, Shell, events_of, finish, signal_at
from cli.terminal import on_terminal
from kata_cli.app.schemas import json_schema

SESSION_ID = re.compile(r"s-[0-9]{8}-[0-9]{6}-[a-z0-9]{6}")
WORDS = [
    *("list", "open", "send", "steer", "follow-up", "answer", "abort"),
    *("stop", "tree", "fork", "compact", "choose", "show", "watch"),
]


class Client:
    """A shell whose `kata agents` talks to one service."""

    def __init__(self, shell: Shell, *urls: str) -> None:
        self.shell = shell
        self.at = [word for url in urls for word in ("--service", url)]

    def agents(self, word: str, *args: str | Path, **options: Any) -> Ended:
        return self.shell.kata("agents", word, *self.at, *args, **options)

    def start(self, word: str, *args: str) -> subprocess.Popen[bytes]:
        return self.shell.start("agents", word, *self.at, *args)

    def open(self, *args: str) -> str:
        """The id of a new session."""
        opened = self.agents("open", *args)
        assert opened.code == 0, opened.stderr
        return opened.text.strip()

    def listed(self) -> Any:
        """The first service of the list."""
        return self.agents("list", "--json").document["services"][0]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service that answers at once."""
    with LiveService(Shell(tmp_path_factory.mktemp("agents")), "--max-sessions", "100") as service:
        yield service


@pytest.fixture(scope="module")
def client(service: LiveService) -> Client:
    return Client(service.shell, service.url)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a service whose answers take some seconds."""
    shell = Shell(tmp_path_factory.mktemp("slow_agents"))
    with LiveService(shell, *shell.faults(tokens_per_s=12)) as service:
        yield Client(shell, service.url)


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a service that never comes to an answer."""
    shell = Shell(tmp_path_factory.mktemp("stuck_agents"))
    with LiveService(shell, *shell.faults(latency_ms=600_000)) as service:
        yield Client(shell, service.url)


def read_until(process: subprocess.Popen[bytes], kind: str) -> bytes:
    """The lines of a command in jsonl up to the first event of a kind."""
    seen = b""
    for line, type_ in events_of(process):
        seen += line
        if type_ == kind:
            return seen
    pytest.fail(f"no {kind} came: {finish(process, seen).stderr}")


@pytest.mark.parametrize("word", ["", *WORDS])
def test_help(tmp_path: Path, word: str, snapshot: SnapshotAssertion) -> None:
    """--help of the group and of each command is as recorded."""
    ended = Shell(tmp_path).kata("agents", *word.split(), "--help", env={"COLUMNS": "110"})
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.text.rstrip("\n") + "\n" == snapshot


def test_a_conversation(client: Client) -> None:
    """A session is opened, two messages are answered one after the other, and all of it is shown."""
    session = client.open("--title", "about the shelf")
    assert SESSION_ID.fullmatch(session)
    first = client.agents("send", session, "What does the store do?")
    assert first.code == 0
    assert first.text.endswith("\n")
    assert first.text.strip() in client.agents("show", session).text
    second = client.agents("send", session, "--json", "And what else?").document
    assert (second["schema"], second["status"], second["exit_code"]) == ("kata.agent-turn/v1", "completed", 0)
    assert (second["session_id"], second["runtime_mode"], second["error"]) == (session, "mock", None)
    history = client.agents("show", session, "--json").document
    assert [message["role"] for message in history["messages"]] == ["user", "assistant"] * 2
    assert [message["text"] for message in history["messages"]][2:] == ["And what else?", second["text"]]
    assert history["messages"][-1]["entry"] == second["entry"]


def test_progress_is_on_stderr(client: Client) -> None:
    """Who answers and what it took is told on stderr; -q leaves that out; stdout is the answer alone."""
    session = client.open()
    told = client.agents("send", session, "Hello")
    opening, closing = told.stderr.splitlines()
    assert opening.startswith(f"{session} · mock")
    assert closing.startswith("mock/mock-1 · ")
    assert "tokens" in closing
    quiet = client.agents("send", session, "-q", "Hello")
    assert (quiet.code, quiet.stderr) == (0, "")


def test_a_terminal_gets_the_same_bytes(client: Client) -> None:
    """The answer on a terminal is that of a pipe."""
    session = client.open()
    piped = client.agents("send", session, "Hello")
    again = client.open()
    shown = on_terminal(client.shell, "agents", "send", *client.at, again, "Hello", streams="stdout")
    assert shown.screen == piped.stdout


def test_the_message_comes_from_stdin(client: Client) -> None:
    """`-`, or nothing where something is piped in, is the message; a terminal is not waited for."""
    session = client.open()
    for args in ((), ("-",)):
        assert client.agents("send", session, *args, stdin="Grüße aus der Röhre".encode()).code == 0
    texts = [message["text"] for message in client.agents("show", session, "--json").document["messages"]]
    assert texts[::2] == ["Grüße aus der Röhre"] * 2
    assert "give the text as an argument" in client.agents("send", session).refused(2)
    assert "empty" in client.agents("send", session, " ").refused(2)
    assert "not UTF-8" in client.agents("send", session, stdin=b"\xff\xfe").refused(11)


def test_files_go_along(client: Client) -> None:
    """A file of the session's directory is sent with the message; one outside of it is refused, and said."""
    client.shell.write("notes/plan.md", "Rename, then sync.\n")
    session = client.open("--directory", "notes")
    assert client.agents("send", session, "-f", "plan.md", "Read it").code == 0
    sent = client.agents("show", session, "--json").document["messages"][0]["text"]
    assert "Rename, then sync." in sent
    refused = client.agents("send", session, "-f", "../README.md", "Read it")
    assert "README.md" in refused.refused(2)


def test_events_as_json_lines(client: Client) -> None:
    """Each event is a line with its id, in order; the last one is `done` with the answer."""
    session = client.open()
    events = client.agents("send", session, "--format", "jsonl", "Hello").events
    types = [event["type"] for event in events]
    assert types[0] == "session"
    assert types[-1] == "done"
    assert {"message", "delta"} <= set(types)
    ids = [event["id"] for event in events]
    assert len(set(ids)) == len(ids)
    text = "".join(event["text"] for event in events if event["type"] == "delta")
    assert text.strip() == events[-1]["text"].strip()


def test_sessions_are_named(client: Client) -> None:
    """`last`, an id, a part of one and a title name a session; what names none or several is exit 2."""
    first, second = client.open("--title", "Reefs"), client.open("--title", "Tides")
    for name in ("last", second, second[-6:], "Tides"):
        assert client.agents("show", name, "--json").document["session"]["id"] == second
    assert client.agents("show", "Reefs", "--json").document["session"]["id"] == first
    assert "names" in client.agents("show", "s-2").refused(2)
    assert "did you mean Tides?" in client.agents("show", "Tide s").refused(2)
    unknown = "s-20200101-000000-aaaaaa"
    assert unknown in client.agents("show", unknown).refused(2)
    assert client.agents("send", unknown, "--json", "x").error["exit_code"] == 2


def test_stop_is_idempotent(client: Client) -> None:
    """A stopped session is closed, stays on disk, and the next message opens it again."""
    session = client.open()
    assert client.agents("send", session, "Hello").code == 0
    for _ in range(2):
        stopped = client.agents("stop", session, "--json").document
        assert (stopped["id"], stopped["status"]) == (session, "closed")
    assert client.agents("stop", session).text.startswith(f"{session}  closed")
    assert client.agents("abort", session, "--json").document["status"] == "closed"
    assert client.agents("send", session, "Are you there?").code == 0
    assert client.agents("show", session, "--json").document["session"]["messages"] == 4


def test_tree_fork_and_compact(client: Client) -> None:
    """A fork goes on from an entry; the tree shows places and head; a summary takes the place of turns."""
    session = client.open("--title", "branches")
    for text in ("One", "Two"):
        assert client.agents("send", session, text).code == 0
    shown = client.agents("tree", session).text.splitlines()
    assert shown[0].startswith(f"{session}  idle")
    assert [line.split()[2] for line in shown[1:]] == ["user:", "assistant:"] * 2
    assert shown[-1].endswith("<- head")
    places = client.agents("tree", session, "--json").document["places"]
    fork = client.agents("fork", session, "--at", places[1]["entry"], "--title", "other way").text.strip()
    assert [row.split()[3] for row in client.agents("tree", fork).text.splitlines()[1:2]] == ["One"]
    assert client.agents("show", "other way", "--json").document["session"]["id"] == fork
    assert "no entry" in client.agents("fork", session, "--at", "e99").refused(2)
    done = client.agents("compact", session, "--json").document
    assert (done["schema"], done["session_id"]) == ("kata.agent-compaction/v1", session)
    assert done["summary"]
    assert client.agents("show", session, "--json").document["messages"][0]["role"] == "summary"
    again = client.agents("compact", session)
    assert (again.code, again.text, "nothing to compact" in again.stderr) == (0, "", True)


def test_choose(client: Client) -> None:
    """Model, thinking and title change from then on; a model that there is not, or nothing, is refused."""
    session = client.open()
    chosen = client.agents("choose", session, "--title", "renamed", "--thinking", "low", "--json").document
    assert (chosen["title"], chosen["thinking"]) == ("renamed", "low")
    assert "nobody" in client.agents("choose", session, "--model", "nobody/knows").refused(2)
    assert "--title" in client.agents("choose", session).refused(2)


def test_titles_cannot_write_on_the_terminal(client: Client) -> None:
    """Escape sequences in a title are shown, and not obeyed."""
    client.open("--title", "red \x1b[31m \x9b2J text")
    listed = client.agents("list")
    assert b"\x1b" not in listed.stdout
    assert "\x9b" not in listed.text
    assert "red " in listed.text


def test_list_shows_what_was_measured(client: Client, service: LiveService) -> None:
    """Health, mode, version, sessions and the time of the answer are those of this call."""
    client.open("--title", "listed")
    row, *rest = client.agents("list").text.splitlines()
    assert row.startswith(f"{service.url}  ok  mock  ")
    assert re.search(r"  \d+/100 live  \d+ ms$", row)
    assert any("listed" in line and line.startswith("  s-") for line in rest)
    state = client.listed()
    assert state["sessions"][0]["title"] == "listed"
    assert state["response_s"] > 0
    assert (state["state"], state["error"], state["max_sessions"]) == ("ok", None, 100)


def test_an_unreachable_service_is_listed(client: Client) -> None:
    """What is not known of it is null; the exit code is 0 as long as another one answers, else its own."""
    nobody = "http://127.0.0.1:9"
    two = Client(client.shell, *client.at[1::2], nobody)
    ended = two.agents("list", "--json")
    assert ended.code == 0
    there, gone = ended.document["services"]
    assert (there["state"], gone["state"], gone["url"]) == ("ok", "unreachable", nobody)
    assert {gone[key] for key in ("version", "live", "max_sessions", "response_s", "sessions")} == {None}
    assert "refused the connection" in gone["error"]["message"]
    alone = Client(client.shell, nobody)
    ended = alone.agents("list")
    assert "start it: kata serve --port 9" in ended.refused(6)
    assert ended.text.startswith(f"{nobody}  unreachable  -  -  -/- live  -  ")
    assert "refused the connection" in alone.agents("send", "last", "Hello").refused(6)


def test_a_wrong_token_is_refused(client: Client, tmp_path: Path) -> None:
    """401 is exit 4 and names the flag; the health, which is open, is still shown; no token is printed."""
    wrong = tmp_path / "token"
    wrong.write_text("w" * 43)
    wrong.chmod(0o600)
    listed = client.agents("list", "--token-file", wrong)
    assert "--token-file" in listed.refused(4)
    assert "  refused  " in listed.text
    assert re.search(r" \d+/100 live", listed.text)
    ended = client.agents("send", "--token-file", wrong, "last", "Hello")
    assert "w" * 43 not in ended.refused(4) + listed.stderr + listed.text
    assert client.agents("list", "--token-file", tmp_path / "none").code == 4


def test_the_token_is_never_shown(client: Client, service: LiveService) -> None:
    """A model that repeats the token, and a debug run, do not print it."""
    session = client.open()
    sent = client.agents("send", session, f"My token is {service.token}")
    shown = client.agents("show", session, "--json")
    for ended in (sent, shown, client.agents("list", "--json")):
        assert service.token not in ended.stdout.decode() + ended.stderr


def test_without_a_service(tmp_path: Path) -> None:
    """Where no service ever ran there is no token, and the hint says how to start one."""
    assert "kata serve" in Shell(tmp_path).kata("agents").refused(4)


def test_the_setting_names_the_services(client: Client, service: LiveService) -> None:
    """The variable stands for --service; a kata.toml of the project may not name services."""
    env = {"KATA_SERVICES": service.url}
    assert (
        client.shell.kata("agents", "list", "--json", env=env).document["services"][0]["url"] == service.url
    )
    client.shell.write("kata.toml", f'services = ["{service.url}"]\n')
    try:
        assert "--trust-project" in client.shell.kata("agents").refused(3)
        assert client.shell.kata("agents", "list", "--trust-project").code == 0
    finally:
        (client.shell.project / "kata.toml").unlink()


def test_several_services(client: Client, tmp_path: Path) -> None:
    """A session is opened where most room is, and found wherever it is."""
    shell = client.shell
    with LiveService(shell, "--max-sessions", "1", "--workspace", str(tmp_path)) as small:
        two = Client(shell, *client.at[1::2], small.url)
        busy = client.open("--title", "in the big one")
        here = two.open("--title", "in the small one")
        assert Client(shell, small.url).listed()["sessions"][0]["id"] == here
        there = two.open()
        assert there in [session["id"] for session in client.listed()["sessions"]]
        for session in (busy, here, there):
            assert two.agents("show", session, "--json").document["session"]["id"] == session
        assert two.agents("show", "in the small one", "--json").document["session"]["id"] == here
        full = Client(shell, small.url).agents("open")
        assert "1 sessions are live" in full.refused(7)
        gone = Client(shell, small.url, "http://127.0.0.1:9")
        assert gone.agents("show", here).code == 0
        assert "refused the connection" in gone.agents("show", "nowhere").refused(6)


def test_a_running_turn_is_steered(slow: Client) -> None:
    """What is said meanwhile is answered in the same turn; a second message is refused as busy."""
    session = slow.open()
    process = slow.start("send", session, "--format", "jsonl", "Count")
    seen = read_until(process, "delta")
    assert slow.agents("steer", session, "Be brief").text.strip() == f"{session}  steering"
    busy = slow.agents("send", session, "--json", "Me too")
    assert busy.code == 6
    assert (busy.error["code"], busy.document["status"]) == ("busy", "failed")
    assert slow.listed()["running"] == 1
    ended = finish(process, seen)
    assert ended.code == 0
    texts = [event["message"]["text"] for event in ended.events if event["type"] == "message"]
    assert texts[0] == "Count"
    assert "Be brief" in texts
    assert "Be brief" in ended.events[-1]["text"]


def test_a_message_that_is_not_awaited(slow: Client) -> None:
    """--no-wait returns at once; what follows up is answered after it; watch sees both until the stop."""
    session = slow.open()
    watching = slow.start("watch", session)
    assert watching.stdout is not None
    seen = watching.stdout.readline()
    assert slow.agents("send", session, "--no-wait", "First").text.strip() == f"{session}  now"
    assert slow.agents("follow-up", session, "Then this").text.strip() == f"{session}  follow_up"
    seen += read_until(watching, "done") + read_until(watching, "done")
    assert slow.agents("stop", session).code == 0
    ended = finish(watching, seen)
    assert ended.code == 0
    assert ended.events[-1]["type"] == "bye"
    said = [event["message"] for event in ended.events if event["type"] == "message"]
    assert [one["text"] for one in said if one["role"] == "user"] == ["First", "Then this"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_aborts_the_turn(stuck: Client, number: signal.Signals, code: int) -> None:
    """The service is told, the last line is the error, and the session is free again."""
    session = stuck.open()
    process = stuck.start("send", session, "--format", "jsonl", "Think")
    ended = signal_at(process, number, "message")
    assert ended.code == code
    assert ended.events[-1]["type"] == "error"
    assert ended.error["code"] == "interrupted"
    assert session in ended.error["remediation"]
    assert stuck.agents("show", session, "--json").document["session"]["status"] == "idle"


def test_an_aborted_turn_is_told_to_who_waits(stuck: Client) -> None:
    """`abort` from elsewhere ends the turn, twice is harmless, and the sender says so."""
    session = stuck.open()
    process = stuck.start("send", session, "--format", "jsonl", "Think")
    seen = read_until(process, "message")
    for _ in range(2):
        assert stuck.agents("abort", session, "--json").document["status"] == "idle"
    ended = finish(process, seen)
    assert (ended.code, ended.error["code"]) == (130, "interrupted")
    assert ended.events[-1]["type"] == "error"


def test_a_broken_connection_is_made_again(slow: Client) -> None:
    """The message is sent once; events go on behind the last one that came, each once."""
    session = slow.open()
    port = int(slow.at[1].rpartition(":")[2])
    with BreakingProxy(port, lambda told, broken: broken < 2 and told.count(b"event: delta") > 2) as proxy:
        ended = Client(slow.shell, proxy.url).agents("send", session, "--format", "jsonl", "Hello")
        assert (ended.code, proxy.broken) == (0, 2), ended.stderr
    assert proxy.requests.lower().count(b"last-event-id: ") == 2
    numbers = [int(event["id"].rpartition(".")[2]) for event in ended.events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    text = "".join(event["text"] for event in ended.events if event["type"] == "delta")
    assert text.strip() == ended.events[-1]["text"].strip()
    said = slow.agents("show", session, "--json").document["messages"]
    assert [message["role"] for message in said] == ["user", "assistant"]


def test_a_turn_that_died_with_its_service_is_lost(tmp_path: Path) -> None:
    """A service that comes back does not know of the turn: exit 6, and nothing is sent a second time."""
    shell = Shell(tmp_path)
    stuck = shell.faults(latency_ms=600_000)
    first = LiveService(shell, *stuck)
    client = Client(shell, first.url)
    session = client.open()
    process = client.start("send", session, "--format", "jsonl", "Think")
    seen = read_until(process, "message")
    first.kill()
    with LiveService(shell, *stuck, port=first.port):
        ended = finish(process, seen)
        said = client.agents("show", session, "--json").document["messages"]
    assert ended.code == 6
    assert [event["type"] for event in ended.events][-2:] == ["reset", "error"]
    assert "lost the turn" in ended.error["message"]
    assert [message["text"] for message in said] == ["Think"]


def test_a_client_answers_tool_calls(client: Client) -> None:
    """A call of a tool named by `open --tools` waits for `answer`, whose text goes to the model."""
    tools = client.shell.write("tools.json", json.dumps([{"name": "lookup", "description": "Looks it up"}]))
    session = client.open("--tools", str(tools))
    process = client.start("send", session, "--format", "jsonl", "Please lookup the reef")
    seen = read_until(process, "tool")
    wanted = json.loads(seen.splitlines()[-1])
    assert (wanted["state"], wanted["tool"]) == ("wanted", "lookup")
    assert client.agents("answer", session, wanted["call_id"], "It is 42 m long.").code == 0
    ended = finish(process, seen)
    assert (ended.code, ended.events[-1]["type"]) == (0, "done")
    assert "42 m" in ended.events[-1]["text"]
    assert wanted["call_id"] in ended.stderr
    assert "call-9" in client.agents("answer", session, "call-9", "42").refused(2)


def test_tools_are_checked(client: Client) -> None:
    """A file that is no list of tools is refused with what is wrong with it, before anything is asked."""
    bad = client.shell.write("bad.json", '[{"nome": "lookup"}]')
    assert "name" in client.agents("open", "--tools", bad).refused(2)


def test_documents_are_as_their_schemas_say(client: Client) -> None:
    """What --json prints carries the name of its schema, and is as that says; so is the error on stderr."""
    session = client.open()
    printed = [
        client.agents("list", "--json"),
        client.agents("send", session, "--json", "Hello"),
        client.agents("compact", session, "--json"),
        client.agents("show", session, "--json"),
        client.agents("tree", session, "--json"),
        client.agents("steer", session, "--json", "Go on"),
        client.agents("stop", session, "--json"),
    ]
    for ended in printed:
        name = ended.document["schema"].removeprefix("kata.").removesuffix("/v1")
        Draft202012Validator(json_schema(name)).validate(ended.document)
    failed = Client(client.shell, "http://127.0.0.1:9").agents("list", "--json")
    Draft202012Validator(json_schema("agents")).validate(failed.document)
    Draft202012Validator(json_schema("error")).validate(failed.error)


def test_names_are_completed(client: Client) -> None:
    """Where a session is taken, those of this machine are offered."""
    session = client.open()
    words = ["kata", "agents", "stop", session[:8]]
    env = {"_KATA_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": "3"}
    assert session in client.shell.kata(env=env).text.split()
