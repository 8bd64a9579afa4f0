"""A run whose agents are real Pis behind real services of live sessions, one of which dies under it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cli.shell import Ended, Shell, finish
from pi_real.asking import pids
from pi_real.installed import TIMEOUT_S, Generation, Place, read_notes_then_answer
from servers.vendor import Behaviour, Reply, Script, Seen, VendorServer

RUN = ("run", "--no-stdin", "--mode", "pi", "-w", "ask", "-m", "vendor/served-1", "What is the answer?")
SILENT = Reply(cut_at=0, is_stalled=True)


class Services:
    """Real services in mode pi, each with a vendor of its own, over one home and one token."""

    def __init__(self, root: Path, generation: Generation, stack: ExitStack) -> None:
        self.shell = Shell(root)
        self._generation = generation
        self._stack = stack

    def start(self, name: str, script: Script) -> tuple[str, subprocess.Popen[bytes], Place]:
        """A service: its URL, its process, and where its agents work."""
        root = self.shell.home.parent / name
        root.mkdir()
        place = Place(root, self._generation, self._stack.enter_context(VendorServer(script)))
        env = {"KATA_PI_BINARY": str(place.pi), "KATA_PI_AGENT_DIR": str(place.agent_dir)}
        process = self.shell.start(
            *("serve", "--mode", "pi", "--port", "0", "--json", "--workspace", str(place.project)), env=env
        )
        self._stack.callback(_end, process)
        assert process.stdout is not None
        return json.loads(process.stdout.readline())["url"], process, place

    def run(self, *urls: str) -> Ended:
        """A run at these services to its end; two Pis in turn may have to start."""
        process = self.shell.start(*RUN, *(part for url in urls for part in ("--service", url)))
        self._stack.callback(process.kill)
        stdout, stderr = process.communicate(timeout=3 * TIMEOUT_S)
        return Ended(process.returncode, stdout, stderr.decode())

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of the last run, of one type."""
        lines = (self.shell.runs[-1] / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["type"] == kind]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    finish(process)


@pytest.fixture
def services(tmp_path: Path, generation: Generation) -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(tmp_path, generation, stack)


def host(url: str) -> str:
    return url.removeprefix("http://")


def works_in(place: Place) -> list[int]:
    """The processes that stand in the project of a place."""
    found = []
    for pid in pids():
        try:
            if Path(f"/proc/{pid}/cwd").readlink() == place.project:
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_real_agent_of_a_service_reads_its_workspace_and_answers(services: Services) -> None:
    """Its tool calls and its usage are in the record, its model is what it reports; the session is let go."""
    url, _, place = services.start("one", read_notes_then_answer)
    ended = services.run(url)
    assert ended.code == 0, ended.stderr
    assert ended.text == "the answer is 42\n"
    assert [event["tool"] for event in services.events("tool.started")] == ["read"]
    (usage,) = services.events("usage.reported")
    assert (usage["host"], usage["model"]) == (host(url), "vendor/served-1")
    assert usage["usage"]["input"] > 0
    assert works_in(place) == []


def test_f95_a_run_goes_on_elsewhere_when_a_service_is_killed_before_any_content(services: Services) -> None:
    """F95, PI-42: SIGKILL in mid-request; the attempt is recorded as failed, the other service answers."""
    asked: list[Seen] = []
    process: subprocess.Popen[bytes]

    def silent_then_dead(seen: Seen) -> Behaviour:
        asked.append(seen)
        process.kill()
        return SILENT

    first, process, dead = services.start("first", silent_then_dead)
    second, _, _ = services.start("second", [Reply(text="It is 42.")])
    ended = services.run(first, second)
    assert (ended.code, ended.text) == (0, "It is 42.\n"), ended.stderr
    assert len(asked) == 1
    (failed,) = services.events("attempt.failed")
    assert failed["failure"]["code"] == "provider_unavailable"
    assert host(first) in failed["failure"]["message"]
    assert services.events("usage.reported")[0]["host"] == host(second)
    assert works_in(dead) == []
