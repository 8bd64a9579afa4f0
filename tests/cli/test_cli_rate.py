"""`rpm` and `tpm` of a provider hold for the real requests of `run` and of `batch`, as a vendor counts them.

Unthrottled the requests of a test come within a fraction of a second, with a full pace after a 429 in half of
the time that is asked for; the exact times are those of `test_providers_rate.py`, on virtual time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cli.shell import Ended, Shell
from servers.vendor import Reply, Seen, Status, VendorServer

COUNT = 5
LIMITED = Status(status=429, error_type="rate_limit_error", message="slow down")
ANSWER = Reply(text="Because.", usage={"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20})


class Vendor:
    """Answers with the given refusals first, then always, and notes when it was asked."""

    def __init__(self, *refusals: Status) -> None:
        self.asked_s: list[float] = []
        self._refusals = list(refusals)

    def __call__(self, seen: Seen) -> Reply | Status:
        self.asked_s.append(time.monotonic())
        return self._refusals.pop() if self._refusals else ANSWER

    @property
    def span_s(self) -> float:
        """Seconds from the first request to the last."""
        return self.asked_s[-1] - self.asked_s[0]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def configured(shell: Shell, server: VendorServer, limits: Mapping[str, int]) -> None:
    """The vendor as a provider of the user's own, with limits."""
    lines = ['kind = "openai"', f'base_url = "{server.openai_url}"', 'default_model = "some"']
    lines += [f"{name} = {value}" for name, value in limits.items()]
    path = shell.home / ".config/kata/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(['provider = "here"', "[providers.here]", *lines]) + "\n")


def run(shell: Shell, goal: str) -> Ended:
    """So many tasks of one run that all may begin at once, the last of them being the result."""
    tasks = [f'[[tasks]]\nid = "t{n}"\nrole = "answer"\nprompt = "{{{{goal}}}}"' for n in range(COUNT)]
    head = 'schema = "kata.workflow/v1"\nname = "wide"\n'
    result = f'[result]\ntask = "t{COUNT - 1}"\nkind = "text"\n'
    shell.write("wide.toml", head + "\n".join(tasks) + "\n" + result)
    return shell.kata("run", "--no-stdin", "--no-context", "-j", str(COUNT), "-w", "./wide.toml", goal)


def batch(shell: Shell, goal: str) -> Ended:
    """So many lines of a batch that all may begin at once."""
    lines = "\n".join(json.dumps({"id": str(number), "goal": goal}) for number in range(COUNT))
    shell.write("in.jsonl", lines + "\n")
    return shell.kata("batch", "in.jsonl", "-w", "ask", "--no-context", "-j", str(COUNT))


Command = Callable[[Shell, str], Ended]
BOTH = pytest.mark.parametrize("command", [run, batch])


@BOTH
def test_requests_a_minute_hold(shell: Shell, command: Command) -> None:
    """With 120 a minute two leave at once and then one each half second."""
    vendor = Vendor()
    with VendorServer(vendor) as server:
        configured(shell, server, {"rpm": 120})
        ended = command(shell, "Why?")
    assert ended.code == 0, ended.stderr
    assert len(vendor.asked_s) == COUNT
    assert vendor.span_s > 1.0  # 1.5 s


@BOTH
def test_tokens_a_minute_hold(shell: Shell, command: Command) -> None:
    """With 12,000 a minute each request of some 120 tokens keeps the next one waiting for over half a second."""
    vendor = Vendor()
    with VendorServer(vendor) as server:
        configured(shell, server, {"tpm": 12_000})
        ended = command(shell, "Why? " * 96)
    assert ended.code == 0, ended.stderr
    assert len(vendor.asked_s) == COUNT
    assert vendor.span_s > 1.0


@BOTH
def test_r4_a_429_slows_all_requests_and_loses_none(shell: Shell, command: Command) -> None:
    """R4: the pace is half of what it was, for those as well that were not refused."""
    vendor = Vendor(LIMITED)
    with VendorServer(vendor) as server:
        configured(shell, server, {"rpm": 120})
        ended = command(shell, "Why?")
    assert ended.code == 0, ended.stderr
    assert len(vendor.asked_s) == COUNT + 1
    assert vendor.span_s > 3.0  # 4 s; at the full pace it would be 2 s
