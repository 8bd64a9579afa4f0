"""A client of a live service, on the standard library's HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TIMEOUT_S = 60.0


class Client:
    """A client of a service that holds its token."""

    def __init__(self, url: str, token: str) -> None:
        self._host = url.removeprefix("http://")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, asked: object = None, **headers: str) -> tuple[int, Any]:
        with self.open(method, path, asked, **headers) as answer:
            return answer.status, json.loads(answer.read())

    @contextmanager
    def open(
        self, method: str, path: str, asked: object = None, **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_S)
        data = None if asked is None else json.dumps(asked).encode()
        try:
            connection.request(method, path, data, {**self._headers, **headers})
            yield connection.getresponse()
        finally:
            connection.close()

    def create(self, **asked: Any) -> str:
        status, session = self.ask("POST", "/api/sessions/create", asked)
        assert status == 201, session
        return str(session["id"])

    def turn(self, session_id: str, message: str, **headers: str) -> list[Any]:
        """The events of a turn, each with its id."""
        path = f"/api/sessions/{session_id}/stream"
        with self.open("POST", path, {"message": message}, **headers) as answer:
            assert answer.status == 200, answer.read()
            return list(events(answer))


def events(answer: http.client.HTTPResponse) -> Iterator[Any]:
    """The events of a stream up to its end."""
    event_id = ""
    while line := answer.readline():
        if line.startswith(b"id: "):
            event_id = line[4:].strip().decode()
        elif line.startswith(b"data: "):
            yield {"id": event_id, **json.loads(line[6:])}
