"""The real Pi, as `scripts/pi` installs it, with the loopback vendor behind it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import pytest

from servers import wire
from servers.vendor import Behaviour, Raw, Reply, Script, Seen, VendorServer

CACHE = Path(os.environ.get("KATA_PI_CACHE") or Path(__file__).parents[2] / ".cache" / "pi")
TIMEOUT_S = 30.0
KEY = "key-of-the-vendor"
MODEL = "vendor/served-1"

Record = dict[str, Any]


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A version of Pi, and in what it differs from the other one. `ends_with` is a run's last event."""

    version: str
    version_stream: str
    ends_with: str
    names_unknown_commands: bool


OLD = Generation(
    version="0.74.2", version_stream="stderr", ends_with="agent_end", names_unknown_commands=False
)
NEW = Generation(
    version="0.87.1", version_stream="stdout", ends_with="agent_settled", names_unknown_commands=True
)


def binary(version: str) -> Path:
    """The program of a version. Without one the test is skipped, in CI it fails."""
    path = CACHE / version / "pi"
    if not path.exists():
        reason = f"needs Pi {version}, which scripts/pi installs"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return path


class Place:
    """An agent directory whose only provider is a vendor on loopback, a home, and a project to work in."""

    def __init__(self, root: Path, generation: Generation, server: VendorServer) -> None:
        self.generation = generation
        self.server = server
        self.pi = binary(generation.version)
        self.agent_dir, self.home, self.project = root / "agent", root / "home", root / "project"
        for folder in (self.agent_dir, self.home, self.project):
            folder.mkdir()
        (self.project / "notes.txt").write_text("the answer is 42\n")
        self.serve(server.openai_url)
        (self.agent_dir / "settings.json").write_text(json.dumps({"retry": {"provider": {"maxRetries": 0}}}))

    def serve(self, base_url: str) -> None:
        """The models.json that leads to the vendor; prices are dollars per million tokens."""
        shared = {"contextWindow": 64_000, "maxTokens": 4096}
        cost = {"input": 1, "output": 2, "cacheRead": 0.5, "cacheWrite": 0}
        models = [
            {"id": "served-1", "name": "Served One", "cost": cost, **shared},
            {"id": "thinker-1", "reasoning": True, "thinkingLevelMap": {"minimal": None}, **shared},
        ]
        provider = {
            "baseUrl": base_url,
            "api": "openai-completions",
            "apiKey": KEY,
            "models": models,
        }
        (self.agent_dir / "models.json").write_text(json.dumps({"providers": {"vendor": provider}}))

    @property
    def env(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PI_OFFLINE": "1",
            "PI_CODING_AGENT_DIR": str(self.agent_dir),
        }

    def rpc(self, *args: str) -> RawPi:
        """A live agent; it ends with the `with` block."""
        provider, _, model = MODEL.partition("/")
        chosen = ("--provider", provider, "--model", model, "--no-session", "-ne", "-ns", "-np", "-nc")
        return RawPi([str(self.pi), "--mode", "rpc", *chosen, *args], self.env, self.project)


Open = Callable[[Script], Place]


class RawPi:
    """A bare client of `pi --mode rpc`: one JSON object a line each way; a silent child is killed."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: Path) -> None:
        self.child = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.kill()
        with self.child:
            pass  # closes its pipes and reaps it

    def write(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def send(self, type_: str, **fields: Any) -> None:
        """Write a command."""
        self.write(json.dumps({"type": type_, "id": type_, **fields}))

    def ask(self, type_: str, **fields: Any) -> Record:
        """Write a command; its response. What comes in between is dropped."""
        self.send(type_, **fields)
        return self.until(lambda record: record["type"] == "response" and record["command"] == type_)[-1]

    def until(self, is_last: Callable[[Record], bool]) -> list[Record]:
        """All records up to the one that is asked for. An end of the child before it is a failure."""
        assert self.child.stdout is not None
        watchdog = threading.Timer(TIMEOUT_S, self.child.kill)
        watchdog.start()
        seen: list[Record] = []
        try:
            for line in self.child.stdout:
                seen.append(json.loads(line))
                if is_last(seen[-1]):
                    return seen
        finally:
            watchdog.cancel()
        raise AssertionError(f"pi ended after {seen[-3:]}")

    def until_type(self, type_: str) -> list[Record]:
        """All records up to the first of a type."""
        return self.until(lambda record: record["type"] == type_)

    def end(self) -> int:
        """Close stdin; the exit status."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        return self.child.wait(TIMEOUT_S)


def last_answer(records: list[Record]) -> Record:
    """The last message of the assistant that is complete."""
    ends: list[Record] = [record["message"] for record in records if record["type"] == "message_end"]
    return [message for message in ends if message["role"] == "assistant"][-1]


def text_of(message: Record) -> str:
    """The text of a message without thinking and tool calls."""
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


def tool_call(name: str, arguments: Record) -> Raw:
    """An answer in the chat format that calls a tool and says nothing."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    choices: list[Record] = [
        {"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}},
        {"index": 0, "delta": {}, "finish_reason": "tool_calls"},
    ]
    base = {"id": "chatcmpl_1", "object": "chat.completion.chunk", "model": "served-1"}
    events = [wire.event({**base, "choices": [choice]}).decode() for choice in choices]
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return Raw(data=head + "".join(events) + "data: [DONE]\n\n")


def read_notes_then_answer(seen: Seen) -> Behaviour:
    """A model that reads `notes.txt` first, then answers with what the file holds."""
    last = seen.body["messages"][-1]
    if last["role"] != "tool":
        return tool_call("read", {"path": "notes.txt"})
    content = last["content"]
    return Reply(text=content if isinstance(content, str) else content[0]["text"])
