"""The token file: private, made once, read again, refused when others could know it."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from kata_cli.core.errors import KataError
from kata_cli.service.token import is_same, open_token, read_token

TOKEN = "a-token-of-the-user.with~all/kinds+of_letters0="


def _private(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_bytes(text.encode())
    return path


def test_h3_a_token_is_made_once_and_private(tmp_path: Path) -> None:
    """43 characters of base64, a 0600 file in 0700 directories, the same again at the next start."""
    path = tmp_path / "state" / "kata" / "serve.token"
    token = open_token(path)
    assert len(token) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(parent.stat().st_mode) for parent in path.parents[:2]] == [0o700, 0o700]
    assert [entry.name for entry in path.parent.iterdir()] == ["serve.token"]
    assert open_token(path) == read_token(path) == token


def test_two_tokens_differ(tmp_path: Path) -> None:
    """Each file gets a token of its own."""
    assert open_token(tmp_path / "a") != open_token(tmp_path / "b")


def test_starts_at_the_same_time_agree(tmp_path: Path) -> None:
    """Of several first starts one makes the file, and all use its token."""
    tokens: list[str] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        tokens.append(open_token(tmp_path / "serve.token"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(tokens), len(set(tokens))) == (8, 1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["serve.token"]


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n", f"  {TOKEN}\r\n"])
def test_a_token_of_the_user_is_kept(tmp_path: Path, text: str) -> None:
    """A file that is there is read, whatever put it there, and not changed."""
    path = _private(tmp_path / "mine", text)
    assert open_token(path) == TOKEN
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("text", ["", "\n", "short", "x" * 42, "x" * 2000, f"{TOKEN} {TOKEN}", "é" * 43])
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    """An empty, short or unsendable token opens nothing, and the file is left as it is."""
    path = _private(tmp_path / "mine", text)
    with pytest.raises(KataError, match=r"holds no token of 256 bits") as refused:
        open_token(path)
    assert refused.value.failure.code == "invalid_auth"
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o777, 0o601])
def test_h3_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Any bit for group or others, with the command that mends it."""
    path = _private(tmp_path / "mine", TOKEN)
    path.chmod(mode)
    with pytest.raises(KataError, match="is open to others") as refused:
        open_token(path)
    assert refused.value.failure.hint == f"chmod 600 {path}"


def test_h3_a_symlink_is_refused(tmp_path: Path) -> None:
    """Neither a link to a good file nor a dangling one is followed or replaced."""
    target, link = _private(tmp_path / "target", TOKEN), tmp_path / "serve.token"
    link.symlink_to(target)
    with pytest.raises(KataError, match="is a symlink"):
        open_token(link)
    target.unlink()
    with pytest.raises(KataError, match="is a symlink"):
        open_token(link)
    assert not target.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_h3_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """Its owner could know or change it."""
    path = _private(tmp_path / "mine", TOKEN)
    os.chown(path, 65534, -1)
    with pytest.raises(KataError, match="belongs to another user"):
        open_token(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A named pipe is not waited for, a directory is not opened."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (pipe, tmp_path):
        with pytest.raises(KataError, match="is no regular file"):
            open_token(path)


@pytest.mark.parametrize(("name", "action"), [("file/serve.token", "read"), ("x" * 250, "make")])
def test_a_place_that_cannot_be_used_is_named(tmp_path: Path, name: str, action: str) -> None:
    """A file where a directory should be, or a name with no room for a draft: one line, exit 11."""
    (tmp_path / "file").write_text("")
    with pytest.raises(KataError) as failed:
        open_token(tmp_path / name)
    assert str(failed.value).startswith(f"cannot {action} {tmp_path / name}: ")
    assert failed.value.failure.exit == 11


def test_a_client_without_a_file_is_told_apart(tmp_path: Path) -> None:
    """Reading makes nothing: who only wants to call a service sees that there is no token."""
    with pytest.raises(FileNotFoundError):
        read_token(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "tökén", "\ud800", b"\xff"])
def test_h3_only_the_token_is_the_token(given: str | bytes) -> None:
    """A part, more, another case and what is no ASCII are all just wrong."""
    assert not is_same(given, TOKEN)
    assert is_same(TOKEN, TOKEN)
    assert is_same(TOKEN.encode(), TOKEN)
