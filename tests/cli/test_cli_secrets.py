"""S1: a key that goes through every command and every failure is found nowhere afterwards."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from cli.shell import MOCK, Ended, Shell
from servers.vendor import Behaviour, Models, Reply, Status, VendorServer

CANARY = 'kC9/canary+"x\\y=ZtQ7vW3m'
FORMS = {
    "raw": CANARY,
    "json": json.dumps(CANARY)[1:-1],
    "percent": quote(CANARY, safe=""),
    "percent path": quote(CANARY),
    "base64": base64.b64encode(CANARY.encode()).decode().rstrip("="),
    "base64 url": base64.urlsafe_b64encode(CANARY.encode()).decode().rstrip("="),
}
TOLD = "You sent " + " and ".join(FORMS.values())
NATIVE = ("run", "--no-stdin", "--provider", "openai")


def leaks(shell: Shell, *ended: Ended) -> list[str]:
    """Where any form of the canary is: an output, or a file below the home and the project."""
    places = {f"{name} {number}": text for number, one in enumerate(ended) for name, text in outputs(one)}
    for root in (shell.home, shell.project):
        places |= {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return [
        f"{form} in {place}"
        for place, data in places.items()
        for form, text in FORMS.items()
        if text.encode() in data
    ]


def outputs(ended: Ended) -> list[tuple[str, bytes]]:
    return [("stdout", ended.stdout), ("stderr", ended.stderr.encode())]


def test_the_search_finds_a_leak(tmp_path: Path) -> None:
    """The search itself works: a file with any form of the canary is reported."""
    shell = Shell(tmp_path)
    for name, text in FORMS.items():
        shell.write("note.txt", f"a {text} b")
        assert [leak for leak in leaks(shell) if leak.startswith(name)], name


@pytest.mark.parametrize(
    "behaviour",
    [
        Status(status=401, message=TOLD),
        Status(status=400, message=TOLD, error_type="invalid_request_error"),
        Status(status=404, message=TOLD),
        Status(status=403, text=TOLD, content_type="text/html"),
        Status(status=307, headers={"location": f"http://127.0.0.1:9/{quote(CANARY)}"}),
        Reply(text=TOLD),
        Reply(text=TOLD, stop="length"),
        Reply(text=TOLD, error={"type": "api_error", "message": TOLD}),
    ],
    ids=["401", "400", "404", "403-html", "307", "reply", "cut", "error-in-stream"],
)
def test_s1_a_vendor_that_says_the_key_back(tmp_path: Path, behaviour: Behaviour) -> None:
    """S1: a key that an error body, a redirect or a reply repeats in any form is in no output and no file."""
    shell = Shell(tmp_path)
    with VendorServer([behaviour]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": CANARY}
        form = "jsonl" if isinstance(behaviour, Reply) else "text"
        ended = shell.kata(*NATIVE, "-w", "ask", "-v", "--format", form, "goal", env=env)
        assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert leaks(shell, ended) == []


def test_s1_f51_a_key_split_over_two_deltas(tmp_path: Path) -> None:
    """S1, F51: a key that arrives in two deltas, in any form and cut at any place of a few, is in neither."""
    shell = Shell(tmp_path)
    cuts = [(form, cut) for form in FORMS.values() for cut in (1, len(form) // 2, len(form) - 1)]
    chunks = [piece for form, cut in cuts for piece in (f"the key {form[:cut]}", f"{form[cut:]} ends. ")]
    with VendorServer([Reply(text="", chunks=chunks)]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "KATA_OPENAI_API_KEY": CANARY}
        ended = shell.kata(*NATIVE, "-w", "ask", "--format", "jsonl", "goal", env=env)
    assert ended.code == 0
    assert leaks(shell, ended) == []
    shown = "".join(event["text"] for event in ended.events if event["type"] == "content.delta")
    assert shown.count("ends.") == shown.count("[redacted") == len(cuts)
    halves = [half for form, cut in cuts for half in (form[:cut], form[cut:]) if len(half) > 8]
    assert not [half for half in halves if half in shown]


def test_s1_every_command(tmp_path: Path) -> None:
    """S1: no command shows the key it uses, from a variable, a file, a command or the credentials file."""
    shell = Shell(tmp_path)
    (tmp_path / "key").write_text(CANARY)
    (tmp_path / "key").chmod(0o600)
    with VendorServer([Models(rows=[{"id": CANARY}])]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": CANARY}
        keyless = {"OPENAI_BASE_URL": server.openai_url}
        ended = [
            shell.kata("auth", "status", "--provider", "openai", "--check", env=env),
            shell.kata("auth", "--json", env=env),
            shell.kata("auth", "--api-key-file", tmp_path / "key", "--provider", "openai", env=keyless),
            shell.kata("config", "show", env=env),
            shell.kata("config", "--json", env=env),
            shell.kata(*NATIVE, "-n", "goal", env=env),
            shell.kata(*NATIVE, "-n", "--json", f"Explain {CANARY}", env=env),
            shell.kata("sessions", "list", env=env),
            shell.kata("workflows", "list", env=env),
            shell.kata(*NATIVE, "--bogus", env=env),
            shell.kata(*NATIVE, "--debug", "-w", "nope", "goal", env=env),
        ]
    assert [one.code for one in ended] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2]
    assert leaks(shell, *ended) == []


def test_s1_a_key_in_the_material(tmp_path: Path) -> None:
    """S1: a key that stands in the goal or on stdin is kept nowhere, and that on stdin is not sent."""
    shell = Shell(tmp_path)
    note = f"the key is {CANARY} here\n"
    with VendorServer([Reply(text="Understood.")]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": CANARY}
        args = ("run", "--provider", "openai", "-w", "ask", "--format", "json", "-v")
        goal = shell.kata(*args, f"Explain {CANARY} to me", env=env)
        piped = shell.kata(*args, "Explain", env=env, stdin=note.encode())
        body = str(server.requests[1].body)
    assert (goal.code, piped.code) == (0, 0)
    assert leaks(shell, goal, piped) == []
    assert "the key is [redacted" in body
    assert not [form for form, text in FORMS.items() if text in body]


def test_s4_f85_a_project_cannot_send_the_key_elsewhere(tmp_path: Path) -> None:
    """S4, F85: a base_url in an untrusted kata.toml is exit 3, and its server gets no byte."""
    shell = Shell(tmp_path)
    with VendorServer([Reply()]) as server:
        shell.write("kata.toml", f'[providers.openai]\nbase_url = "{server.openai_url}"\n')
        told = shell.kata(*NATIVE, "goal", env={"OPENAI_API_KEY": CANARY}).refused(3)
        assert "--trust-project" in told
        assert "kata.toml:" in told
        assert server.accepted == 0
    assert shell.runs == []


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "a\nb", "clé-à-moi-long-enough", "a\x1bb"])
def test_s6_f86_keys_that_cannot_be_sent(tmp_path: Path, key: str) -> None:
    """S6, F86: a key with a line break or another control character is refused before any byte is sent."""
    shell = Shell(tmp_path)
    with VendorServer([Reply()]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": key}
        told = shell.kata(*NATIVE, "goal", env=env).refused(4)
        assert server.accepted == 0
    assert key not in told
    assert "OPENAI_API_KEY" in told


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("command", ["models list --refresh", "auth status --check"])
def test_s1_commands_beside_run_do_not_say_the_key_back(
    tmp_path: Path, command: str, form: tuple[str, ...]
) -> None:
    """S1: what `run` redacts, every other command that holds the key redacts too, escapes included."""
    shell = Shell(tmp_path)
    with VendorServer([Status(status=401, message=f"{TOLD}\x1b[31m")]) as server:
        env = {"OPENAI_BASE_URL": server.openai_url, "OPENAI_API_KEY": CANARY}
        ended = shell.kata(*command.split(), "--provider", "openai", *form, env=env)
        assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert ended.code == 4
    assert leaks(shell, ended) == []
    assert b"\x1b" not in ended.stdout + ended.stderr.encode()


def test_s1_mock_mode_knows_the_keys_of_the_environment(tmp_path: Path) -> None:
    """S1: a key in the environment is redacted in mock mode too, where nobody asks for it."""
    shell = Shell(tmp_path)
    ended = shell.kata(*MOCK, "-w", "ask", f"my key is {CANARY}", env={"OPENAI_API_KEY": CANARY})
    assert ended.code == 0
    assert leaks(shell, ended) == []


def test_s1_login_and_logout_keep_the_key_in_one_file(tmp_path: Path) -> None:
    """S1: a key or token that is stored, refused or dropped is in credentials.toml and nowhere else."""
    shell = Shell(tmp_path)
    path = shell.home / ".config/kata/credentials.toml"
    token = json.dumps({"token": CANARY, "expires_at": "2001-01-01T00:00:00Z"})
    ended = [
        shell.kata("auth", "login", "openai", stdin=CANARY.encode()),
        shell.kata("auth", "login", "anthropic", "--token-session", stdin=CANARY.encode()),
        shell.kata("auth", "login", "anthropic", "--token-session", stdin=token.encode()),
        shell.kata("auth", "login", "openai", stdin=f"{CANARY}\r\n{CANARY}".encode()),
        shell.kata("auth", "login", "opnai", stdin=CANARY.encode()),
        shell.kata("auth", "login", "openai", CANARY),
        shell.kata("auth", "login", "openai", "--debug", stdin=CANARY.encode()),
        shell.kata("auth", "status", "--json"),
        shell.kata("auth", "status"),
    ]
    assert [one.code for one in ended] == [0, 0, 4, 4, 2, 2, 2, 0, 0]
    assert path.read_text().count("canary") == 2
    assert [leak for leak in leaks(shell, *ended) if str(path) not in leak] == []
    ended += [shell.kata("auth", "logout", name) for name in ("openai", "anthropic")]
    assert leaks(shell, *ended) == []
