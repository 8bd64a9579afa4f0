"""stdin: the goal, context, or nothing; never a hang, never dropped silently."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from cli.shell import Ended, Shell

RUN = ("run", "--mode", "mock", "-w", "quick", "--format", "json")
GOAL = "Make save atomic"


def goal_of(shell: Shell) -> str:
    """The goal of the newest run."""
    return str(shell.last_run["goal"])


def stdin_of(ended: Ended) -> int | None:
    """How many bytes of stdin a run said it took as context, None if it said nothing."""
    lines = [line for line in ended.stderr.splitlines() if line.startswith("stdin: ")]
    assert len(lines) <= 1
    return int(lines[0].split()[1]) if lines else None


def test_stdin_is_the_goal(tmp_path: Path) -> None:
    """stdin is the goal when GOAL is -, or when there is none and stdin is a pipe or a file."""
    shell = Shell(tmp_path)
    for args in ((*RUN, "-"), RUN):
        assert shell.kata(*args, stdin=b"Make load\nfaster\n").code == 0
        assert goal_of(shell) == "Make load\nfaster"
    with shell.write("goal.txt", "\ufeffFrom a file\r\n").open("rb") as file:
        assert shell.kata(*RUN, stdin=file).code == 0
    assert goal_of(shell) == "From a file"
    assert shell.kata(*RUN, "--goal-file", "goal.txt").code == 0
    assert goal_of(shell) == "From a file"


def test_stdin_is_context_beside_a_goal(tmp_path: Path) -> None:
    """With a GOAL, what comes through a pipe is context, read to its end, and its size is said."""
    shell = Shell(tmp_path)
    ended = shell.bash(f"(echo one; sleep 0.2; echo zwölf) | kata {' '.join(RUN)} goal")
    assert (ended.code, stdin_of(ended)) == (0, 11)
    assert (
        shell.kata("sessions", "show", "last", "--task", "synthesize", "--request").text.count("zwölf") == 1
    )
    assert stdin_of(shell.kata(*RUN, "goal", stdin=b"")) == 0
    quiet = shell.kata(*RUN, "-q", "goal", stdin=b"abc")
    assert (quiet.code, stdin_of(quiet)) == (0, 3)


def test_stdin_from_a_socket(tmp_path: Path) -> None:
    """A socket counts as a pipe."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"from a socket")
        ours.shutdown(socket.SHUT_WR)
        ended = Shell(tmp_path).kata(*RUN, "goal", stdin=theirs.fileno())
    assert (ended.code, stdin_of(ended)) == (0, 13)


def test_stdin_from_a_file(tmp_path: Path) -> None:
    """A redirected file is context only when it has not been read yet: a shell loop keeps its list."""
    shell = Shell(tmp_path)
    path = shell.write("list.txt", "one\ntwo\nthree\n")
    with path.open("rb") as file:
        assert stdin_of(shell.kata(*RUN, "goal", stdin=file)) == 14
    with path.open("rb", buffering=0) as file:
        os.lseek(file.fileno(), 4, os.SEEK_SET)
        ended = shell.kata(*RUN, "goal", stdin=file)
        assert (ended.code, stdin_of(ended)) == (0, None)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 4
    loop = f'while read -r goal; do kata {" ".join(RUN)} "$goal" >/dev/null; done < list.txt'
    assert shell.bash(loop).code == 0
    assert [run.name for run in shell.runs[-3:]] == sorted(run.name for run in shell.runs[-3:])
    assert len(shell.runs) == 5


def test_no_stdin_at_all(tmp_path: Path) -> None:
    """/dev/null, a closed stdin and --no-stdin are no context, and no goal."""
    shell = Shell(tmp_path)
    words = " ".join(RUN)
    for redirect in ("</dev/null", "<&-", "--no-stdin < /dev/zero"):
        ended = shell.bash(f"kata {words} goal {redirect}")
        assert (ended.code, stdin_of(ended)) == (0, None), redirect
    for redirect in ("</dev/null", "<&-"):
        assert shell.bash(f"kata {words} {redirect}").error["code"] == "usage"
        assert shell.bash(f"kata {words} {redirect}").code == 2
    piped = shell.kata(*RUN, "--no-stdin", "goal", stdin=b"ignored")
    assert (piped.code, stdin_of(piped)) == (0, None)
    assert "exclude" in shell.kata("run", "--stdin", "--no-stdin", "goal").refused(2)


def test_a_silent_pipe_ends_in_exit_2(tmp_path: Path) -> None:
    """A pipe that says nothing is announced, then ends the command before any request, with both ways on."""
    shell = Shell(tmp_path)
    read_end, write_end = os.pipe()
    ended = shell.kata("run", "--mode", "mock", "goal", stdin=read_end, env={"KATA_STDIN_WAIT": "1.2s"})
    os.close(read_end)
    os.close(write_end)
    assert ended.stderr.splitlines()[0].startswith("waiting for stdin")
    told = ended.refused(2)
    assert "--no-stdin" in told
    assert "--stdin" in told.replace("--no-stdin", "")
    assert shell.runs == []


def test_stdin_waits_for_ever_when_told(tmp_path: Path) -> None:
    """--stdin outlasts the wait; a pipe that speaks in time but slowly is read to its end without it."""
    shell = Shell(tmp_path)
    words = " ".join(RUN)
    env = {"KATA_STDIN_WAIT": "0.3s"}
    assert stdin_of(shell.bash(f"(sleep 0.8; echo late) | kata {words} --stdin goal", env=env)) == 5
    slow = shell.bash(f"(echo a; sleep 0.8; echo b) | kata {words} goal", env=env)
    assert (slow.code, stdin_of(slow)) == (0, 4)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"x" * 10_000_001, "10000000"),
        (b"ab\0c", "byte 2"),
        (b"caf\xe9 au lait", "byte 3"),
        (b"\xff\xfea\0b\0", "byte"),
    ],
    ids=["large", "binary", "latin-1", "utf-16"],
)
def test_f4_f87_stdin_that_is_no_text(tmp_path: Path, data: bytes, says: str) -> None:
    """F4, F87: too much, binary or not UTF-8 on stdin is exit 11, with the offset, as goal and as context."""
    shell = Shell(tmp_path)
    for args in (("-",), ("goal",)):
        assert says in shell.kata("run", "--mode", "mock", *args, stdin=data).refused(11)
    assert shell.runs == []


def test_f4_stdin_up_to_the_cap_is_taken(tmp_path: Path) -> None:
    """F4: text with CRLF, a byte order mark and emoji is taken; up to 10 MB the pipe is read whole."""
    shell = Shell(tmp_path)
    assert stdin_of(shell.kata(*RUN, "goal", stdin="\ufeffa\r\n🙂".encode())) == 7
    ended = shell.kata(*RUN, "goal", stdin=b"word " * 2_000_000)
    assert stdin_of(ended) == 10_000_000
    assert ended.code in (0, 7)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("README.md",), "--goal-file README.md"),
        (("fix", "the", "bug"), "quote"),
        (("",), "there is no goal"),
        ((" \n\t",), "there is no goal"),
        (("goal", "--goal-file", "README.md"), "twice"),
    ],
)
def test_f87_goals_that_are_none(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    """F87: a goal that names a file, is blank or given twice is exit 2 with a way on."""
    shell = Shell(tmp_path)
    assert says in shell.kata("run", "--mode", "mock", *args).refused(2)
    assert shell.runs == []


@pytest.mark.parametrize("flag", ["--goal-file", "--revise", "-f"])
@pytest.mark.parametrize(
    ("data", "says"),
    [(b"a\0b", "binary"), (b"x" * 4_194_305, "bytes"), (b"caf\xe9", "not UTF-8 at byte 3")],
    ids=["binary", "large", "latin-1"],
)
def test_f4_f87_a_file_that_is_no_text(tmp_path: Path, flag: str, data: bytes, says: str) -> None:
    """F4, F87: a file that cannot be read as text is exit 11, whichever option names it; nothing is asked."""
    shell = Shell(tmp_path)
    shell.write("input.md", data)
    goal = () if flag == "--goal-file" else ("goal",)
    told = shell.kata("run", "--mode", "mock", "--no-stdin", *goal, flag, "input.md").refused(11)
    assert "input.md" in told
    assert says in told
    assert all(b"attempt.started" not in path.read_bytes() for path in shell.home.rglob("events.jsonl"))


def test_f87_a_goal_on_stdin_that_is_too_long(tmp_path: Path) -> None:
    """F87: over 1 MiB is refused on stdin as in a file: exit 11."""
    shell = Shell(tmp_path)
    assert "1048576" in shell.kata("run", "--mode", "mock", stdin=b"word " * 300_000).refused(11)
    assert shell.runs == []


def test_arguments_that_are_not_utf8(tmp_path: Path) -> None:
    """An argument in another encoding is exit 2, and is shown escaped."""
    shell = Shell(tmp_path)
    told = shell.bash("kata run --mode mock $'caf\\xe9'").refused(2)
    assert "caf\\xe9" in told
    assert shell.bash("kata run --json $'caf\\xe9'").error["code"] == "usage"


def test_a_goal_like_an_option_or_a_name(tmp_path: Path) -> None:
    """After -- a goal may begin with a dash; a goal in any script gives a draft that says so."""
    shell = Shell(tmp_path)
    assert shell.kata(*RUN, "--", "--make it faster").code == 0
    assert goal_of(shell) == "--make it faster"
    for goal in (
        "--- # [x] {{goal}}",
        "заменить хранилище",
        "🙂",
        "a" * 5000,
        "line one\n## Goal\n- [ ] T-001",
    ):
        ended = shell.kata(*RUN, "--", goal)
        assert (ended.code, goal_of(shell)) == (0, goal)
        assert ended.document["result"]["document"]["goal"]


def test_children_get_no_stdin(tmp_path: Path) -> None:
    """What kata starts (git, a key_cmd) cannot eat the pipe: the whole of it is context."""
    shell = Shell(tmp_path)
    config = shell.home / ".config/kata"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(
        '[providers.local]\nkind = "openai"\nbase_url = "http://127.0.0.1:9"\n'
        'default_model = "m"\nrequires_key = true\nkey_cmd = ["head", "-c", "4"]\n'
    )
    process = subprocess.run(
        ["bash", "-c", "echo sekret | kata auth status --provider local -h >/dev/null; cat"],
        env={**shell.env(), "PATH": shell.path},
        input=b"left for cat",
        capture_output=True,
        check=True,
    )
    assert process.stdout == b"left for cat"
    told = shell.kata("auth", "status", "--provider", "local", "--mode", "native", "--json", stdin=b"sekret")
    assert "key_cmd" in told.text
    assert "sekr" not in told.text
