"""Models of the user's own, as the real Pi judges them and asks them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.shell import Ended, Shell
from pi_real.installed import KEY, Generation, Open, Place, binary
from servers.vendor import Reply

ADD = ("models", "add", "pi/local/served-1")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "shell")


def kata(shell: Shell, generation: Generation, *args: str, **env: str) -> Ended:
    return shell.kata(*args, env={"KATA_PI_BINARY": str(binary(generation.version)), **env})


def test_mo_12_a_model_is_added_listed_and_asked(opened: Open, generation: Generation, shell: Shell) -> None:
    """MO-12: its key goes to its own server as it is, its levels are those that were given."""
    place = opened([Reply(text="Forty-two.")])
    options = ("--key-env", "LOCAL_KEY", "--thinking", "low,high", "--output-cost", "2")
    added = kata(shell, generation, *ADD, "--base-url", place.server.openai_url, *options)
    assert added.code == 0, added.stderr
    assert "set LOCAL_KEY" in added.text
    assert place.server.requests == []
    listed = kata(shell, generation, "models", "list", "--mode", "pi", "--json", LOCAL_KEY=KEY)
    (row,) = listed.document["models"]
    assert (row["id"], row["thinking"], row["is_default"]) == ("served-1", ["low", "high"], True)
    ask = ("run", "--no-stdin", "--mode", "pi", "-w", "ask", "--thinking", "high", "What is it?")
    ended = kata(shell, generation, *ask, LOCAL_KEY=KEY)
    assert ended.code == 0, ended.stderr
    assert ended.text.strip() == "Forty-two."
    (seen,) = place.server.requests
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert (seen.body["model"], seen.body["reasoning_effort"]) == ("served-1", "high")


def test_a_server_without_a_key(opened: Open, generation: Generation, shell: Shell) -> None:
    """What runs on this machine mostly wants none."""
    place = opened([Reply(text="Hello.")])
    assert kata(shell, generation, *ADD, "--base-url", place.server.openai_url).code == 0
    ended = kata(shell, generation, "run", "--no-stdin", "--mode", "pi", "-w", "ask", "Hi")
    assert (ended.code, ended.text.strip()) == (0, "Hello."), ended.stderr


def test_mo_12_pi_says_what_is_wrong(opened: Open, generation: Generation, shell: Shell) -> None:
    """MO-12: an error in the user's own models.json, which over RPC only empties the list, is told."""
    place = opened([])
    use(shell, place)
    own = place.agent_dir / "models.json"
    providers = json.loads(own.read_text())
    providers["providers"]["vendor"]["models"][0]["contextWindow"] = 0
    own.write_text(json.dumps(providers))
    told = kata(shell, generation, *ADD, "--base-url", place.server.openai_url).refused(5)
    assert "contextWindow" in told
    assert "served-1" in told
    assert not (shell.home / ".config/kata/models.toml").exists()


def test_the_users_own_models_are_beside_them(opened: Open, generation: Generation, shell: Shell) -> None:
    """With pi.agent_dir both are there, its default is the run's, and nothing in it changes."""
    place = opened([Reply(text="Hello.")])
    use(shell, place)
    settings = {"defaultProvider": "vendor", "defaultModel": "thinker-1"}
    (place.agent_dir / "settings.json").write_text(json.dumps(settings))
    before = {path.name: path.read_bytes() for path in place.agent_dir.iterdir()}
    assert kata(shell, generation, *ADD, "--base-url", place.server.openai_url).code == 0
    listed = kata(shell, generation, "models", "list", "--mode", "pi", "--json").document["models"]
    assert [f"{row['provider']}/{row['id']}" for row in listed] == [
        "local/served-1",
        "vendor/served-1",
        "vendor/thinker-1",
    ]
    assert [row["is_default"] for row in listed] == [False, False, True]
    assert {path.name: path.read_bytes() for path in place.agent_dir.iterdir()} == before


def use(shell: Shell, place: Place) -> None:
    """The place's Pi directory in the config."""
    config = shell.home / ".config/kata/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[pi]\nagent_dir = "{place.agent_dir}"\n')
