"""JSON-RPC without a connection: what is a call, and what it is answered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kata_cli.service import rpc
from kata_cli.service.log import Logged
from kata_cli.service.operations import OPERATIONS
from kata_cli.service.sessions import Sessions
from service.live_bench import Backend, workplace

NOBODY = "s-20261121-000000-000009"


def call(method: object = "sessions.list", **fields: object) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, **fields})


def answers(root: Path, *messages: bytes, bugs: list[BaseException] | None = None) -> list[Any]:
    """What each message is answered by sessions over a new store."""

    async def main() -> list[bytes | None]:
        sessions = Sessions(workplace(root, Backend(), bugs if bugs is not None else []))
        try:
            return [await _answer(message, sessions) for message in messages]
        finally:
            await sessions.aclose()

    return [None if answer is None else msgspec.json.decode(answer) for answer in asyncio.run(main())]


async def _answer(message: bytes, sessions: Sessions) -> bytes | None:
    try:
        asked = rpc.decode(message)
    except rpc.RpcError as refused:
        return rpc.error(refused)
    return await rpc.answer(asked, rpc.perform(asked, sessions), sessions.place)


@pytest.mark.parametrize("id", ["a", "", 0, -7, 3.5, None, 2**63, "\u007f\u009b"])
def test_an_answer_has_the_id_of_its_call(tmp_path: Path, id: object) -> None:
    """Strings, numbers and null are ids, and come back as they were (JSON-RPC 2.0, section 4)."""
    [answer] = answers(tmp_path, call(id=id))
    assert answer == {"jsonrpc": "2.0", "id": id, "result": answer["result"]}
    assert answer["result"]["schema"] == "kata.live-sessions/v1"


@pytest.mark.parametrize(
    "message",
    [
        call(),
        call("no.such"),
        call("sessions.get"),
        call("sessions.get", params={"session": NOBODY}),
        call("sessions.choose", params=[1]),
    ],
)
def test_a_notification_is_never_answered(tmp_path: Path, message: bytes) -> None:
    """A call without an id gets no answer, not even to say what is wrong with it."""
    assert answers(tmp_path, message) == [None]


def test_a_notification_is_done_all_the_same(tmp_path: Path) -> None:
    """What it asks for happens."""
    created, listed = answers(tmp_path, call("sessions.create", params={"title": "seen"}), call(id=1))
    assert created is None
    assert [session["title"] for session in listed["result"]["sessions"]] == ["seen"]


@pytest.mark.parametrize(
    ("message", "code", "id"),
    [
        (b"", rpc.PARSE_ERROR, None),
        (b'{"jsonrpc": "2.0", "method"', rpc.PARSE_ERROR, None),
        (b"\xff\xfe", rpc.PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","method":"ping","id":NaN}', rpc.PARSE_ERROR, None),
        (b"[" * 5000, rpc.PARSE_ERROR, None),
        (call(params={"a": [[]] * 9, "b": msgspec.Raw(b"[" * 70 + b"]" * 70)}), rpc.PARSE_ERROR, None),
        (b" " * rpc.MAX_MESSAGE_BYTES + b"{}", rpc.PARSE_ERROR, None),
        (b"1", rpc.INVALID_REQUEST, None),
        (b"null", rpc.INVALID_REQUEST, None),
        (b"{}", rpc.INVALID_REQUEST, None),
        (b'{"method":"ping","id":4}', rpc.INVALID_REQUEST, 4),
        (b'{"jsonrpc":"1.0","method":"ping","id":4}', rpc.INVALID_REQUEST, 4),
        (call(1, id="x"), rpc.INVALID_REQUEST, "x"),
        (call(params="bar", id="x"), rpc.INVALID_REQUEST, "x"),
        (call(id=True), rpc.INVALID_REQUEST, None),
        (call(id={}), rpc.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","result":1,"id":1}', rpc.INVALID_REQUEST, 1),
        (b"[]", rpc.INVALID_REQUEST, None),
        (b"[" + call(id=1) + b"]", rpc.INVALID_REQUEST, None),
        (call("no.such", id=1), rpc.METHOD_NOT_FOUND, 1),
        (call("rpc.discover", id=1), rpc.METHOD_NOT_FOUND, 1),
        (call("sessions.get", id=1), rpc.INVALID_PARAMS, 1),
        (call("sessions.get", id=1, params=[NOBODY]), rpc.INVALID_PARAMS, 1),
        (call("sessions.get", id=1, params={"session": 1}), rpc.INVALID_PARAMS, 1),
        (call("sessions.send", id=1, params={"session": NOBODY}), rpc.INVALID_PARAMS, 1),
        (call("sessions.send", id=1, params={"session": NOBODY, "message": 1}), rpc.INVALID_PARAMS, 1),
        (call("sessions.create", id=1, params={"titel": ""}), rpc.INVALID_PARAMS, 1),
        (call("sessions.create", id=1, params={"session": NOBODY}), rpc.INVALID_PARAMS, 1),
        (call("sessions.get", id=1, params={"session": NOBODY}), rpc.REFUSED, 1),
        (call("sessions.get", id=1, params={"session": "../../etc"}), rpc.REFUSED, 1),
    ],
)
def test_what_is_wrong_is_told_by_its_code(tmp_path: Path, message: bytes, code: int, id: object) -> None:
    """Each kind of error has the code of the standard; the id is told where there is one."""
    [answer] = answers(tmp_path, message)
    assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", id, code)
    assert "\n" not in answer["error"]["message"]


def test_a_batch_is_told_what_to_do_instead(tmp_path: Path) -> None:
    """It has one answer, whatever is in it."""
    [answer] = answers(tmp_path, b"[" + call(id=1) + b"," + call(id=2) + b"]")
    assert "send each request by itself" in answer["error"]["message"]


def test_an_unknown_method_is_told_the_nearest(tmp_path: Path) -> None:
    """A slip of the pen is put right, for methods of the connection too."""
    told = [a["error"]["message"] for a in answers(tmp_path, call("session.list", id=1), call("pong", id=2))]
    assert "sessions.list" in told[0]
    assert "ping" in told[1]


def test_a_refusal_carries_the_error_document(tmp_path: Path) -> None:
    """What the service refuses has the document that REST would have answered with."""
    [answer] = answers(tmp_path, call("sessions.get", id=1, params={"session": NOBODY}))
    data = answer["error"]["data"]
    assert (data["schema"], data["runtime_mode"]) == ("kata.error/v1", "mock")
    assert data["message"] == answer["error"]["message"]


def test_a_bug_is_told_without_its_words(tmp_path: Path) -> None:
    """An exception that nobody expected is kept for its report, and the client hears of a bug."""
    bugs: list[BaseException] = []
    [answer] = answers(tmp_path, call("sessions.create", id=1, params={"model": "bug"}), bugs=bugs)
    assert answer["error"] == {"code": rpc.INTERNAL_ERROR, "message": "a bug in kata"}
    assert [str(bug) for bug in bugs] == ["a bug of the backend"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda of: (
            st.lists(of, max_size=3)
            | st.dictionaries(st.sampled_from(["jsonrpc", "method", "id", "params", "2.0"]), of)
        ),
    )
)
@settings(max_examples=60, deadline=None)
def test_any_json_is_a_call_or_refused(value: object) -> None:
    """Whatever a client sends, it is a call, or has an error that can be answered."""
    assert _code(msgspec.json.encode(value)) in (None, rpc.INVALID_REQUEST, rpc.PARSE_ERROR)


def _code(message: bytes) -> int | None:
    try:
        rpc.decode(message)
    except rpc.RpcError as refused:
        return int(msgspec.json.decode(rpc.error(refused))["error"]["code"])
    return None


def test_an_event_is_told_whole_and_safely() -> None:
    """The event stands in the notification as it is; controls that a terminal obeys stay escaped."""
    data = b'{"type":"delta","text":"\\u009b2J"}'
    told = rpc.event("s-1", Logged("a.1", "delta", data))
    assert msgspec.json.decode(told)["params"] == {
        "session": "s-1",
        "id": "a.1",
        "event": {"type": "delta", "text": "\x9b2J"},
    }
    assert data in told


def test_no_method_has_two_meanings() -> None:
    """The methods of the connection are none of the sessions'."""
    assert not rpc.OF_CONNECTION.keys() & {operation.name for operation in OPERATIONS}
