"""What a child of Pi sees, and which models it reports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fake_pi.fakes import FakePi
from kata_cli.core.errors import KataError
from kata_cli.core.messages import ModelInfo
from kata_cli.pi import home
from servers.adapters import finish

RETRIES = {"retry": {"provider": {"maxRetries": 0}}}
VERSIONS = pytest.mark.parametrize("version", ["0.74.2", "0.87.1"])


def modelled(fake: FakePi) -> list[ModelInfo]:
    async def main() -> list[ModelInfo]:
        provider = fake.provider()
        try:
            return await provider.models()
        finally:
            await provider.aclose()

    return asyncio.run(main())


@VERSIONS
def test_models_are_what_pi_reports(tmp_path: Path, version: str) -> None:
    """Asked where Pi can tell, computed where it cannot, the levels are the same; nothing is invented."""
    found = modelled(FakePi(tmp_path, version=version))
    assert [(model.provider, model.id, model.context_window) for model in found] == [
        ("fake", "m", 32000),
        ("fake", "think", None),
        ("other", "x/y", None),
    ]
    think = ["minimal", "low", "medium", "high", "xhigh"]
    assert [model.thinking for model in found] == [["off"], think, ["off"]]


def test_without_models_the_list_is_empty(tmp_path: Path) -> None:
    """A Pi without any key knows no model, which is no error."""
    assert modelled(FakePi(tmp_path, fault="no-models")) == []


def test_f55_without_pi_there_are_no_models(tmp_path: Path) -> None:
    """The reason and the way to install Pi are said."""
    fake = FakePi(tmp_path)
    fake.binary.unlink()
    with pytest.raises(KataError, match="Pi is not installed") as caught:
        modelled(fake)
    assert caught.value.failure.code == "agent_unavailable"
    assert "npm install" in caught.value.failure.hint


def test_p9_a_child_sees_little(tmp_path: Path) -> None:
    """Its variables are the allowed ones and one key; its directory is private; its tools only read."""
    fake = FakePi(tmp_path, runs=[[{"text": "$env"}]])
    environ = {
        "HOME": "/h",
        "LANG": "C",
        "LC_ALL": "C",
        "TERM": "dumb",
        "TMPDIR": "/tmp",
        "PATH": f"/bin:.:relative::{fake.workspace}",
        "ANTHROPIC_API_KEY": "canary",
        "NODE_OPTIONS": "--require=/evil.js",
        "PI_CODING_AGENT_DIR": "/users/own",
    }
    keys = {"fake": {"FAKE_API_KEY": "needed"}, "other": {"OTHER_API_KEY": "canary"}}
    (events,) = fake.answers(environ=environ, keys=keys)
    seen = json.loads(finish(events).reply.text)
    env = {name: value for name, value in seen["env"].items() if name not in ("PWD", "SHLVL", "_", "OLDPWD")}
    home = env.pop("PI_CODING_AGENT_DIR")
    assert home not in ("", "/users/own")
    kept = {name: environ[name] for name in ("HOME", "LANG", "LC_ALL", "TERM", "TMPDIR")}
    assert env == {**kept, "PATH": "/bin", "PI_OFFLINE": "1", "FAKE_API_KEY": "needed"}
    assert seen["cwd"] == str(fake.workspace)
    assert seen["argv"] == [
        "--mode",
        "rpc",
        "--session-dir",
        f"{home}/sessions",
        "--tools",
        "read,grep,find,ls",
        "-ne",
        "-ns",
        "-np",
        "-nc",
        "--system-prompt",
        "",
        "--append-system-prompt",
        "",
    ]
    assert seen["home"]["mode"] == "0o700"
    assert seen["home"]["settings"] == {**RETRIES, "defaultProjectTrust": "never"}
    assert not Path(seen["env"]["PI_CODING_AGENT_DIR"]).exists()


def test_the_users_own_login_is_shared_only_when_asked_for(tmp_path: Path) -> None:
    """With an agent directory its login and models are linked, its settings are not."""
    own = tmp_path / "own"
    own.mkdir()
    for name in ("auth.json", "models.json", "settings.json"):
        own.joinpath(name).write_text('{"retry":{}}')
    fake = FakePi(tmp_path, runs=[[{"text": "$env"}]])
    (events,) = fake.answers(agent_dir=own, tools=(), has_extensions=True)
    seen = json.loads(finish(events).reply.text)
    files = seen["home"]["files"]
    assert [files["auth.json"], files["models.json"]] == [str(own / "auth.json"), str(own / "models.json")]
    assert seen["home"]["settings"] == {**RETRIES, "defaultProjectTrust": "always"}
    assert own.joinpath("settings.json").read_text() == '{"retry":{}}'
    sessions = f"{seen['env']['PI_CODING_AGENT_DIR']}/sessions"
    assert seen["argv"] == ["--mode", "rpc", "--session-dir", sessions, "--no-tools"]


def sleeper(directory: Path) -> subprocess.Popen[bytes]:
    """A process as a tool of an agent with this directory starts it."""
    environment = {**os.environ, "PI_CODING_AGENT_DIR": str(directory)}
    return subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes below /proc")
def test_f80_what_a_killed_process_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory whose owner is gone is removed at the next start, with what still runs; no other is."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    names = [f"kata-pi-{gone.pid}-abc", f"kata-pi-{os.getpid()}-abc", "kata-pi-notes", "kata-pi-", "other"]
    for name in names:
        tmp_path.joinpath(name).mkdir()
    strays = [sleeper(tmp_path / name) for name in names[:2]]
    made = home.make(None)
    assert strays[0].wait() == -signal.SIGKILL
    assert strays[1].poll() is None
    strays[1].kill()
    strays[1].wait()
    assert made.name.startswith(f"kata-pi-{os.getpid()}-")
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], made.name}
