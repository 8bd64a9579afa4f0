"""The WebSocket on a real socket, with a real client: who may, many sessions, going on, and every end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from kata_cli.service.rpc_socket import SocketLimits
from service.live_bench import BEARER, TOKEN, Peer, RefusedError, Site, slow_socket, story
from service.loopback import WAIT_S


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        yield site


@asynccontextmanager
async def peer(site: Site) -> AsyncIterator[Peer]:
    """A client that shows the token in its handshake."""
    async with connect(site.socket_url, additional_headers=BEARER) as socket:
        yield Peer(socket)


async def close_code(socket: ClientConnection) -> int | None:
    """The code with which the service ends a connection."""
    await asyncio.wait_for(socket.wait_closed(), WAIT_S)
    return socket.close_code


async def turn_of(one: Peer, session: str) -> list[Any]:
    """The events of a session up to the end of its turn."""
    events: list[Any] = []
    while not events or events[-1]["event"]["type"] not in ("done", "error"):
        event = await one.event()
        assert event["session"] == session
        events.append(event)
    return events


def test_the_token_may_come_in_the_first_message(site: Site) -> None:
    """Browsers cannot set headers of a handshake: they show the token by `auth`."""

    async def main() -> None:
        async with connect(site.socket_url) as socket:
            one = Peer(socket)
            assert (await one.ask("auth", token=TOKEN)).keys() == {"ts"}
            assert (await one.ask("capabilities"))["schema"] == "kata.capabilities/v1"

    asyncio.run(main())


@pytest.mark.parametrize(
    "first",
    [
        '{"jsonrpc":"2.0","id":0,"method":"auth","params":{"token":"wrong"}}',
        '{"jsonrpc":"2.0","id":0,"method":"auth","params":{"token":""}}',
        '{"jsonrpc":"2.0","id":0,"method":"auth"}',
        '{"jsonrpc":"2.0","id":0,"method":"sessions.list"}',
        '{"jsonrpc":"2.0","method":"sessions.create"}',
        "hello",
        b"\xff",
    ],
)
def test_whoever_does_not_show_the_token_first_is_sent_away(site: Site, first: str | bytes) -> None:
    """F90: a wrong token, none, or anything else before it closes with 4401; nothing was done or told."""

    async def main() -> None:
        async with connect(site.socket_url) as socket:
            await socket.send(first)
            assert await close_code(socket) == 4401
            assert TOKEN not in (socket.close_reason or "")

    asyncio.run(main())
    assert site.on_loop(_listed(site)) == 0


def _listed(site: Site) -> Callable[[], Any]:
    async def count() -> int:
        return len(site.sessions.listed().sessions)

    return count


def test_whoever_says_nothing_is_sent_away(tmp_path: Path) -> None:
    """The first message has to come in time."""

    async def main() -> None:
        async with connect(strict.socket_url) as socket:
            assert await close_code(socket) == 4401

    with Site(tmp_path, sockets=SocketLimits(auth_s=0.05)) as strict:
        asyncio.run(main())


def test_a_wrong_token_in_the_handshake_gets_no_connection(site: Site) -> None:
    """The guard refuses it before there is a WebSocket."""

    async def main() -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(site.socket_url, additional_headers={"Authorization": "Bearer wrong"})
        assert refused.value.response.status_code == 401

    asyncio.run(main())


def test_a_wrong_token_later_is_refused(site: Site) -> None:
    """Who is known stays known, and may show the token again."""

    async def main() -> None:
        async with peer(site) as one:
            with pytest.raises(RefusedError, match="token is wrong"):
                await one.ask("auth", token="wrong")
            await one.ask("auth", token=TOKEN)

    asyncio.run(main())


def test_one_connection_serves_many_sessions(site: Site) -> None:
    """Turns of several sessions run at once; the events of each are whole and in order."""

    async def main() -> None:
        async with peer(site) as one:
            names = [(await one.ask("sessions.create", title=f"{n}"))["id"] for n in range(5)]
            for name in names:
                await one.ask("subscribe", session=name)
            for name in names:
                await one.tell("sessions.send", session=name, message="count 9")
            seen: dict[str, list[Any]] = {name: [] for name in names}
            while sum(event["type"] == "done" for events in seen.values() for event in events) < 5:
                told = await one.event()
                seen[told["session"]].append(told["event"])
            whole = "".join(f"{n} " for n in range(9))
            for name in names:
                assert story(seen[name]) == [
                    *("session", "message", "session", whole, "message", "session", "done"),
                ]

    asyncio.run(main())


def test_a_subscription_goes_on_after_each_event_exactly_once(site: Site) -> None:
    """F94, H6: cut at any event of a turn, what follows it comes once and in order, and nothing else."""
    session = site.create()
    ids = [id for _ in range(3) for id, _ in site.turn(session, "count 6")]

    async def after(one: Peer, id: str) -> list[str]:
        told = await one.ask("subscribe", session=session, after=id)
        assert told == {"last_event_id": ids[-1]}
        found = [(await one.event())["id"] for _ in ids[ids.index(id) + 1 :]]
        await one.ask("unsubscribe", session=session)
        return found

    async def main() -> None:
        async with peer(site) as one:
            for index, id in enumerate(ids):
                assert await after(one, id) == ids[index + 1 :]

    asyncio.run(main())


def test_a_client_that_was_cut_off_in_a_turn_loses_nothing(site: Site) -> None:
    """H6: what happens while nobody is connected comes after the next `subscribe`."""
    session = site.create()

    async def begin() -> list[Any]:
        async with connect(site.socket_url, additional_headers=BEARER) as socket:
            one = Peer(socket)
            await one.ask("subscribe", session=session)
            await one.ask("sessions.send", session=session, message="hold")
            seen = [await one.event() for _ in range(4)]
            socket.transport.abort()
            return seen

    async def go_on(after: str) -> list[Any]:
        async with peer(site) as one:
            await one.ask("subscribe", session=session, after=after)
            return await turn_of(one, session)

    seen = asyncio.run(begin())
    site.release()
    seen += asyncio.run(go_on(seen[-1]["id"]))
    whole = asyncio.run(go_on(seen[0]["id"]))
    assert seen[1:] == whole
    assert [event["event"]["type"] for event in seen] == [
        *("session", "message", "session", "delta"),
        *("message", "session", "done"),
    ]


def test_an_id_of_another_life_is_told_by_a_reset(site: Site) -> None:
    """Events that are gone are not passed over in silence."""
    session = site.create()

    async def main() -> None:
        async with peer(site) as one:
            await one.ask("subscribe", session=session, after="0123abcd.7")
            event = await one.event()
            assert event["event"]["type"] == "reset"
            assert event["id"] == (await one.ask("sessions.history", session=session))["last_event_id"]

    asyncio.run(main())


@pytest.mark.parametrize("after", ["x", "a.b", "a.-1", "a." + "9" * 19, "é.1", "a" * 65 + ".1", " a.1"])
def test_what_never_was_an_event_id_is_refused(site: Site, after: str) -> None:
    """`after` is bounded, and of few characters."""
    session = site.create()

    async def main() -> None:
        async with peer(site) as one:
            answer = await one.answer("subscribe", {"session": session, "after": after})
            assert answer["error"]["code"] == -32602

    asyncio.run(main())


def test_subscriptions_begin_once_and_end(site: Site) -> None:
    """A second `subscribe` is refused; after `unsubscribe`, which may come twice, it works again."""
    session = site.create()

    async def main() -> None:
        async with peer(site) as one:
            await one.ask("subscribe", session=session)
            with pytest.raises(RefusedError, match="unsubscribe first"):
                await one.ask("subscribe", session=session)
            await one.ask("unsubscribe", session=session)
            await one.ask("unsubscribe", session=session)
            await one.ask("subscribe", session=session)
            with pytest.raises(RefusedError) as refused:
                await one.ask("subscribe", session="s-20261121-000000-000099")
            assert refused.value.error["data"]["schema"] == "kata.error/v1"

    asyncio.run(main())


def test_a_session_that_is_stopped_says_bye_and_can_be_followed_again(site: Site) -> None:
    """F95: the events of a session end with it, the connection does not."""
    session = site.create()

    async def main() -> None:
        async with peer(site) as one:
            await one.ask("subscribe", session=session)
            await one.ask("sessions.send", session=session, message="hold")
            assert (await one.ask("sessions.stop", session=session))["status"] == "closed"
            types = []
            while "bye" not in types:
                types.append((await one.event())["event"]["type"])
            assert types[-3:] == ["session", "error", "bye"]
            await one.ask("subscribe", session=session)
            assert (await one.event())["event"]["session"]["status"] == "idle"

    asyncio.run(main())


def test_a_client_answers_a_tool_call(site: Site) -> None:
    """A tool that is wanted is answered over the same connection, and the turn goes on."""

    async def main() -> None:
        async with peer(site) as one:
            session = (await one.ask("sessions.create", tools=[{"name": "look"}]))["id"]
            await one.ask("subscribe", session=session)
            await one.ask("sessions.send", session=session, message="tool")
            event: Any = {}
            while event.get("state") != "wanted":
                event = (await one.event())["event"]
            assert (event["tool"], event["input"]) == ("look", '{"at":1}')
            await one.ask("sessions.tool_result", session=session, call_id=event["call_id"], output="a tree")
            events = [told["event"] for told in await turn_of(one, session)]
            assert events[0] == {**event, "state": "answered", "input": ""}
            assert events[-1]["text"] == "answer to a tree"
            with pytest.raises(RefusedError):
                await one.ask("sessions.tool_result", session=session, call_id="c1", output="again")

    asyncio.run(main())


def test_requests_of_one_connection_run_side_by_side_but_not_too_many(tmp_path: Path) -> None:
    """Slow requests hold up neither each other nor the connection itself, up to a bound."""

    async def main() -> None:
        async with peer(site) as one, peer(site) as other:
            site.backend.listing.clear()
            for _ in range(2):
                await one.socket.send(asked)
            await one.ask("ping")
            for _ in range(6):
                await one.socket.send(asked)
            for _ in range(20):  # by then the service has read all that it is going to read
                await other.ask("ping")
            assert site.backend.asking == 3
            site.on_loop(_set(site.backend))
            answers = [msgspec.json.decode(await one.socket.recv()) for _ in range(8)]
            assert [answer["id"] for answer in answers] == ["m"] * 8

    asked = '{"jsonrpc":"2.0","id":"m","method":"models"}'
    with Site(tmp_path, sockets=SocketLimits(max_requests=3)) as site:
        asyncio.run(main())


def test_the_service_shows_that_it_lives(tmp_path: Path) -> None:
    """PI-38: a heartbeat comes again and again, with the service's time."""

    async def main() -> None:
        async with peer(site) as one:
            beats = [await one.told("heartbeat") for _ in range(3)]
            times = [beat["params"]["ts"] for beat in beats]
            assert times == sorted(times)
            assert all(time.endswith("Z") for time in times)

    with Site(tmp_path, sockets=SocketLimits(heartbeat_s=0.01)) as site:
        asyncio.run(main())


def test_binary_messages_are_read_like_text(site: Site) -> None:
    """JSON is UTF-8 either way."""

    async def main() -> None:
        async with peer(site) as one:
            await one.socket.send(b'{"jsonrpc":"2.0","id":"b","method":"ping"}')
            assert msgspec.json.decode(await one.socket.recv())["id"] == "b"

    asyncio.run(main())


def test_a_message_that_is_too_big_ends_the_connection(site: Site) -> None:
    """F92: 1 MiB is the most; the rest is not read."""

    async def main() -> None:
        async with peer(site) as one:
            await one.socket.send(b"x" * (1024 * 1024 + 1))
            assert await close_code(one.socket) == 1009

    asyncio.run(main())


async def _before_auth(site: Site) -> ClientConnection:
    return await connect(site.socket_url)


async def _silent(site: Site) -> ClientConnection:
    return await connect(site.socket_url, additional_headers=BEARER)


async def _subscribed(site: Site) -> ClientConnection:
    socket = await _silent(site)
    one = Peer(socket)
    for _ in range(3):
        await one.ask("subscribe", session=(await one.ask("sessions.create"))["id"])
    return socket


async def _in_a_turn(site: Site) -> ClientConnection:
    socket = await _silent(site)
    one = Peer(socket)
    session = (await one.ask("sessions.create"))["id"]
    await one.ask("subscribe", session=session)
    await one.ask("sessions.send", session=session, message="large 8")
    await one.event()
    return socket


async def _in_a_request(site: Site) -> ClientConnection:
    site.backend.listing.clear()
    socket = await _silent(site)
    await socket.send('{"jsonrpc":"2.0","id":1,"method":"models"}')
    await Peer(socket).ask("ping")
    return socket


@pytest.mark.parametrize("begin", [_before_auth, _silent, _subscribed, _in_a_turn, _in_a_request])
@pytest.mark.parametrize("is_orderly", [False, True])
def test_nothing_is_left_of_a_client_that_is_gone(
    site: Site, begin: Callable[[Site], Awaitable[ClientConnection]], is_orderly: bool
) -> None:
    """Whenever a peer vanishes or says goodbye, all that was done for its connection ends."""
    before = site.tasks()

    async def main() -> None:
        socket = await begin(site)
        if is_orderly:
            await socket.close()
        else:
            socket.transport.abort()

    asyncio.run(main())
    site.on_loop(_set(site.backend))
    site.wait_for_end_of_all_but(before)
    assert site.server.open_connections == 0
    assert not site.bugs


def _set(backend: Any) -> Callable[[], Any]:
    async def do() -> None:
        backend.listing.set()

    return do


def test_a_client_that_does_not_read_is_closed_and_goes_on(tmp_path: Path) -> None:
    """F93, H5: it is closed with 1013, nothing piles up for it, and by `after` it gets all that it missed."""

    async def main() -> None:
        client = slow_socket(site.server.port)
        async with connect(site.socket_url, additional_headers=BEARER, max_queue=1, sock=client) as socket:
            one = Peer(socket)
            await one.ask("subscribe", session=session)
            seen = [await one.event()]
            await one.ask("sessions.send", session=session, message="large 8")
            await asyncio.to_thread(site.wait_for_turn, session)
            await asyncio.to_thread(site.wait_for_end_of_all_but, before, 1)
            seen += await one.events_to_end()
            assert socket.close_code == 1013
            assert seen[-1]["event"]["type"] != "done"
        async with peer(site) as one:
            await one.ask("subscribe", session=session, after=seen[-1]["id"])
            seen += await turn_of(one, session)
        numbers = [int(event["id"].rpartition(".")[2]) for event in seen]
        assert numbers == list(range(len(numbers)))
        assert (
            sum(len(event["event"]["text"]) for event in seen if event["event"]["type"] == "delta") == 520_000
        )

    with Site(tmp_path, sockets=SocketLimits(slow_s=0.2, close_s=WAIT_S)) as site:
        session, before = site.create(), site.tasks()
        asyncio.run(main())


def test_a_client_that_never_reads_again_is_hung_up_on(tmp_path: Path) -> None:
    """F93: nothing waits for ever for a peer to take a goodbye."""

    async def main() -> None:
        client = slow_socket(site.server.port)
        socket = await connect(site.socket_url, additional_headers=BEARER, max_queue=1, sock=client)
        one = Peer(socket)
        await one.ask("subscribe", session=session)
        await one.ask("sessions.send", session=session, message="large 8")
        await asyncio.to_thread(site.wait_for_end_of_all_but, before)
        assert site.server.open_connections == 0
        socket.transport.abort()

    with Site(tmp_path, sockets=SocketLimits(slow_s=0.1, close_s=0.1)) as site:
        session, before = site.create(), site.tasks()
        asyncio.run(main())


def test_a_service_that_stops_says_goodbye(tmp_path: Path) -> None:
    """F96, H8: each subscription ends with `bye`, whatever waits before it, then the connection with 1001."""

    async def main() -> None:
        async with peer(site) as one, connect(site.socket_url) as unknown:
            for session in sessions:
                await one.ask("subscribe", session=session)
            await one.ask("sessions.send", session=sessions[0], message="hold")
            await asyncio.to_thread(site.on_loop, site.stop)
            events = await one.events_to_end()
            assert sorted(told["session"] for told in events if told["event"]["type"] == "bye") == sessions
            assert one.socket.close_code == 1001
            assert await close_code(unknown) == 1001

    # With so much time, and so little room, nothing is sent in time by chance.
    with Site(tmp_path, sockets=SocketLimits(bye_s=60, max_waiting=1)) as site:
        sessions = [site.create() for _ in range(3)]
        asyncio.run(main())


def test_a_service_that_stops_waits_for_no_answer(tmp_path: Path) -> None:
    """H8: a request that takes long holds up nothing."""
    with Site(tmp_path, sockets=SocketLimits(bye_s=0.05, close_s=0.05)) as site:
        before = site.tasks()

        async def main() -> None:
            socket = await _in_a_request(site)
            await asyncio.to_thread(site.on_loop, site.stop)
            assert await close_code(socket) == 1001

        asyncio.run(main())
        site.wait_for_end_of_all_but(before)
