"""Server-sent events on a real socket: turns, going on, curl, and clients that leave or do not read."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kata_cli.core.errors import KataError
from kata_cli.service.connections import Limits, limited
from kata_cli.service.log import Logged
from kata_cli.service.sse import EventStream, StreamLimits, frame, last_event_id
from service.live_bench import BEARER, TOKEN, Site, slow_socket, small_listener, story
from service.loopback import WAIT_S, Loopback

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


@contextmanager
def following(site: Site, session: str, after: str = "") -> Iterator[HTTPResponse]:
    """`/events`, open."""
    client = HTTPConnection("127.0.0.1", site.server.port, timeout=WAIT_S)
    client.request("GET", f"/api/sessions/{session}/events", headers={**BEARER, "Last-Event-ID": after})
    try:
        yield client.getresponse()
    finally:
        client.close()


def next_block(response: Any) -> bytes:
    """The next event or comment, with the empty line after it."""
    block = b""
    while not block.endswith(b"\n\n"):
        line = response.readline()
        assert line, block
        block += line
    return block


ANY_REQUEST = b"GET / HTTP/1.1\r\nHost: any\r\n\r\n"


def streamed(batches: Callable[[], AsyncGenerator[list[Logged], None]], limits: StreamLimits) -> Loopback:
    """A server whose every answer is a stream."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await EventStream(batches(), limits, ExitStack())(scope, receive, send)

    return Loopback(app, listener=small_listener(), http=limited(Limits()), lifespan="off")


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
    """The stream begins with the session, tells the answer as it comes, and ends with `done`."""
    events = stream(site, site.create(), "count 3")
    assert story(data for _, _, data in events) == [
        *("session", "message", "session", "0 1 2 ", "message", "session", "done"),
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


def curl(site: Site, session: str, body: str, *options: str) -> subprocess.Popen[bytes]:
    url = f"{site.url}/api/sessions/{session}/stream"
    headers = [f"Authorization: Bearer {TOKEN}", "Content-Type: application/json"]
    told = [word for header in headers for word in ("--header", header)]
    return subprocess.Popen(["curl", "-sN", *told, *options, "--data", body, url], stdout=subprocess.PIPE)


def test_curl_goes_on_in_a_turn_where_it_was_cut(site: Site) -> None:
    """H6, with a client that everybody has: killed in a turn, it gets the rest and nothing twice."""
    session = site.create()
    with curl(site, session, '{"message":"hold"}') as cut:
        seen = [parsed(next_block(cut.stdout))[0] for _ in range(4)]
        cut.kill()
    assert [type for _, type, _ in seen] == ["session", "message", "session", "delta"]
    with curl(site, session, "{}", "--header", f"Last-Event-ID: {seen[-2][0]}") as again:
        assert parsed(next_block(again.stdout)) == seen[-1:]
        site.release()
        assert again.stdout is not None
        rest = parsed(again.stdout.read())
    assert again.returncode == 0
    assert [type for _, type, _ in rest] == ["message", "session", "done"]


def test_everything_is_told_on_events_from_now_on(site: Site) -> None:
    """`/events` begins with the session as it stands, outlives turns, and ends when the session does."""
    session = site.create()
    site.turn(session, "count 1")
    with following(site, session) as response:
        assert parsed(next_block(response))[0][2]["session"]["messages"] == 2
        site.turn(session, "count 1")
        site.on_loop(lambda: site.sessions.stop(session))
        types = [type for _, type, _ in parsed(response.read())]
    assert types == ["message", "session", "delta", "message", "session", "done", "bye"]


def test_a_silent_stream_shows_that_it_lives() -> None:
    """A comment comes again and again while there is nothing to tell."""

    async def silence() -> AsyncGenerator[list[Logged], None]:
        await asyncio.Event().wait()
        yield []

    with streamed(silence, StreamLimits(ping_s=0.01)) as server, server.connect() as client:
        client.sendall(ANY_REQUEST)
        with client.makefile("rb") as answer:
            next_chunk = [answer.readline() for _ in range(20)]
    assert next_chunk.count(b": ping\n") >= 3


def test_a_session_has_so_many_streams_and_no_more(site: Site) -> None:
    """H4: the ninth is refused before anything is sent to the agent; another session has its own."""
    session, other = site.create(), site.create()
    with ExitStack() as opened:
        for _ in range(8):
            next_block(opened.enter_context(following(site, session)))
        refused = site.server.ask("POST", f"/api/sessions/{session}/stream", JSON, b'{"message":"count 1"}')
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        assert refused.json["code"] == "limit_reached"
        assert site.on_loop(_history(site, session)) == []
        assert stream(site, other, "count 1")[-1][1] == "done"


def test_a_stream_that_is_refused_takes_no_place(site: Site) -> None:
    """What ends in an error, or at its end, makes room again."""
    session = site.create()
    for _ in range(9):
        answer = site.server.ask("POST", f"/api/sessions/{session}/stream", JSON, b'{"message":""}')
        assert answer.status == 400
    for _ in range(9):
        stream(site, session, "count 1")
    with following(site, session) as response:
        next_block(response)


def test_nothing_is_left_of_clients_that_are_gone(site: Site) -> None:
    """A client that leaves is noticed while there is nothing to tell it, and its place is free."""
    session, before = site.create(), site.tasks()
    for _ in range(3):
        with ExitStack() as opened:
            for _ in range(8):
                next_block(opened.enter_context(following(site, session)))
        site.wait_for_end_of_all_but(before)


def test_a_client_that_does_not_read_is_dropped() -> None:
    """F93, H5: it is hung up on, and little was taken from the log by then; the rest can be had by its id."""
    taken, is_over = [], threading.Event()

    async def flood() -> AsyncGenerator[list[Logged], None]:
        try:
            for number in range(1000):
                taken.append(number)
                yield [Logged(f"ab.{number}", "delta", b"x" * 65_536)]
        finally:
            is_over.set()

    with streamed(flood, StreamLimits(slow_s=0.1)) as server, slow_socket(server.port) as client:
        client.sendall(ANY_REQUEST)
        assert is_over.wait(WAIT_S)
        assert server.open_connections == 0
    assert len(taken) < 50


def test_a_service_that_stops_says_goodbye(site: Site) -> None:
    """F96, H8: each of eight streams ends with `bye`, in good order."""
    session = site.create()
    with ExitStack() as opened:
        streams = [opened.enter_context(following(site, session)) for _ in range(8)]
        for response in streams:
            next_block(response)
        site.on_loop(site.stop)
        assert [[type for _, type, _ in parsed(response.read())] for response in streams] == [["bye"]] * 8
