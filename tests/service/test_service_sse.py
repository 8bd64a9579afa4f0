"""Server-sent events on a real socket: turns, going on, curl, and clients that leave or do not read."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kata_cli.core.errors import KataError
from kata_cli.service.log import Logged
from kata_cli.service.sse import PING, StreamLimits, frame, last_event_id
from service.live_bench import BEARER, TOKEN, Site, slow_socket
from service.loopback import WAIT_S

JSON = {**BEARER, "Content-Type": "application/json"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        yield site


def parsed(body: bytes) -> list[tuple[str, str, Any]]:
    """Id, type and data of each event; every one has exactly these three fields."""
    found = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        if block.startswith(":") or not block:
            continue
        id, event, data = block.split("\n")
        fields = id.removeprefix("id: "), event.removeprefix("event: "), data.removeprefix("data: ")
        found.append((*fields[:2], msgspec.json.decode(fields[2])))
    return found


def stream(site: Site, session: str, message: str, after: str | None = None) -> list[tuple[str, str, Any]]:
    """The events of `/stream`, to its end."""
    headers = JSON if after is None else {**JSON, "Last-Event-ID": after}
    body = msgspec.json.encode({"message": message} if after is None else {})
    answer = site.server.ask("POST", f"/api/sessions/{session}/stream", headers, body)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream"), answer.body
    return parsed(answer.body)


def opened(site: Site, session: str, extra: str = "") -> Any:
    """A connection that has asked for `/events`, and has got the head of the answer."""
    client = site.server.connect()
    client.sendall(events_request(site, session, extra))
    return client


def events_request(site: Site, session: str, extra: str = "") -> bytes:
    lines = [f"GET /api/sessions/{session}/events HTTP/1.1", f"Host: 127.0.0.1:{site.server.port}"]
    return "\r\n".join([*lines, f"Authorization: Bearer {TOKEN}{extra}", "", ""]).encode()


def until(client: Any, wanted: bytes) -> bytes:
    """What arrives, up to and with some bytes."""
    got = b""
    while wanted not in got:
        data = client.recv(65536)
        assert data, got
        got += data
    return got


def test_an_event_is_framed_by_the_standard() -> None:
    """Id, type and one line of data, and an empty line."""
    logged = Logged("ab.1", "delta", b'{"type":"delta","text":"a\\nb"}')
    assert frame(logged) == b'id: ab.1\nevent: delta\ndata: {"type":"delta","text":"a\\nb"}\n\n'


@pytest.mark.parametrize("given", ["0a1b2c3d.0", "s-1_x.17", "a" * 64 + "." + "9" * 18])
def test_the_id_of_an_event_is_taken(given: str) -> None:
    """A client goes on from it."""
    assert last_event_id({"last-event-id": given}) == given


def test_no_id_is_no_place() -> None:
    """A client that has seen nothing, says so by nothing at all or an empty header."""
    assert last_event_id({}) is None
    assert last_event_id({"last-event-id": ""}) is None


@pytest.mark.parametrize("given", ["1", "a.", ".1", "a.b", "a.-1", "a.1 ", "a.1\x85", "ä.1", "a" * 65 + ".1"])
def test_what_never_was_an_event_id_is_refused(given: str) -> None:
    """The header is bounded, and of few characters."""
    with pytest.raises(KataError, match="Last-Event-ID"):
        last_event_id({"last-event-id": given})


def test_a_turn_is_streamed_to_its_end(site: Site) -> None:
    """The stream begins with the session, tells every piece, and ends with `done`."""
    events = stream(site, site.create(), "count 3")
    assert [type for _, type, _ in events] == [
        *("session", "message", "session", "delta", "delta", "delta", "message", "session", "done"),
    ]
    assert all(data["type"] == type for _, type, data in events)
    assert events[-1][2]["text"] == "0 1 2 "


def test_a_stream_goes_on_after_each_event_exactly_once(site: Site) -> None:
    """F94, H6: cut at any event of a turn, `Last-Event-ID` brings what follows it, once and in order."""
    session = site.create()
    whole = stream(site, session, "count 5")
    for index, (id, _, _) in enumerate(whole):
        assert stream(site, session, "", after=id) == whole[index + 1 :]
    assert len(site.on_loop(_history(site, session))) == 2


def _history(site: Site, session: str) -> Any:
    async def read() -> list[Any]:
        return site.sessions.history(session).messages

    return read


def test_an_id_of_another_life_is_told_by_a_reset(site: Site) -> None:
    """Events that are gone are not passed over in silence."""
    session = site.create()
    stream(site, session, "count 1")
    assert [type for _, type, _ in stream(site, session, "", after="0123abcd.3")] == ["reset"]


def test_curl_goes_on_in_a_turn_where_it_was_cut(site: Site) -> None:
    """H6, with a client that everybody has: what was missed comes first, then the rest as it happens."""
    session = site.create()
    with opened(site, session) as client:
        site.send(session, "hold")
        first = parsed(until(client, b'"begun "').partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n"))
    url = f"{site.url}/api/sessions/{session}/stream"
    told = ("--header", f"Authorization: Bearer {TOKEN}", "--header", "Content-Type: application/json")
    place = ("--header", f"Last-Event-ID: {site.snapshot_id(session)}", "--data", "{}")
    with subprocess.Popen(["curl", "-sN", *told, *place, url], stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        read = b""
        while b'"begun "' not in read:
            read += curl.stdout.readline()
        site.release()
        read += curl.stdout.read()
    assert curl.returncode == 0
    assert [type for _, type, _ in parsed(read)] == [*("delta", "message", "session", "done")]
    assert first
