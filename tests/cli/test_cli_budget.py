"""Budgets through the installed script: named, shared, resumable, and never passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import MOCK, QUICK, Shell
from servers.vendor import VendorServer

SPEC = (*MOCK, "Make save atomic")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of its own."""
    return Shell(tmp_path)


def test_r9_a_token_budget_stops_the_run_and_names_itself(shell: Shell) -> None:
    """Exit 7 with limit, spending and wish; what was done is kept, and a higher budget goes on from there."""
    told = shell.kata(*SPEC, "--token-budget", "12000").refused(7)
    assert "--token-budget 12,000 tokens reached" in told
    assert "--resume" in told
    spent = shell.last_run["usage"]
    assert spent["input"] + spent["output"] <= 12_000
    assert shell.kata("run", "--resume", "last", "--token-budget", "12000").code == 7
    assert shell.kata("run", "--resume", "last", "--token-budget", "90000").code == 0
    states = {task["id"]: task["attempts"] for task in shell.last_run["tasks"]}
    assert states == {**dict.fromkeys(states, 0), "synthesize": 1}


def test_a_budget_is_shared_by_parallel_tasks(shell: Shell) -> None:
    """With room for one answer at a time the tasks wait for each other, and all complete."""
    graph = "\n".join(
        f'[[tasks]]\nid = "t{number}"\nrole = "answer"\nprompt = "{{{{goal}}}}"\nmax_tokens = 4000'
        for number in range(4)
    )
    needs = ", ".join(f'"t{number}"' for number in range(4))
    last = f'[[tasks]]\nid = "end"\nrole = "answer"\nprompt = "end"\nmax_tokens = 4000\nneeds = [{needs}]'
    head = 'schema = "kata.workflow/v1"\nname = "wide"\n'
    shell.write("wide.toml", f'{head}{graph}\n{last}\n[result]\ntask = "end"\nkind = "text"\n')
    ended = shell.kata(
        *MOCK, "-w", "./wide.toml", "Why?", "--token-budget", "6000", "-j", "4", "--no-context"
    )
    assert ended.code == 0, ended.stderr
    usage = shell.last_run["usage"]
    assert usage["input"] + usage["output"] <= 6_000


def test_dollars_over_an_unknown_price_are_refused(shell: Shell) -> None:
    """A limit that nobody could keep is a usage error before any request, with another way on."""
    key = {"ANTHROPIC_API_KEY": "sk-ant-" + "x" * 40}
    argv = ("run", "--no-stdin", "Why?", "-m", "anthropic/nobody-knows-this", "--max-cost", "1")
    assert "--token-budget" in shell.kata(*argv, env=key).refused(2)
    assert shell.runs == []


def test_a_dry_run_estimates_the_cost_where_the_price_is_known(shell: Shell) -> None:
    """The vendor's own model has a price, a server elsewhere has none."""
    key = {"ANTHROPIC_API_KEY": "sk-ant-" + "x" * 40}
    argv = ("run", "--no-stdin", "-n", "-w", "quick", "Why?", "-m", "anthropic/claude-opus-5-5", "--json")
    assert 0 < shell.kata(*argv, env=key).document["cost_usd"] < 1
    elsewhere = {**key, "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    assert shell.kata(*argv, env=elsewhere).document["cost_usd"] is None


@pytest.mark.parametrize("flag", ["--max-cost", "--token-budget", "--max-tasks"])
@pytest.mark.parametrize("value", ["-1", "many", ""])
def test_a_limit_is_a_number(shell: Shell, flag: str, value: str) -> None:
    """What is no number, or below zero, is refused by the flag's name."""
    assert flag in shell.kata(*QUICK, flag, value).refused(2)


def test_a_server_of_the_users_own_has_no_known_price(shell: Shell) -> None:
    """The vendor's model on a server elsewhere costs nobody knows what: no request, no run."""
    with VendorServer() as server:
        env = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "sk-ant-" + "x" * 40}
        argv = ("run", "--no-stdin", "Why?", "-m", "anthropic/claude-opus-5-5", "--max-cost", "1")
        assert "--token-budget" in shell.kata(*argv, env=env).refused(2)
        assert server.accepted == 0
    assert shell.runs == []
