"""Which key is used, from where, and what is refused."""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path

import pytest
from config_world import World

from kata_cli.config.credentials import Outcome, SessionStatus
from kata_cli.config.keys import clean
from kata_cli.core.clock import parse_stamp
from kata_cli.core.errors import Failure, KataError
from kata_cli.core.ports import Credential

KEY = "sk-ant-canary-0001"
PYTHON = sys.executable


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _find(
    world: World, env: dict[str, str] | None = None, key_file: Path | None = None, provider: str = "anthropic"
) -> Credential | Failure:
    return world.finder(env, key_file).find(world.resolve(env=env).endpoints[provider])


def _found(
    world: World, env: dict[str, str] | None = None, key_file: Path | None = None, provider: str = "anthropic"
) -> Credential:
    credential = _find(world, env, key_file, provider)
    assert isinstance(credential, Credential), credential
    return credential


def _failed(
    world: World, env: dict[str, str] | None = None, key_file: Path | None = None, provider: str = "anthropic"
) -> Failure:
    failure = _find(world, env, key_file, provider)
    assert isinstance(failure, Failure), failure
    return failure


def _command(code: str, **options: object) -> str:
    rest = "".join(f"{name} = {value!r}\n" for name, value in options.items())
    return f"{rest}[providers.anthropic]\nkey_cmd = [{PYTHON!r}, '-c', {code!r}]\n"


def test_au05_each_source_beats_the_next_and_names_what_it_hides(world: World, tmp_path: Path) -> None:
    """The documented order, from `--api-key-file` down to the credentials file."""
    key_file = tmp_path / "key"
    key_file.write_text("from-file\n")
    env = {
        "KATA_ANTHROPIC_API_KEY": "from-kata",
        "ANTHROPIC_API_KEY": "from-key",
        "ANTHROPIC_AUTH_TOKEN": "from-token",
    }
    world.user(_command("print('from-cmd')"))
    stored = world.stored("[anthropic]\napi_key = 'from-store'")
    order = [*env, "key_cmd", f"{stored} (plain text)"]

    first = _found(world, env, key_file)
    assert (first.secret, first.source, first.shadowed) == ("from-file", "--api-key-file", tuple(order))
    for index, secret in enumerate(["from-kata", "from-key", "from-token", "from-cmd"]):
        credential = _found(world, env)
        assert (credential.secret, credential.source) == (secret, order[index])
        assert credential.shadowed == tuple(order[index + 1 :])
        env.pop(order[index], None)
    world.user("")
    assert _found(world).secret == "from-store"
    assert _found(world).shadowed == ()


def test_a_token_is_told_from_a_key(world: World) -> None:
    """`ANTHROPIC_AUTH_TOKEN` goes into another header."""
    assert _found(world, {"ANTHROPIC_AUTH_TOKEN": KEY}).kind == "token"
    assert _found(world, {"ANTHROPIC_API_KEY": KEY}).kind == "api_key"


@pytest.mark.parametrize("blank", ["", " ", "\n", " \n"])
def test_au01_a_blank_variable_is_absent(world: World, blank: str) -> None:
    """The next source is asked."""
    env = {"KATA_ANTHROPIC_API_KEY": blank, "ANTHROPIC_API_KEY": f" {KEY}\n"}
    assert _found(world, env).secret == KEY


def test_au07_the_missing_key_shows_both_ways_on(world: World) -> None:
    """The variable to export, and the mode that needs no key."""
    failure = _failed(world, provider="openai")
    assert (failure.code, failure.exit, failure.provider) == ("missing_auth", 4, "openai")
    assert "OPENAI_API_KEY" in failure.message
    assert "export OPENAI_API_KEY=" in failure.hint
    assert "--mode mock" in failure.hint


def test_a_custom_provider_has_its_own_variables_only(world: World) -> None:
    """S4: a vendor's key never goes to another provider's address."""
    world.user("[providers.my-llm]\nkind = 'openai'\nbase_url = 'https://other.example'")
    env = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "KATA_OPENAI_API_KEY": KEY}
    failure = _failed(world, env, provider="my-llm")
    assert "KATA_MY_LLM_API_KEY" in failure.message
    assert _found(world, {"KATA_MY_LLM_API_KEY": KEY}, provider="my-llm").secret == KEY
    world.user("[providers.my-llm]\nkind = 'openai'\nbase_url = 'https://other.example'\nkey_env = 'OWN_KEY'")
    assert _found(world, {"OWN_KEY": KEY}, provider="my-llm").source == "OWN_KEY"


def test_au24_loopback_needs_no_key_but_takes_one(world: World) -> None:
    """A local server gets no credential unless there is one."""
    env = {"OPENAI_BASE_URL": "http://localhost:11434/v1"}
    assert (_found(world, env, provider="openai").kind, _found(world, env, provider="openai").secret) == (
        "none",
        "",
    )
    assert _found(world, env | {"OPENAI_API_KEY": KEY}, provider="openai").secret == KEY


@pytest.mark.parametrize("code", [*range(32), 127, 0x80, 0x9B, 0x2028, 0xE9])
def test_s6_f86_control_characters_are_refused_before_any_io(world: World, code: int) -> None:
    """CR, LF, NUL and all others inside a key are `invalid_auth`, and the key is not repeated."""
    failure = _failed(world, {"ANTHROPIC_API_KEY": f"canary{chr(code)}x"})
    assert (failure.code, failure.exit) == ("invalid_auth", 4)
    assert "ANTHROPIC_API_KEY" in failure.message
    assert "canary" not in failure.message + failure.hint


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n", f"{KEY}\r\n", f" {KEY} "])
def test_one_line_end_and_outer_spaces_are_stripped(text: str) -> None:
    """What editors and shells append is no part of the key; two line ends are."""
    assert clean(text, "x") == KEY
    with pytest.raises(KataError):
        clean(f"{KEY}\n\n", "x")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_s2_f84_credentials_open_to_others_are_refused(world: World, mode: int) -> None:
    """Wider than 0600 is refused with the command that mends it; a key from above is not harmed."""
    path = world.stored(f"[anthropic]\napi_key = '{KEY}'", mode)
    failure = _failed(world)
    assert (failure.code, failure.hint) == ("invalid_auth", f"chmod 600 {path}")
    assert f"{mode:04o}" in failure.message
    assert _found(world, {"ANTHROPIC_API_KEY": KEY}).shadowed == ()


def test_s2_f84_a_symlink_is_refused(world: World) -> None:
    """The file must be itself, wherever a link leads."""
    path = world.stored(f"[anthropic]\napi_key = '{KEY}'")
    path.rename(world.home / "elsewhere")
    path.symlink_to(world.home / "elsewhere")
    failure = _failed(world)
    assert failure.code == "invalid_auth"
    assert "symlink" in failure.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_f83_f84_files_of_another_user_are_refused(world: World) -> None:
    """Neither keys nor commands are taken from what somebody else wrote."""
    path = world.stored(f"[anthropic]\napi_key = '{KEY}'")
    os.chown(path, 12_345, -1)
    assert "another user" in _failed(world).message
    world.user("jobs = 3")
    os.chown(world.user_file, 12_345, -1)
    assert "expected a file of yours" in world.refusal().message


@pytest.mark.parametrize("text", ["anthropic = 'x'", "[anthropic]\nkey = 'x'", "[anthropic]\napi_key = 3"])
def test_a_malformed_entry_is_told(world: World, text: str) -> None:
    """The form of an entry is named instead of a silent miss."""
    world.stored(text)
    assert 'expected api_key = "…"' in _failed(world).message


def test_a_broken_credentials_file_is_a_config_error(world: World) -> None:
    """The parser's message names file and line and no content."""
    path = world.stored("[anthropic]\napi_key = canary")
    failure = _failed(world)
    assert failure.code == "config"
    assert f"{path}:2" in failure.message
    assert "canary" not in failure.message


def test_s4_a_stored_key_is_bound_to_its_host(world: World) -> None:
    """A key stored for one host is not sent to another one."""
    world.stored(f"[anthropic]\napi_key = '{KEY}'\nhost = 'api.anthropic.com'")
    assert _found(world).secret == KEY
    failure = _failed(world, {"ANTHROPIC_BASE_URL": "https://evil.example"})
    assert failure.code == "invalid_auth"
    assert "api.anthropic.com, not for evil.example" in failure.message


def test_a_key_file_that_is_missing_or_blank_is_an_error(world: World, tmp_path: Path) -> None:
    """What was named explicitly never falls through to another key."""
    env = {"ANTHROPIC_API_KEY": KEY}
    assert _failed(world, env, tmp_path / "none").exit == 11
    (tmp_path / "blank").write_text("\n")
    failure = _failed(world, env, tmp_path / "blank")
    assert (failure.code, "--api-key-file" in failure.message) == ("missing_auth", True)


@pytest.mark.parametrize(
    ("code", "failure_code", "what"),
    [
        ("import sys; print('canary', file=sys.stderr); sys.exit(3)", "invalid_auth", "ended with status 3"),
        ("print('x' * 100_000)", "invalid_auth", "printed more than 65536 bytes"),
        ("import os; os.write(1, b'canary\\0x')", "invalid_auth", "control character"),
        ("pass", "missing_auth", "key_cmd gave no key"),
    ],
)
def test_a_key_cmd_that_fails_is_told_and_not_passed_over(
    world: World, capfd: pytest.CaptureFixture[str], code: str, failure_code: str, what: str
) -> None:
    """Its output is never repeated, and no lower source steps in."""
    world.user(_command(code))
    world.stored(f"[anthropic]\napi_key = '{KEY}'")
    failure = _failed(world)
    assert failure.code == failure_code
    assert what in failure.message
    assert "canary" not in failure.message + failure.hint + "".join(capfd.readouterr())


def test_a_key_cmd_that_does_not_exist_is_told(world: World) -> None:
    """The command is named."""
    world.user("[providers.anthropic]\nkey_cmd = ['/nowhere/vault']")
    assert "key_cmd: /nowhere/vault does not start: No such file" in _failed(world).message


@pytest.mark.parametrize("before", ["", "exec >&-; "])
def test_a_key_cmd_that_hangs_is_killed_with_its_children(world: World, tmp_path: Path, before: str) -> None:
    """Time is up for the whole group, also when stdout was closed before: nobody holds the pipe any more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    script = f"{before}exec 9>'{pipe}'; echo started >&9; sleep 60 & wait"
    world.user(
        f"key_cmd_timeout = 0.5\n[providers.anthropic]\nkey_cmd = ['/bin/sh', '-c', {json.dumps(script)}]"
    )
    assert "took longer than 0.5 s" in _failed(world).message
    assert _read_to_end(reader) == b"started\n"


def _read_to_end(reader: int) -> bytes:
    """All that was written, once every writer has gone."""
    data = b""
    while select.select([reader], [], [], 10)[0]:
        chunk = os.read(reader, 4096)
        if not chunk:
            os.close(reader)
            return data
        data += chunk
    raise AssertionError("a child still holds the pipe")


def test_a_key_cmd_has_no_shell_and_no_stdin_and_runs_once(world: World, tmp_path: Path) -> None:
    """Arguments arrive as they are, and asking twice costs one run."""
    count = tmp_path / "count"
    code = f"import sys; open({str(count)!r}, 'a').write('x'); print('key$HOME' + sys.stdin.read())"
    world.user(_command(code))
    finder, endpoint = world.finder(), world.resolve().endpoints["anthropic"]
    assert [finder.find(endpoint), finder.find(endpoint)] == [
        Credential(secret="key$HOME", source="key_cmd")
    ] * 2
    assert count.read_text() == "x"


@pytest.mark.parametrize(
    ("key", "masked"), [(KEY, "…0001"), ("x" * 12, "…xxxx"), ("x" * 11, "…"), ("abcd", "…")]
)
def test_au17_status_masks_the_key(world: World, key: str, masked: str) -> None:
    """At most the last four characters, and none of a short key."""
    env = {"ANTHROPIC_API_KEY": key, "ANTHROPIC_AUTH_TOKEN": KEY}
    status = world.finder(env).explain(world.resolve(env=env).endpoints["anthropic"])
    assert (status.is_available, status.source, status.masked) == (True, "ANTHROPIC_API_KEY", masked)
    assert (status.shadowed, status.host) == (("ANTHROPIC_AUTH_TOKEN",), "api.anthropic.com")
    assert key not in repr(status) or key == "abcd"


def test_au16_status_is_data_also_without_a_key(world: World) -> None:
    """Why there is no key is a field, not an exception."""
    status = world.finder().explain(world.resolve().endpoints["anthropic"])
    assert (status.is_available, status.failure_code) == (False, "missing_auth")
    assert "ANTHROPIC_API_KEY" in status.reason


SESSION = f"""[anthropic.session]
id = "t-1"
token = "{KEY}"
issued_at = "2026-11-21T10:00:00Z"
expires_at = "2026-11-21T11:00:00Z"
"""
ISSUED_S = parse_stamp("2026-11-21T10:00:00Z")


def _outcome(world: World, now_s: float, provider: str = "anthropic", **env: str) -> Outcome:
    """How a provider is signed in to at a moment, with these variables."""
    return world.finder(env, now=lambda: now_s).outcome(world.resolve(env=env).endpoints[provider])


def _table(outcome: Outcome) -> tuple[str | None, bool, str | None]:
    resolution = outcome.resolution
    return resolution.resolved_mode, resolution.fallback_applied, resolution.failure_code


def test_au_11_a_stored_session_is_a_token(world: World) -> None:
    """AU-11: it is used as a token, is told with its times, and gives way to any key unless asked for."""
    world.stored(SESSION)
    outcome = _outcome(world, ISSUED_S)
    assert isinstance(outcome.found, Credential)
    assert (outcome.found.kind, outcome.found.secret) == ("token", KEY)
    assert _table(outcome) == ("token_session", False, None)
    status = world.finder(now=lambda: ISSUED_S).explain(world.resolve().endpoints["anthropic"])
    assert status.session == SessionStatus(
        id="t-1",
        status="active",
        issued_at="2026-11-21T10:00:00.000Z",
        expires_at="2026-11-21T11:00:00.000Z",
    )
    both = _outcome(world, ISSUED_S, ANTHROPIC_API_KEY="a-key")
    assert _table(both) == ("api_key", False, None)
    assert isinstance(both.found, Credential)
    assert "token session in" in both.found.shadowed[0]
    asked = _outcome(world, ISSUED_S, ANTHROPIC_API_KEY="a-key", KATA_AUTH_MODE="token_session")
    assert _table(asked) == ("token_session", False, None)


def test_au_07_api_key_mode_does_not_take_a_token(world: World) -> None:
    """AU-07: with `--auth-mode api_key` neither a stored token nor that of a variable stands in for a key."""
    world.stored(SESSION)
    outcome = _outcome(world, ISSUED_S, ANTHROPIC_AUTH_TOKEN=KEY, KATA_AUTH_MODE="api_key")
    assert _table(outcome) == (None, False, "missing_auth")


@pytest.mark.parametrize(
    ("stored", "after_s", "code", "why"),
    [
        pytest.param(SESSION.replace("t-1", " "), 0, "invalid_auth", "has no id", id="au_12_blank_id"),
        pytest.param(SESSION, 3600, "session_expired", "has expired", id="au_13_expired"),
        pytest.param("", 0, "missing_auth", "there is no token session", id="au_14_absent"),
    ],
)
def test_au_12_13_14_15_a_session_that_cannot_be_used(
    world: World, stored: str, after_s: float, code: str, why: str
) -> None:
    """AU-12, AU-13, AU-14, AU-15: the key steps in and the source says why; without the fallback it fails."""
    world.stored(stored)
    asked = {"ANTHROPIC_API_KEY": "a-key", "KATA_AUTH_MODE": "token_session"}
    outcome = _outcome(world, ISSUED_S + after_s, **asked)
    assert _table(outcome) == ("api_key", True, None)
    assert isinstance(outcome.found, Credential)
    assert outcome.found.secret == "a-key"
    assert outcome.found.source.startswith("ANTHROPIC_API_KEY, as ")
    assert why in outcome.found.source
    alone = _outcome(world, ISSUED_S + after_s, **asked, KATA_KEY_FALLBACK="false")
    assert _table(alone) == (None, False, code)
    assert isinstance(alone.found, Failure)
    assert (alone.found.code, alone.found.exit) == (code, 4)
    assert "auth login anthropic --token-session" in alone.found.hint


def test_au_08_09_10_a_provider_without_token_sessions(world: World) -> None:
    """AU-08, AU-09, AU-10: openai takes the key, misses one, or refuses when it may not fall back."""
    asked = {"KATA_AUTH_MODE": "token_session"}
    assert _table(_outcome(world, 0, "openai", **asked, OPENAI_API_KEY="a-key")) == ("api_key", True, None)
    assert _table(_outcome(world, 0, "openai", **asked)) == (None, False, "missing_auth")
    strict = {**asked, "OPENAI_API_KEY": "a-key", "KATA_KEY_FALLBACK": "false"}
    assert _table(_outcome(world, 0, "openai", **strict)) == (None, False, "invalid_auth")


def test_au_24_a_keyless_provider_is_authenticated_without_a_mode(world: World) -> None:
    """AU-24: `requires_key = false` needs neither; that is no failure."""
    world.user("[providers.local]\nkind = 'openai'\nbase_url = 'https://local.example'\nrequires_key = false")
    outcome = _outcome(world, 0, "local")
    assert (outcome.resolution.status, _table(outcome)) == ("authenticated", (None, False, None))


@pytest.mark.parametrize("line", ["token = 3", "id = 3", "issued_at = 'soon'", "expires_at = 2026-11-21"])
def test_a_malformed_session_is_told(world: World, line: str) -> None:
    """The entry is named, its content is not, and the hint drops it."""
    name = line.partition(" ")[0]
    kept = [row for row in SESSION.splitlines() if not row.startswith(name)]
    world.stored("\n".join([*kept, line]))
    failure = _failed(world)
    assert (failure.code, failure.hint) == ("invalid_auth", "kata auth logout anthropic")
    assert "anthropic.session" in failure.message


def test_s4_a_stored_token_is_bound_to_its_host(world: World) -> None:
    """S4: a token stored for one host is not sent to another one."""
    world.stored(SESSION + 'host = "api.anthropic.com"\n')
    failure = _failed(world, {"ANTHROPIC_BASE_URL": "https://evil.example"})
    assert "the token of anthropic is for api.anthropic.com, not for evil.example" in failure.message


def test_a_key_that_is_too_long_is_refused() -> None:
    """No server takes such a header."""
    assert clean("x" * 8192, "x")
    with pytest.raises(KataError, match="longer than 8192"):
        clean("x" * 8193, "x")
