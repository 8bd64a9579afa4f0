"""A run in pi mode whose agents run at services, through the installed program; the services are scripted."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cli.shell import Ended, Shell, signal_at
from fake_pi.fakes import FakePi
from servers.agent_service import TOKEN, AgentService, Turn, refusal
from servers.vendor import VendorServer

RUN = ("run", "--no-stdin", "--mode", "pi", "-w", "ask", "-m", "anthropic/served-1", "Say hello.")
THINKING = {"type": "delta", "text": "Hm.", "kind": "thinking"}


class World:
    """A shell, the file with the token, and services as they are asked for."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.shell = Shell(root)
        self.token_file = root / "token"
        self.token_file.write_text(TOKEN)
        self.token_file.chmod(0o600)
        self._stack = stack

    def serve(self, agents: AgentService) -> str:
        """The URL of a service that lasts as long as the test."""
        return self._stack.enter_context(VendorServer(agents)).base_url

    def run(self, *urls: str, more: tuple[str, ...] = (), env: dict[str, str] | None = None) -> Ended:
        """A run at these services."""
        named = [part for url in urls for part in ("--service", url)]
        return self.shell.kata(*RUN, *named, "--token-file", self.token_file, *more, env=env)

    @property
    def told(self) -> list[dict[str, Any]]:
        """The events of the last run."""
        lines = (self.shell.runs[-1] / "events.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.told if event["type"] == kind]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def closed_port() -> str:
    """The URL of a service that has just gone."""
    with VendorServer() as server:
        return server.base_url


def host(url: str) -> str:
    return url.removeprefix("http://")


def test_the_agents_of_a_service_answer_and_the_first_line_names_it(world: World) -> None:
    """The text of the answer is on stdout; the record says which host answered."""
    url = world.serve(AgentService())
    ended = world.run(url)
    assert (ended.code, ended.text) == (0, "Hello from the service.\n"), ended.stderr
    assert host(url) in ended.stderr.splitlines()[0]
    (usage,) = world.events("usage.reported")
    assert (usage["host"], usage["model"]) == (host(url), "anthropic/served-1")
    assert TOKEN not in ended.stderr + (world.shell.runs[-1] / "events.jsonl").read_text()


def test_pi_42_a_service_that_is_gone_is_passed_over_and_that_is_recorded(world: World) -> None:
    """PI-42: the failed attempt is in the journal with its host, the next follows at once elsewhere."""
    gone, url = closed_port(), world.serve(AgentService())
    assert world.run(gone, url).text == "Hello from the service.\n"
    (failed,) = world.events("attempt.failed")
    assert host(gone) in failed["failure"]["message"]
    assert (failed["failure"]["has_other"], failed["delay_s"]) == (True, 0.0)
    assert [event["attempt"] for event in world.events("attempt.started")] == [1, 2]
    assert world.events("usage.reported")[0]["host"] == host(url)


def test_a_service_that_refuses_the_token_is_left_out(world: World) -> None:
    """Another one answers, and the warning says whose token was wrong."""
    locked, url = world.serve(AgentService(token="u" * 43)), world.serve(AgentService())
    ended = world.run(locked, url)
    assert ended.code == 0
    assert f"{host(locked)} was left out" in ended.stderr


def test_f90_a_token_that_no_service_takes_is_exit_4(world: World) -> None:
    """The hint names the file that was used."""
    told = world.run(world.serve(AgentService(token="u" * 43))).refused(4)
    assert str(world.token_file) in told


def test_f20_no_service_is_exit_6(world: World) -> None:
    """After the attempts of any request, without waiting for what never was there."""
    gone = closed_port()
    assert f"kata serve --port {gone.rpartition(':')[2]}" in world.run(gone).refused(6)


@pytest.mark.parametrize("mode", ["native", "mock"])
def test_a_service_without_pi_is_refused(world: World, mode: str) -> None:
    """No silent change of the mode: exit 5 with the mode it runs in."""
    told = world.run(world.serve(AgentService(mode=mode))).refused(5)
    assert mode in told
    assert "kata serve --mode pi" in told


def test_without_a_model_the_services_are_asked(world: World) -> None:
    """What all of them list."""
    one = world.serve(AgentService(models=["anthropic/only-here", "vendor/both"]))
    other = world.serve(AgentService(models=["vendor/both"]))
    ended = world.shell.kata(
        *("run", "--no-stdin", "--mode", "pi", "-w", "ask", "x"),
        *("--service", one, "--service", other, "--token-file", world.token_file),
    )
    assert ended.code == 0, ended.stderr
    assert world.shell.last_run["model"] == "vendor/both"


def test_local_adds_the_agents_of_this_machine(world: World, tmp_path: Path) -> None:
    """With no room at the service they answer."""
    (tmp_path / "pi").mkdir()
    pi = FakePi(tmp_path / "pi", models=[{"id": "served-1", "provider": "anthropic"}])
    full = refusal(429, "limit_reached", "8 sessions are live", {"retry-after": "60"})
    url = world.serve(AgentService(create=[full] * 9))
    ended = world.run(url, "local", env={"KATA_PI_BINARY": str(pi.binary)})
    assert ended.code == 0, ended.stderr
    assert f"{host(url)}, local" in ended.stderr.splitlines()[0]
    assert world.events("usage.reported")[0]["host"] == "local"
    assert pi.is_gone()


def test_in_ci_only_agents_of_this_machine_need_a_word(world: World) -> None:
    """Those of a service see nothing of the job."""
    url = world.serve(AgentService())
    assert world.run(url, env={"CI": "true"}).code == 0
    assert "--allow-agent" in world.run(url, "local", env={"CI": "true"}).refused(2)


REFUSED: list[tuple[tuple[str, ...], int, str]] = [
    (("--mode", "native", "--service", "http://127.0.0.1:9"), 2, "--mode pi"),
    (("--mode", "pi", "--service", "http://agents.example"), 2, "allow_http"),
    (("--mode", "pi", "--service", "https://agents.example"), 4, "which token is for"),
    (("--mode", "pi", "--service", "http://127.0.0.1:9"), 4, "serve.token"),
    (("--mode", "pi", "--service", "agents.example"), 2, "--service"),
    (
        ("--mode", "pi", "--service", "http://127.0.0.1:9", "--token-file", "a", "--token-file", "b"),
        2,
        "2 token files",
    ),
]


@pytest.mark.parametrize(("arguments", "code", "told"), REFUSED)
def test_what_cannot_be_asked_is_refused_before_the_run(
    world: World, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """No run is recorded, and nothing is sent."""
    ended = world.shell.kata("run", "--no-stdin", "-w", "ask", "x", *arguments)
    assert told in ended.refused(code)
    assert world.shell.runs == []


def test_the_own_token_of_this_machine_goes_to_loopback_without_being_asked_for(world: World) -> None:
    """The file that `kata serve` makes; variables name the service as well as flags."""
    own = world.shell.home / ".local" / "state" / "kata" / "serve.token"
    own.parent.mkdir(parents=True, mode=0o700)
    own.write_text(TOKEN)
    own.chmod(0o600)
    ended = world.shell.kata(*RUN, env={"KATA_SERVICE": world.serve(AgentService())})
    assert ended.text == "Hello from the service.\n", ended.stderr


def test_each_service_gets_its_own_token(world: World) -> None:
    """With one token file for each, in their order."""
    other_file = world.token_file.with_name("other")
    other_file.write_text("u" * 43)
    other_file.chmod(0o600)
    one, other = AgentService(create=[refusal(503, "provider_unavailable", "not now")] * 9), AgentService()
    other = AgentService(token="u" * 43)
    ended = world.run(world.serve(one), world.serve(other), more=("--token-file", str(other_file)))
    assert ended.code == 0, ended.stderr
    assert {seen.headers.get("authorization") for seen in one.seen} == {None, f"Bearer {TOKEN}"}
    assert {seen.headers.get("authorization") for seen in other.seen} == {None, f"Bearer {'u' * 43}"}


def test_a_run_that_is_resumed_goes_on_at_its_services(world: World) -> None:
    """Never at agents of this machine, which nobody asked for."""
    error = {"code": "content_policy", "message": "declined", "remediation": "reword it"}
    url = world.serve(AgentService([Turn(error=error), Turn()]))
    assert world.run(url).code == 5
    ended = world.shell.kata("run", "--resume", "last", "--no-stdin")
    assert ended.text == "Hello from the service.\n", ended.stderr
    assert host(url) in ended.stderr.splitlines()[0]


def test_f73_ctrl_c_stops_the_session_at_the_service(world: World) -> None:
    """The run ends as any other does, and no agent works on for nobody."""
    agents = AgentService([Turn(events=[THINKING], cut_after=3, is_stalled=True)])
    process = world.shell.start(
        *RUN, "--service", world.serve(agents), "--token-file", world.token_file, "--format", "jsonl"
    )
    assert signal_at(process, signal.SIGINT, "content.delta").code == 130
    assert agents.stopped == ["s-1"]


def test_a_replay_asks_no_service(world: World) -> None:
    """It answers from the record, whoever has gone since."""
    agents = AgentService()
    world.run(world.serve(agents))
    asked = len(agents.seen)
    world.token_file.unlink()
    ended = world.shell.kata("run", "--replay", "last", "--no-stdin")
    assert ended.text == "Hello from the service.\n", ended.stderr
    assert len(agents.seen) == asked


def test_a_batch_shares_its_services(world: World) -> None:
    """Every line goes to one of them, and none above its capacity."""
    services = [AgentService(max_sessions=2), AgentService(max_sessions=1)]
    named = [part for agents in services for part in ("--service", world.serve(agents))]
    lines = "".join(json.dumps({"id": str(n), "goal": f"g{n}", "workflow": "ask"}) + "\n" for n in range(6))
    ended = world.shell.kata(
        *("batch", "-", "--mode", "pi", "-m", "anthropic/served-1", *named),
        *("--token-file", world.token_file),
        stdin=lines.encode(),
    )
    assert ended.code == 0, ended.stderr
    assert sum(len(agents.messages) for agents in services) == 6
    assert all(agents.messages for agents in services)
    assert [len(agents.stopped) for agents in services] == [len(agents.messages) for agents in services]
