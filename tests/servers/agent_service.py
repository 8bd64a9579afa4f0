"""A scripted service of live sessions, in the words of the wire, for what the real one does only by accident.

agents = AgentService([Turn(text="hi")])
with VendorServer(agents) as server:
    ...  # --service server.base_url
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from servers.behaviours import Behaviour, Raw, Seen, Status

TOKEN = "t" * 43
EPOCH = "e1"


class Turn(msgspec.Struct, kw_only=True):
    """What becomes of one message.

    `events` come before the end, which is `done` with the text, or the `error`. Of all events, which count
    from 1, only those up to `cut_after` go out before the connection breaks; the rest is replayed, unless
    the `replay` is refused with that status.
    """

    text: str = "Hello from the service."
    events: list[dict[str, Any]] = []
    error: dict[str, Any] | None = None
    usage: dict[str, Any] = msgspec.field(default_factory=lambda: {"input": 7, "output": 5})
    cut_after: int | None = None
    is_stalled: bool = False
    replay: int = 200

    @property
    def all(self) -> list[dict[str, Any]]:
        end = {"type": "error", "error": self.error} if self.error else self._done
        return [{"type": "session"}, {"type": "message"}, *self.events, end]

    @property
    def _done(self) -> dict[str, Any]:
        return {
            "type": "done",
            "entry": "m1",
            "text": self.text,
            "stop": "stop",
            "duration_s": 0.1,
            "model": "anthropic/served-1",
            "usage": self.usage,
        }


class AgentService:
    """A script for `VendorServer`: one turn for each session, of which the last one repeats.

    `create` is what creating a session gives instead, in order, None for a session. `stopped` are the
    sessions that were let go.
    """

    def __init__(
        self,
        turns: Sequence[Turn] = (Turn(),),
        *,
        mode: str = "pi",
        status: str = "ok",
        max_sessions: int = 8,
        models: Sequence[str] = ("anthropic/served-1",),
        create: Sequence[Status | None] = (),
        token: str = TOKEN,
    ) -> None:
        self.seen: list[Seen] = []
        self.stopped: list[str] = []
        self.sessions: list[dict[str, Any]] = []
        self.messages: list[str] = []
        self._turns = turns
        self._create = list(create)
        self._token = token
        self._health = {"status": status}
        self._capabilities = {"runtime_mode": mode, "max_sessions": max_sessions, "live": 0}
        self._models = {"models": [{"id": name, "name": name} for name in models]}

    def __call__(self, seen: Seen) -> Behaviour:
        self.seen.append(seen)
        if seen.path == "/healthz":
            return Status(status=200, body=self._health)
        if seen.headers.get("authorization") != f"Bearer {self._token}":
            return refusal(401, "invalid_auth", "the token is not the one of this service")
        if seen.path == "/api/sessions/create":
            return self._created(seen.body)
        if seen.path.endswith("/stream"):
            return self._streamed(seen)
        if seen.path.endswith("/stop"):
            self.stopped.append(seen.path.split("/")[3])
            return Status(status=200, body={"id": self.stopped[-1], "last_event_id": f"{EPOCH}.9"})
        return Status(status=200, body={**self._capabilities, **self._models})

    def _created(self, asked: dict[str, Any]) -> Status:
        refused = self._create.pop(0) if self._create else None
        if refused is not None:
            return refused
        self.sessions.append(asked)
        session = {"id": f"s-{len(self.sessions)}", "last_event_id": f"{EPOCH}.0", "thinking": "high"}
        return Status(status=201, body=session)

    def _streamed(self, seen: Seen) -> Behaviour:
        number = int(seen.path.split("/")[3].removeprefix("s-"))
        turn = self._turns[min(number, len(self._turns)) - 1]
        after = seen.headers.get("last-event-id")
        if after is None:
            self.messages.append(seen.body["message"])
            return _stream(turn, 0, turn.cut_after)
        if turn.replay != 200:
            return refusal(turn.replay, "provider_unavailable", "the service is stopping")
        return _stream(turn, int(after.rpartition(".")[2]), None)


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Status:
    """A refusal with its error document."""
    document = {"schema": "kata.error/v1", "code": code, "message": message, "remediation": "a way on"}
    return Status(status=status, body={**document, "retryable": False}, headers=headers or {})


def _stream(turn: Turn, first: int, cut_after: int | None) -> Raw:
    """The events behind a number; they end as a whole answer does, or with the connection."""
    numbered = list(enumerate(turn.all, 1))[first:cut_after]
    frames = [
        f"id: {EPOCH}.{number}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
        for number, event in numbered
    ]
    body = "".join([": ping\n\n", *frames])
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    end = "0\r\n\r\n" if cut_after is None else ""
    return Raw(data=f"{head}{len(body):x}\r\n{body}\r\n{end}", is_stalled=turn.is_stalled)
