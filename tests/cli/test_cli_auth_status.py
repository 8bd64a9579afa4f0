"""What `kata auth` stored in use: its status, where it is sent, and how it is dropped."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cli.auth_entries import KEY, TOKEN, credentials, login, prewritten, providers, stored
from cli.shell import Shell
from servers.vendor import Models, Reply, VendorServer

SESSION = {"token": TOKEN, "id": "t-1", "expires_at": "2999-01-01T00:00:00Z"}
ASK = ("run", "--no-stdin", "--no-context", "-w", "ask", "--format", "json", "goal")


def test_au_22_logout_is_idempotent(tmp_path: Path) -> None:
    """AU-22: one entry goes, the others stay, the last one takes the file along; twice is fine."""
    shell = Shell(tmp_path)
    providers(shell, "mine")
    for name in ("openai", "mine"):
        assert login(shell, name).code == 0
    providers(shell)
    gone = shell.kata("auth", "logout", "mine")
    assert (gone.code, gone.stdout) == (0, b"")
    assert list(stored(shell)) == ["openai"]
    assert "nothing is stored for mine" in shell.kata("auth", "logout", "mine").stderr
    assert "no key for openai: set OPENAI_API_KEY" in shell.kata("auth", "logout", "openai").stderr
    assert not credentials(shell).exists()
    again = shell.kata("auth", "logout", "openai")
    assert (again.code, again.stderr) == (0, "nothing is stored for openai\n")
    mistyped = shell.kata("auth", "logout", "opnai")
    assert (mistyped.code, "did you mean openai?" in mistyped.stderr) == (0, True)


def test_s4_a_stored_key_does_not_follow_the_address(tmp_path: Path) -> None:
    """S4: a key that was stored for one host is not sent to another, which gets no byte."""
    shell = Shell(tmp_path)
    login(shell, "openai")
    with VendorServer([Reply()]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        told = shell.kata(*ASK[:-3], "--provider", "openai", "goal", env=env).refused(4)
        assert server.accepted == 0
    assert f"is for api.openai.com, not for {server.host}" in told


def test_au_02_11_a_token_session_is_stored_and_sent_as_a_token(tmp_path: Path) -> None:
    """AU-02, AU-11: id, status and times are told; the token goes out as a bearer, after one free call."""
    shell = Shell(tmp_path)
    with VendorServer([Models()]) as server:
        env = {"ANTHROPIC_BASE_URL": server.base_url}
        told = login(shell, "anthropic", json.dumps(SESSION), "--token-session", env=env)
        assert (told.code, "token session of anthropic" in told.stderr) == (0, True)
        ended = shell.kata("auth", "status", "--provider", "anthropic", "--check", "--json", env=env)
        [seen] = server.requests
        shown = shell.kata("auth", env=env).text
    assert seen.method == "GET"
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    row = ended.document["providers"][0]
    assert (ended.code, row["is_checked"], row["error"]) == (0, True, None)
    session = row["credential"]["session"]
    assert (session["id"], session["status"], session["expires_at"]) == (
        "t-1",
        "active",
        "2999-01-01T00:00:00.000Z",
    )
    assert "expires 2999-01-01" in shown
    assert "canary" not in shown + ended.text


def test_au_13_15_an_expired_session(tmp_path: Path) -> None:
    """AU-13, AU-15: exit 4 with session_expired; a key steps in, is named as such, and may be kept out."""
    shell = Shell(tmp_path)
    text = f'[anthropic.session]\nid = "t-1"\ntoken = "{TOKEN}"\nexpires_at = "2001-01-01T00:00:00Z"\n'
    prewritten(shell, text)
    alone = shell.kata(*ASK, "--provider", "anthropic")
    assert (alone.code, alone.document["error"]["code"]) == (4, "session_expired")
    assert alone.document["error"]["retryable"] is True
    with VendorServer([Reply(text="Fine.")]) as server:
        env = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": KEY}
        asked = (*ASK, "--provider", "anthropic", "--auth-mode", "token_session")
        ended = shell.kata(*asked, env=env)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        strict = shell.kata(*asked, "--no-key-fallback", env=env)
        assert len(server.requests) == 1
    assert ended.code == 0
    assert "ANTHROPIC_API_KEY, as the token session has expired" in ended.stderr
    assert (strict.code, strict.document["error"]["code"]) == (4, "session_expired")


def test_au_08_09_10_14_modes_of_the_status(tmp_path: Path) -> None:
    """AU-08, AU-09, AU-10, AU-14, AU-16: mode, fallback and code are fields, and the exit status follows."""
    shell = Shell(tmp_path)

    def row(*flags: str, **env: str) -> tuple[int, Any, Any, Any]:
        ended = shell.kata("auth", "status", "--json", *flags, env=env)
        name = flags[1]
        [found] = [one for one in ended.document["providers"] if one["credential"]["provider"] == name]
        shown = found["resolution"]
        assert list(shown) == [
            "requested_mode",
            "resolved_mode",
            "fallback_applied",
            "status",
            "failure_code",
            "reason",
        ]
        assert KEY not in ended.text
        return ended.code, shown["resolved_mode"], shown["fallback_applied"], shown["failure_code"]

    openai = ("--provider", "openai", "--auth-mode", "token_session")
    anthropic = ("--provider", "anthropic", "--auth-mode", "token_session")
    assert row(*openai, OPENAI_API_KEY=KEY) == (0, "api_key", True, None)
    assert row(*openai) == (4, None, False, "missing_auth")
    assert row(*openai, "--no-key-fallback", OPENAI_API_KEY=KEY) == (4, None, False, "invalid_auth")
    assert row(*anthropic, ANTHROPIC_API_KEY=KEY) == (0, "api_key", True, None)
    assert row(*anthropic) == (4, None, False, "missing_auth")
    token_only = {"ANTHROPIC_AUTH_TOKEN": TOKEN}
    assert row("--provider", "anthropic", **token_only) == (0, "token_session", False, None)
    api_key = ("--provider", "anthropic", "--auth-mode", "api_key")
    assert row(*api_key, **token_only) == (4, None, False, "missing_auth")
    assert "token_session" in shell.kata("auth", "--auth-mode", "tokn_session").refused(2)


def test_au_19_what_needs_no_key_works_without_one(tmp_path: Path) -> None:
    """AU-19: looking around is exit 0; work without a key is exit 4 and names the variables."""
    shell = Shell(tmp_path)
    for command in ("config show", "sessions list", "workflows list", "auth status --mode mock"):
        assert shell.kata(*command.split()).code == 0, command
    told = shell.kata("run", "--no-stdin", "goal").refused(4)
    assert "ANTHROPIC_API_KEY" in told
    assert "OPENAI_API_KEY" in told


def test_a_key_cmd_is_run_without_a_shell_and_its_own_messages_are_dropped(tmp_path: Path) -> None:
    """The key of a password manager is sent and never shown; one that fails is named, its stderr is not."""
    shell = Shell(tmp_path)
    config = credentials(shell).with_name("config.toml")
    config.parent.mkdir(parents=True)
    code = (
        f"import sys; print('{KEY}'); print('canary on stderr', file=sys.stderr); sys.exit(len(sys.argv) > 2)"
    )
    argv = [sys.executable, "-c", code, "$HOME;id"]
    with VendorServer([Models()]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url}
        config.write_text(f"[providers.openai]\nkey_cmd = {json.dumps(argv)}\n")
        good = shell.kata("auth", "status", "--provider", "openai", "--check", env=env)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        config.write_text(f"[providers.openai]\nkey_cmd = {json.dumps([*argv, 'fail'])}\n")
        bad = shell.kata("auth", "status", "--provider", "openai", "--check", env=env)
        assert len(server.requests) == 1
    assert (good.code, "key_cmd  …0001" in good.text) == (0, True)
    assert "ended with status 1" in bad.refused(4)
    assert "canary" not in good.text + good.stderr + bad.text + bad.stderr
