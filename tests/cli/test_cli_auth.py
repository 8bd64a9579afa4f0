"""`kata auth login` through the installed program: what it stores, and what it refuses."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest

from cli.auth_entries import KEY, TOKEN, credentials, login, prewritten, providers, stored
from cli.shell import Shell, finish


def test_au_21_s3_login_says_where_and_stores_what_a_run_then_uses(tmp_path: Path) -> None:
    """AU-21, S3: the place and form are said first, the source last; the status names both."""
    shell = Shell(tmp_path)
    ended = login(shell, "openai", f"{KEY}\n")
    assert ended.code == 0
    said, used = ended.stderr.splitlines()
    assert said == (
        f"the key of openai for api.openai.com is stored as plain text in {credentials(shell)} (mode 0600)"
    )
    assert used == f"from now on a run uses {credentials(shell)} (plain text)"
    assert stored(shell) == {"openai": {"api_key": KEY, "host": "api.openai.com"}}
    told = shell.kata("auth", "status", "--provider", "openai").text
    assert f"{credentials(shell)} (plain text)  …0001  for api.openai.com" in told


def test_s3_the_message_comes_before_the_write(tmp_path: Path) -> None:
    """S3: a write that fails has been announced all the same."""
    shell = Shell(tmp_path)
    (shell.home / ".config").write_text("in the way")
    ended = login(shell, "openai")
    assert "stored as plain text" in ended.stderr.splitlines()[0]
    assert ".config/kata" in ended.refused(11)


def test_au_18_a_key_comes_from_a_file_too(tmp_path: Path) -> None:
    """AU-18: a 0600 file is a way in; one that is missing or blank changes nothing."""
    shell = Shell(tmp_path)
    (tmp_path / "key").write_text(f" {KEY} \n")
    (tmp_path / "blank").write_text("\n")
    assert "none" in shell.kata("auth", "login", "openai", "--api-key-file", tmp_path / "none").refused(11)
    assert "blank" in shell.kata("auth", "login", "openai", "--api-key-file", tmp_path / "blank").refused(4)
    assert not credentials(shell).exists()
    assert shell.kata("auth", "login", "openai", "--api-key-file", tmp_path / "key").code == 0
    assert stored(shell)["openai"]["api_key"] == KEY


def test_au_18_a_pipe_in_place_of_a_key_file(tmp_path: Path) -> None:
    """AU-18: what `<(…)` writes is read; a named pipe that nobody writes to is blank, a folder is exit 11."""
    shell = Shell(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    key_file = ("auth", "login", "openai", "--api-key-file")
    assert "no key" in shell.kata(*key_file, tmp_path / "fifo").refused(4)
    shell.kata(*key_file, tmp_path).refused(11)
    assert shell.bash(f"kata {' '.join(key_file)} <(sleep 0.1; echo {KEY})").code == 0
    assert stored(shell)["openai"]["api_key"] == KEY


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_s2_the_file_is_private_whatever_the_umask(tmp_path: Path, umask: str) -> None:
    """S2: always 0600 in 0700, also when the directory was there and open to all."""
    shell = Shell(tmp_path)
    script = f"umask {umask}; echo {KEY} | kata auth login openai"
    assert shell.bash(script).code == 0
    assert stored(shell)
    credentials(shell).parent.chmod(0o777)
    assert shell.bash(script).code == 0
    assert stored(shell)


@pytest.mark.parametrize("command", ["login", "logout"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_s2_f84_a_file_open_to_others_is_refused(tmp_path: Path, mode: int, command: str) -> None:
    """S2, F84: nothing is read from it or written over it, and the hint mends it."""
    shell = Shell(tmp_path)
    path = prewritten(shell, mode=mode)
    before = path.read_bytes()
    told = shell.kata("auth", command, "openai", stdin=b"another-key").refused(4)
    assert f"chmod 600 {path}" in told
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (before, mode)


@pytest.mark.parametrize("command", ["login", "logout"])
@pytest.mark.parametrize("is_dangling", [False, True])
def test_s2_f84_a_symlink_is_refused(tmp_path: Path, is_dangling: bool, command: str) -> None:
    """S2, F84: a link is neither followed nor replaced, whether or not it leads somewhere."""
    shell = Shell(tmp_path)
    path, target = prewritten(shell), tmp_path / "target"
    path.rename(target)
    path.symlink_to(target)
    if is_dangling:
        target.unlink()
    assert "symlink" in shell.kata("auth", command, "openai", stdin=b"another-key").refused(4)
    assert path.is_symlink()
    assert is_dangling or KEY in target.read_text()
    assert target.exists() is not is_dangling


def test_s2_a_hard_link_does_not_get_the_new_key(tmp_path: Path) -> None:
    """S2: the file is replaced, so another name of the old one keeps the old content."""
    shell = Shell(tmp_path)
    path = prewritten(shell)
    os.link(path, tmp_path / "link")
    assert login(shell, "openai", "another-canary-key").code == 0
    assert stored(shell)["openai"]["api_key"] == "another-canary-key"
    assert "another" not in (tmp_path / "link").read_text()
    assert path.stat().st_nlink == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_f83_f84_what_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    """F83, F84: neither the file nor its directory may be somebody else's."""
    shell = Shell(tmp_path)
    path = prewritten(shell)
    os.chown(path, 12_345, -1)
    assert "another user" in login(shell, "openai").refused(4)
    os.chown(path, 0, -1)
    os.chown(path.parent, 12_345, -1)
    assert "another user" in login(shell, "anthropic").refused(4)
    assert "anthropic" not in path.read_text()


@pytest.mark.parametrize("flags", [(), ("--token-session",)], ids=["key", "token"])
@pytest.mark.parametrize("character", ["\0", "\t", "\n", "\r", "\x1b", "\x7f"])
def test_s6_f86_control_characters_are_refused(
    tmp_path: Path, character: str, flags: tuple[str, ...]
) -> None:
    """S6, F86: a secret that could break a header is not stored and not repeated; NUL is no text at all."""
    shell = Shell(tmp_path)
    ended = login(shell, "anthropic", f"canary{character}X-Evil: 1", *flags)
    ended.refused(11 if character == "\0" else 4)
    assert "stored as plain text" not in ended.stderr
    assert not credentials(shell).parent.exists()


@pytest.mark.parametrize(
    ("secret", "code"), [("", 4), (" \n", 4), ("x" * 9000, 4), ("clé", 4), ("two words", 4)]
)
def test_a_secret_that_cannot_be_one_is_refused(tmp_path: Path, secret: str, code: int) -> None:
    """Blank, too long, outside ASCII, or more than a word: exit 4, and nothing is there afterwards."""
    shell = Shell(tmp_path)
    login(shell, "openai", secret).refused(code)
    assert not credentials(shell).parent.exists()


def test_nothing_on_stdin_is_told_at_once(tmp_path: Path) -> None:
    """A terminal and a silent pipe are exit 2; an empty stdin is as blank as a blank line: exit 4."""
    shell = Shell(tmp_path)
    master, slave = pty.openpty()
    ends = [(2, shell.kata("auth", "login", "openai", stdin=slave))]
    os.close(slave)
    os.close(master)
    empty = ("</dev/null", "<&-", "< <(:)", "< <(echo)")
    ends += [(4, shell.bash(f"kata auth login openai {how}")) for how in empty]
    silent, held = os.pipe()
    ends.append((2, shell.kata("auth", "login", "openai", stdin=silent, env={"KATA_STDIN_WAIT": "0.2s"})))
    os.close(silent)
    os.close(held)
    for code, ended in ends:
        told = ended.refused(code)
        assert "stdin" in told
        assert "hint: kata auth login openai < FILE" in told
        assert "--no-stdin" not in ended.stderr
    assert not credentials(shell).parent.exists()


def test_refused_words(tmp_path: Path) -> None:
    """A provider that is none names the nearest; a key as an argument is refused and not repeated."""
    shell = Shell(tmp_path)
    assert "did you mean openai?" in login(shell, "opnai").refused(2)
    assert "anthropic, openai" in login(shell, "x" * 300).refused(2)
    assert "never an argument" in shell.kata("auth", "login", "openai", KEY).refused(2)
    assert KEY not in shell.kata("auth", "login", "openai", KEY).stderr
    assert "no token sessions" in login(shell, "openai", TOKEN, "--token-session").refused(2)
    address = {"OPENAI_BASE_URL": "not an address"}
    assert "OPENAI_BASE_URL" in login(shell, "openai", env=address).refused(2)
    assert not credentials(shell).parent.exists()


def test_a_shadowing_variable_is_named(tmp_path: Path) -> None:
    """AU-05: what is stored stands last; who comes before it is said when it is stored."""
    shell = Shell(tmp_path)
    told = login(shell, "openai", env={"OPENAI_API_KEY": "another-key-of-mine"}).stderr
    assert "from now on a run uses OPENAI_API_KEY, which comes before" in told
    assert str(credentials(shell)) in told.splitlines()[-1]


def test_a_broken_file_is_kept(tmp_path: Path) -> None:
    """What cannot be read as TOML is named with its line and not written over."""
    shell = Shell(tmp_path)
    path = prewritten(shell, "[openai]\napi_key = canary\n")
    assert "credentials.toml:2" in login(shell, "openai").refused(3)
    assert path.read_text() == "[openai]\napi_key = canary\n"


def test_logins_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Six at once: each entry is there, and what a killed one left behind is gone."""
    shell = Shell(tmp_path)
    names = [f"p{number}" for number in range(6)]
    providers(shell, *names)
    stray = credentials(shell).with_name(".tmp-4194999-abcdef")
    stray.write_text("half a key")
    started = [shell.start("auth", "login", name, stdin=subprocess.PIPE) for name in names]
    for name, process in zip(names, started, strict=True):
        assert process.stdin is not None
        process.stdin.write(f"key-of-{name}".encode())
        process.stdin.close()
        process.stdin = None
    assert [finish(process).code for process in started] == [0] * len(names)
    assert {name: entry["api_key"] for name, entry in stored(shell).items()} == {
        name: f"key-of-{name}" for name in names
    }
    assert not stray.exists()
