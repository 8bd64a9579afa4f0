"""Which key is used, from where, and what is refused."""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path

import pytest
from config_keys import KEY, failed_key, found_key
from config_world import World

from kata_cli.config.keys import clean
from kata_cli.core.errors import KataError
from kata_cli.core.ports import Credential

PYTHON = sys.executable


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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

    first = found_key(world, env, key_file)
    assert (first.secret, first.source, first.shadowed) == ("from-file", "--api-key-file", tuple(order))
    for index, secret in enumerate(["from-kata", "from-key", "from-token", "from-cmd"]):
        credential = found_key(world, env)
        assert (credential.secret, credential.source) == (secret, order[index])
        assert credential.shadowed == tuple(order[index + 1 :])
        env.pop(order[index], None)
    world.user("")
    assert found_key(world).secret == "from-store"
    assert found_key(world).shadowed == ()


def test_a_token_is_told_from_a_key(world: World) -> None:
    """`ANTHROPIC_AUTH_TOKEN` goes into another header."""
    assert found_key(world, {"ANTHROPIC_AUTH_TOKEN": KEY}).kind == "token"
    assert found_key(world, {"ANTHROPIC_API_KEY": KEY}).kind == "api_key"


@pytest.mark.parametrize("blank", ["", " ", "\n", " \n"])
def test_au01_a_blank_variable_is_absent(world: World, blank: str) -> None:
    """The next source is asked."""
    env = {"KATA_ANTHROPIC_API_KEY": blank, "ANTHROPIC_API_KEY": f" {KEY}\n"}
    assert found_key(world, env).secret == KEY


def test_au07_the_missing_key_shows_both_ways_on(world: World) -> None:
    """The variable to export, and the mode that needs no key."""
    failure = failed_key(world, provider="openai")
    assert (failure.code, failure.exit, failure.provider) == ("missing_auth", 4, "openai")
    assert "OPENAI_API_KEY" in failure.message
    assert "export OPENAI_API_KEY=" in failure.hint
    assert "--mode mock" in failure.hint


def test_a_custom_provider_has_its_own_variables_only(world: World) -> None:
    """S4: a vendor's key never goes to another provider's address."""
    world.user("[providers.my-llm]\nkind = 'openai'\nbase_url = 'https://other.example'")
    env = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "KATA_OPENAI_API_KEY": KEY}
    failure = failed_key(world, env, provider="my-llm")
    assert "KATA_MY_LLM_API_KEY" in failure.message
    assert found_key(world, {"KATA_MY_LLM_API_KEY": KEY}, provider="my-llm").secret == KEY
    world.user("[providers.my-llm]\nkind = 'openai'\nbase_url = 'https://other.example'\nkey_env = 'OWN_KEY'")
    assert found_key(world, {"OWN_KEY": KEY}, provider="my-llm").source == "OWN_KEY"


def test_au24_loopback_needs_no_key_but_takes_one(world: World) -> None:
    """A local server gets no credential unless there is one."""
    env = {"OPENAI_BASE_URL": "http://localhost:11434/v1"}
    assert (
        found_key(world, env, provider="openai").kind,
        found_key(world, env, provider="openai").secret,
    ) == (
        "none",
        "",
    )
    assert found_key(world, env | {"OPENAI_API_KEY": KEY}, provider="openai").secret == KEY


@pytest.mark.parametrize("code", [*range(32), 127, 0x80, 0x9B, 0x2028, 0xE9])
def test_s6_f86_control_characters_are_refused_before_any_io(world: World, code: int) -> None:
    """CR, LF, NUL and all others inside a key are `invalid_auth`, and the key is not repeated."""
    failure = failed_key(world, {"ANTHROPIC_API_KEY": f"canary{chr(code)}x"})
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
    failure = failed_key(world)
    assert (failure.code, failure.hint) == ("invalid_auth", f"chmod 600 {path}")
    assert f"{mode:04o}" in failure.message
    assert found_key(world, {"ANTHROPIC_API_KEY": KEY}).shadowed == ()


def test_s2_f84_a_symlink_is_refused(world: World) -> None:
    """The file must be itself, wherever a link leads."""
    path = world.stored(f"[anthropic]\napi_key = '{KEY}'")
    path.rename(world.home / "elsewhere")
    path.symlink_to(world.home / "elsewhere")
    failure = failed_key(world)
    assert failure.code == "invalid_auth"
    assert "symlink" in failure.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_f83_f84_files_of_another_user_are_refused(world: World) -> None:
    """Neither keys nor commands are taken from what somebody else wrote."""
    path = world.stored(f"[anthropic]\napi_key = '{KEY}'")
    os.chown(path, 12_345, -1)
    assert "another user" in failed_key(world).message
    world.user("jobs = 3")
    os.chown(world.user_file, 12_345, -1)
    assert "expected a file of yours" in world.refusal().message


@pytest.mark.parametrize("text", ["anthropic = 'x'", "[anthropic]\nkey = 'x'", "[anthropic]\napi_key = 3"])
def test_a_malformed_entry_is_told(world: World, text: str) -> None:
    """The form of an entry is named instead of a silent miss."""
    world.stored(text)
    assert 'expected api_key = "…"' in failed_key(world).message


def test_a_broken_credentials_file_is_a_config_error(world: World) -> None:
    """The parser's message names file and line and no content."""
    path = world.stored("[anthropic]\napi_key = canary")
    failure = failed_key(world)
    assert failure.code == "config"
    assert f"{path}:2" in failure.message
    assert "canary" not in failure.message


def test_s4_a_stored_key_is_bound_to_its_host(world: World) -> None:
    """A key stored for one host is not sent to another one."""
    world.stored(f"[anthropic]\napi_key = '{KEY}'\nhost = 'api.anthropic.com'")
    assert found_key(world).secret == KEY
    failure = failed_key(world, {"ANTHROPIC_BASE_URL": "https://evil.example"})
    assert failure.code == "invalid_auth"
    assert "api.anthropic.com, not for evil.example" in failure.message


def test_a_key_file_that_is_missing_or_blank_is_an_error(world: World, tmp_path: Path) -> None:
    """What was named explicitly never falls through to another key."""
    env = {"ANTHROPIC_API_KEY": KEY}
    assert failed_key(world, env, tmp_path / "none").exit == 11
    (tmp_path / "blank").write_text("\n")
    failure = failed_key(world, env, tmp_path / "blank")
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
    failure = failed_key(world)
    assert failure.code == failure_code
    assert what in failure.message
    assert "canary" not in failure.message + failure.hint + "".join(capfd.readouterr())


def test_a_key_cmd_that_does_not_exist_is_told(world: World) -> None:
    """The command is named."""
    world.user("[providers.anthropic]\nkey_cmd = ['/nowhere/vault']")
    assert "key_cmd: /nowhere/vault does not start: No such file" in failed_key(world).message


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
    assert "took longer than 0.5 s" in failed_key(world).message
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


def test_a_key_that_is_too_long_is_refused() -> None:
    """No server takes such a header."""
    assert clean("x" * 8192, "x")
    with pytest.raises(KataError, match="longer than 8192"):
        clean("x" * 8193, "x")
