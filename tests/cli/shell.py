"""The installed `kata`, run as a shell runs it: a real process, an empty home, a small repository."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

PROGRAM = Path(sys.executable).parent / "kata"
TIMEOUT_S = 20.0
EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}  # virtual time: waits and retries cost nothing
MOCK = ("run", "--mode", "mock", "--no-stdin")
QUICK = (*MOCK, "-w", "quick", "Make save atomic")

FILES = {
    "README.md": "# Shelf\n\nA small store of records.\n",
    "shelf/store.py": (
        'def save(path, record):\n    """Write a record to its file."""\n'
        '    with open(path, "w") as file:\n        file.write(record)\n\n\n'
        'def load(path):\n    """Read a record back."""\n    return open(path).read()\n'
    ),
    "tests/test_store.py": "from shelf.store import save\n\n\ndef test_save():\n    save('/tmp/x', 'y')\n",
}


class Ended(msgspec.Struct, frozen=True):
    """How a process ended."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def document(self) -> Any:
        """Stdout as exactly one JSON document on one line."""
        assert self.stdout.count(b"\n") == 1, self.stdout[-2000:]
        return json.loads(self.stdout)

    @property
    def events(self) -> list[Any]:
        """Stdout as JSON lines."""
        assert self.stdout.endswith(b"\n"), self.stdout[-200:]
        return [json.loads(line) for line in self.stdout.split(b"\n")[:-1]]

    @property
    def error(self) -> Any:
        """The last line of stderr as JSON."""
        return json.loads(self.stderr.splitlines()[-1])

    @property
    def verdict(self) -> list[str]:
        """The last two lines of stderr: what happened, and the next command to type."""
        return self.stderr.splitlines()[-2:]

    def refused(self, code: int) -> str:
        """What was told, after checking that it was told as it should be: two lines, no traceback."""
        assert self.code == code, (self.code, self.stderr)
        assert "Traceback" not in self.stderr
        happened, hint = self.verdict
        assert happened.startswith("kata: "), self.stderr
        assert hint.startswith("hint: "), self.stderr
        assert len(happened) > 12
        assert len(hint) > 10
        return f"{happened}\n{hint}"


class Shell:
    """A home, a repository and an environment of their own below `root`."""

    def __init__(self, root: Path, project: str = "project") -> None:
        assert PROGRAM.exists(), f"{PROGRAM} is not installed: pip install -e ."
        self.home = root / "home"
        self.project = root / project
        self.home.mkdir(exist_ok=True, parents=True)
        for name, text in FILES.items():
            self.write(name, text)
        subprocess.run(["git", "init", "-q"], cwd=self.project, env=self.env(), check=True)
        subprocess.run(["git", "add", "-A"], cwd=self.project, env=self.env(), check=True)

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """A scrubbed environment; a variable set to "" in `more` is left out."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", **(more or {})}
        return {name: value for name, value in env.items() if value}

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def faults(self, *kinds: str, times: int = 99, **keys: Any) -> tuple[str, str]:
        """The option that scripts these faults of every task, outside the project."""
        lines = [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
        for kind in kinds:
            lines += ["[[faults]]", f'kind = "{kind}"', f"times = {times}"]
        path = self.home.parent / "scenario.toml"
        path.write_text("\n".join(lines))
        return "--scenario", str(path)

    def run(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes | int | IO[bytes] = subprocess.DEVNULL,
    ) -> Ended:
        """Any program to its end."""
        given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            argv,
            env=self.env(env),
            cwd=cwd or self.project,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            **given,
        )
        return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8", "strict"))

    def kata(self, *args: str | Path, **options: Any) -> Ended:
        """`kata` with these arguments to its end."""
        return self.run([str(PROGRAM), *map(str, args)], **options)

    def bash(self, script: str, **options: Any) -> Ended:
        """A script in bash, where `kata` is on the PATH and a pipe fails when any part of it does."""
        env = {"PATH": self.path, **options.pop("env", {})}
        return self.run(["bash", "-o", "pipefail", "-c", script], env=env, **options)

    @property
    def path(self) -> str:
        """A PATH on which `kata` is found."""
        return f"{PROGRAM.parent}:{os.environ['PATH']}"

    def start(self, *args: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """`kata` in the background with pipes on both outputs, unless `options` say otherwise.

        Nothing is buffered here: what a test reads line by line is not read ahead of `finish`.
        """
        env = self.env(options.pop("env", None))
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [PROGRAM, *args], env=env, cwd=self.project, bufsize=0, **{**streams, **options}
        )

    @property
    def runs(self) -> list[Path]:
        """The run directories, oldest first."""
        return sorted((self.home / ".local/state/kata/runs").glob("[0-9]*"))

    @property
    def last_run(self) -> Any:
        """`run.json` of the newest run."""
        return json.loads((self.runs[-1] / "run.json").read_bytes())


def finish(process: subprocess.Popen[bytes], stdout: bytes = b"") -> Ended:
    """The end of a process that was started; `stdout` is what has been read of it."""
    try:
        rest, stderr = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("kata did not end")
    return Ended(process.returncode, stdout + (rest or b""), (stderr or b"").decode())


def events_of(process: subprocess.Popen[bytes]) -> Iterator[tuple[bytes, str]]:
    """The lines of a run in jsonl as they come, each with its type."""
    assert process.stdout is not None
    for line in process.stdout:
        yield line, json.loads(line)["type"]


def signal_at(process: subprocess.Popen[bytes], number: signal.Signals, kind: str) -> Ended:
    """Send a signal at the first event of a kind, then let the process end."""
    seen = b""
    for line, type_ in events_of(process):
        seen += line
        if type_ == kind:
            process.send_signal(number)
            break
    return finish(process, seen)
