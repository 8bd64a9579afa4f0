"""The life of a process: how it is told to end, what it leaves, what is kept of what it said."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fake_pi.fakes import REQUEST, FakePi, is_running
from kata_cli.core.errors import KataError
from kata_cli.core.redact import Redactor
from kata_cli.pi.child import STDERR_BYTES, TAIL_BYTES, Child, spawn
from servers.adapters import finish, listen

AT_WORK = """
import asyncio, sys
from pathlib import Path
from fake_pi.fakes import REQUEST, FakePi

async def main():
    run = [{"thinking": "Hm.", "hangs": True}]
    async for _ in FakePi(Path(sys.argv[1]), fault="ignore-term", runs=[run]).provider().stream(REQUEST):
        print("at work", flush=True)

asyncio.run(main())
"""


async def started(program: str, cwd: Path) -> Child:
    """A process that runs a shell script."""
    environment = {"PATH": os.environ["PATH"]}
    return await spawn(["/bin/sh", "-c", program], cwd=cwd, environment=environment, command_s=5, redact=str)


def test_f62_a_process_that_ignores_all_polite_ways(tmp_path: Path) -> None:
    """It is told to abort, sees the end of its input, is asked by TERM, and then killed (P1)."""
    fake = FakePi(tmp_path, fault="ignore-term")

    async def main() -> None:
        provider = fake.provider()
        finish(await listen(provider, REQUEST))
        await provider.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert fake.commands()[-1] == "abort"
    assert fake.logged("eof") == fake.logged("pid")
    assert fake.is_gone()


def test_a_second_cancellation_does_not_save_the_process(tmp_path: Path) -> None:
    """Who is cancelled again while a process is being stopped does not stop that; closing waits for it."""
    fake = FakePi(tmp_path, fault="ignore-term", runs=[[{"thinking": "Hm.", "hangs": True}]])

    async def main() -> None:
        provider = fake.provider()
        is_at_work = asyncio.Event()

        async def consume() -> None:
            async for _ in provider.stream(REQUEST):
                is_at_work.set()

        task = asyncio.create_task(consume())
        await is_at_work.wait()
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        task.cancel()
        await asyncio.wait([task])
        await provider.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert fake.is_gone()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("exec >&-; exec sleep 60", "Pi closed its output before it had answered"),
        ("(exec sleep 60) & exit 5", "Pi ended with status 5 before it had answered"),
        ("echo 'no way' >&2; kill -9 $$", "Pi was ended by SIGKILL before it had answered: no way"),
    ],
    ids=["closed", "f71-grandchild", "killed"],
)
def test_p7_callers_learn_how_it_ended(tmp_path: Path, program: str, words: str) -> None:
    """The end of the output is enough, and so is the end of the process, whoever holds the pipe."""

    async def main() -> None:
        child = await started(program, tmp_path)
        with pytest.raises(KataError) as caught:
            await child.rpc.call("get_state")
        assert str(caught.value) == words
        await child.stop()
        assert not is_running(child.pid)

    asyncio.run(main())


def test_a_process_that_cannot_be_started(tmp_path: Path) -> None:
    """A missing program or directory is an error of ours, at once."""

    async def main() -> None:
        with pytest.raises(KataError, match="cannot start /bin/sh in /no/such/place: No such file"):
            await started("exit 0", Path("/no/such/place"))

    asyncio.run(main())


def test_f66_stderr_is_a_ring(tmp_path: Path) -> None:
    """The last 64 KiB are kept, and what is cut at its start is no half line."""
    child = Child(5, str)
    child.pipe_data_received(2, b"first line\n")
    for number in range(STDERR_BYTES // 4):
        child.pipe_data_received(2, b"%07d\n" % number)
    said = child.stderr
    assert len(said) == TAIL_BYTES
    assert said.endswith(f"{STDERR_BYTES // 4 - 1:07d}\n")
    assert "first" not in said


def test_s1_a_key_on_stderr_is_not_kept_in_the_open() -> None:
    """Keys are taken out, also one of which the ring has cut off the beginning."""
    redactor = Redactor()
    redactor.learn("canary-canary-canary")
    child = Child(5, redactor.text)
    child.pipe_data_received(2, b"key canary-canary-canary\n" + b"x" * (STDERR_BYTES - 10) + b"\nend")
    assert "canary" not in child.stderr
    child.pipe_data_received(2, b"\nkey canary-canary-canary")
    assert child.stderr.endswith("key [redacted:credential]")


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_f80_killing_the_parent_ends_the_child(tmp_path: Path) -> None:
    """A child that ignores the end of its input and TERM dies with its parent all the same (P4)."""
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])
    command = [sys.executable, "-c", AT_WORK, str(tmp_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"at work\n"
    (pid,) = FakePi(tmp_path, fault="ignore-term").logged("pid")
    watch = os.pidfd_open(pid)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert select.select([watch], [], [], 5)[0] == [watch]
    os.close(watch)
