"""`kata sessions` about what `kata serve` leaves: sessions of agents, which hold messages and no runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cli.live_service import LiveService
from cli.shell import QUICK, Shell
from kata_cli.app.schemas import json_schema

HOUR_AGO = ("prune", "--older-than", "1h")


class World:
    """A run, a session that a service holds, and a closed one that ends with an escape sequence."""

    def __init__(self, shell: Shell, service: LiveService) -> None:
        self.shell = shell
        self.at = ("--service", service.url)
        assert shell.kata(*QUICK).code == 0
        self.run = shell.runs[0].name
        self.open = self._begun("--title", "the store", message="Where is the zebra?")
        self.closed = self._begun(message="About a giraffe \x1b[31m")
        assert shell.kata("agents", "stop", *self.at, self.closed).code == 0

    def _begun(self, *args: str, message: str) -> str:
        session = self.shell.kata("agents", "open", *self.at, *args).text.strip()
        assert self.shell.kata("agents", "send", *self.at, session, message).code == 0
        return session


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For the tests that delete nothing."""
    shell = Shell(tmp_path_factory.mktemp("sessions_agents"))
    with LiveService(shell) as service:
        yield World(shell, service)


def _check(document: dict[str, object], name: str) -> None:
    assert document["schema"] == f"kata.{name}/v1"
    Draft202012Validator(json_schema(name)).validate(document)


def test_list_shows_them_between_the_runs(world: World) -> None:
    """Newest first, with status, title and messages; a state or a workflow of runs leaves them out."""
    lines = world.shell.kata("sessions", "list").text.splitlines()
    assert [line.split()[:3] for line in lines] == [
        [world.closed, "closed", "session"],
        [world.open, "open", "session"],
        [world.run, "completed", "quick"],
    ]
    assert "2 messages" in lines[1]
    assert lines[1].endswith("mock/mock-1  the store")
    document = world.shell.kata("sessions", "list", "--json").document
    _check(document, "sessions")
    assert [row["session_id"] for row in document["sessions"]] == [world.closed, world.open]
    for left_out in (("--status", "completed"), ("-w", "quick")):
        assert len(world.shell.kata("sessions", "list", *left_out).text.splitlines()) == 1
    assert world.shell.kata("sessions", "list", cwd=world.shell.home).text == ""
    assert len(world.shell.kata("sessions", "list", "--all", cwd=world.shell.home).text.splitlines()) == 3


def test_list_takes_one_and_goes_page_by_page(world: World) -> None:
    """--session by a part of the id; a page has as many of each kind, and the next one is named."""
    one = world.shell.kata("sessions", "list", "--session", world.open[:-1]).text
    assert one.split()[0] == world.open
    first = world.shell.kata("sessions", "list", "--limit", "1")
    assert [line.split()[0] for line in first.text.splitlines()] == [world.closed, world.run]
    assert "there are more: --offset 1" in first.stderr
    rest = world.shell.kata("sessions", "list", "--limit", "1", "--offset", "1")
    assert (rest.text.split()[0], rest.stderr) == (world.open, "")


def test_search_finds_what_was_said(world: World) -> None:
    """A word of a message, with the text around it; a word of a run still finds the run alone."""
    found = world.shell.kata("sessions", "search", "zebra").text
    assert found.startswith(f"{world.open}  open")
    assert "Where is the [zebra]?" in found
    document = world.shell.kata("sessions", "search", "giraffe", "--json").document
    _check(document, "search")
    assert [hit["session"]["session_id"] for hit in document["sessions"]] == [world.closed]
    assert document["hits"] == []
    assert world.shell.kata("sessions", "search", "atomic").text.startswith(world.run)


def test_show_prints_the_conversation_safely(world: World) -> None:
    """By the id or a part of it; control characters are shown, not sent to the terminal."""
    shown = world.shell.kata("sessions", "show", world.closed[:-1])
    assert shown.code == 0
    assert "\n[user]\nAbout a giraffe ^[[31m\n\n[assistant]\n" in shown.text
    assert "\x1b" not in shown.text
    document = world.shell.kata("sessions", "show", world.open, "--json").document
    _check(document, "conversation")
    assert (document["session"]["status"], document["session"]["messages"]) == ("open", 2)
    assert [message["role"] for message in document["messages"]] == ["user", "assistant"]
    assert "there is no session" in world.shell.kata("sessions", "show", "s-nothing").refused(2)


def test_t4_one_that_a_service_holds_is_not_deleted(world: World) -> None:
    """T4: rm names the process and deletes nothing; prune does not list it."""
    told = world.shell.kata("sessions", "rm", world.closed, world.open).refused(11)
    assert f"the session {world.open} is in use by process" in told
    assert world.shell.kata("sessions", "show", world.closed).code == 0
    assert world.open not in world.shell.kata("sessions", *HOUR_AGO).text


def test_stats_count_them(world: World) -> None:
    """Beside the runs: how many there are, their messages, tokens and cost."""
    document = world.shell.kata("sessions", "stats", "--json").document
    _check(document, "stats")
    assert document["total"]["runs"] == 1
    conversations = document["conversations"]
    assert (conversations["sessions"], conversations["messages"]) == (2, 4)
    assert conversations["tokens"] > 0
    assert "2 sessions" in world.shell.kata("sessions", "stats").text


def _aged(shell: Shell, session_id: str) -> None:
    """Let a session, and all that was said in it, be of years ago."""
    path = Path(shell.home, ".local/state/kata/sessions", f"{session_id}.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    aged = (json.dumps({**line, "ts": "2020-01-01T00:00:00.000Z"}) for line in lines)
    path.write_text("".join(f"{line}\n" for line in aged))


def test_rm_and_prune_delete_them(tmp_path: Path) -> None:
    """rm by id; prune only the closed ones that are old, after it has listed them; --keep spares some."""
    shell = Shell(tmp_path)
    with LiveService(shell) as service:
        world = World(shell, service)
        assert shell.kata("sessions", "rm", world.closed).text.startswith(f"deleted  {world.closed}")
    assert "there is no session" in shell.kata("sessions", "show", world.closed).refused(2)
    assert shell.kata("sessions", *HOUR_AGO).text == ""
    _aged(shell, world.open)
    listed = shell.kata("sessions", *HOUR_AGO)
    assert listed.text.startswith(f"old      {world.open}")
    assert "--yes" in listed.stderr
    for spared in (("prune", "--keep", "0"), (*HOUR_AGO, "--keep", "1"), (*HOUR_AGO, "--status", "failed")):
        assert shell.kata("sessions", *spared, "--json").document["conversations"] == []
    document = shell.kata("sessions", *HOUR_AGO, "--yes", "--json").document
    _check(document, "removal")
    assert [one["is_deleted"] for one in document["conversations"]] == [True]
    assert shell.kata("sessions", "list", "--json").document["sessions"] == []
    assert [run.name for run in shell.runs] == [world.run]
