"""`rpm` and `tpm` of a provider hold for the real requests of `run` and of `batch`, as a vendor counts them.

Without limits all requests of a test come within a fraction of a second. How exactly the limits are kept is
tested on virtual time, in `test_providers_rate.py`; here the first requests are late, for an SDK is imported.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cli.shell import Ended, Shell
from servers.vendor import Reply, Seen, Status, VendorServer

COUNT = 8
LIMITED = Status(status=429, error_type="rate_limit_error", message="slow down")
ANSWER = Reply(text="Because.", usage={"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20})


class Vendor:
    """Always answers, but for one request, and notes when it was asked."""

    def __init__(self, refused: int = 0) -> None:
        self.asked_s: list[float] = []
        self._refused = refused

    def __call__(self, seen: Seen) -> Reply | Status:
        self.asked_s.append(time.monotonic())
        return LIMITED if len(self.asked_s) == self._refused else ANSWER

    def span_s(self, first: int = 1) -> float:
        """Seconds from a request, counted from 1, to the last one."""
        return self.asked_s[-1] - self.asked_s[first - 1]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def configured(shell: Shell, server: VendorServer, limits: Mapping[str, int]) -> None:
    """The vendor as a provider of the user's own, with limits."""
    lines = ['kind = "openai"', f'base_url = "{server.openai_url}"', 'default_model = "some"']
    lines += [f"{name} = {value}" for name, value in limits.items()]
    path = shell.home / ".config/kata/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(['provider = "here"', "[providers.here]", *lines]) + "\n")


def run(shell: Shell, goal: str, jobs: int) -> Ended:
    """Tasks of one run that need nothing of each other."""
    tasks = [f'[[tasks]]\nid = "t{n}"\nrole = "answer"\nprompt = "{{{{goal}}}}"' for n in range(COUNT)]
    head = 'schema = "kata.workflow/v1"\nname = "wide"\n'
    result = f'[result]\ntask = "t{COUNT - 1}"\nkind = "text"\n'
    shell.write("wide.toml", head + "\n".join(tasks) + "\n" + result)
    return shell.kata("run", "--no-stdin", "--no-context", "-j", str(jobs), "-w", "./wide.toml", goal)


def batch(shell: Shell, goal: str, jobs: int) -> Ended:
    """The lines of a batch."""
    lines = "\n".join(json.dumps({"id": str(number), "goal": goal}) for number in range(COUNT))
    shell.write("in.jsonl", lines + "\n")
    return shell.kata("batch", "in.jsonl", "-w", "ask", "--no-context", "-j", str(jobs))


Command = Callable[[Shell, str, int], Ended]
BOTH = pytest.mark.parametrize("command", [run, batch])


@BOTH
def test_requests_a_minute_hold(shell: Shell, command: Command) -> None:
    """With 120 a minute two leave at once and then one each half second."""
    vendor = Vendor()
    with VendorServer(vendor) as server:
        configured(shell, server, {"rpm": 120})
        ended = command(shell, "Why?", COUNT)
    assert ended.code == 0, ended.stderr
    assert len(vendor.asked_s) == COUNT
    assert vendor.span_s() > 1.0  # of 3 s


def test_tokens_a_minute_hold(shell: Shell) -> None:
    """With 20,000 a minute each request of some 130 tokens keeps the next one waiting for 0.4 s."""
    vendor = Vendor()
    with VendorServer(vendor) as server:
        configured(shell, server, {"tpm": 20_000})
        ended = batch(shell, "Why? " * 96, COUNT)
    assert ended.code == 0, ended.stderr
    assert len(vendor.asked_s) == COUNT
    assert vendor.span_s() > 1.0  # of 2.5 s


@BOTH
def test_r4_a_429_slows_all_requests_and_loses_none(shell: Shell, command: Command) -> None:
    """R4: after it one leaves each second, and what was refused is asked again."""
    vendor = Vendor(refused=COUNT - 3)
    with VendorServer(vendor) as server:
        configured(shell, server, {"rpm": 120})
        ended = command(shell, "Why?", 1)
    assert ended.code == 0, ended.stderr
    assert len(vendor.asked_s) == COUNT + 1
    assert vendor.span_s(first=COUNT - 3) > 2.6  # of 4 s; at the full pace 2 s


def test_a_replay_waits_for_nobody(shell: Shell) -> None:
    """With one request a minute a run of eight would take seven minutes; a record has no such limit."""
    with VendorServer(Vendor()) as server:
        configured(shell, server, {})
        assert run(shell, "Why?", COUNT).code == 0
        configured(shell, server, {"rpm": 1})
    ended = shell.kata("run", "--no-stdin", "--replay", "last")
    assert ended.code == 0, ended.stderr
    assert ended.text == "Because.\n"
