"""The OpenAPI document: whole, sound, and true of what the service answers and tells."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from kata_cli.core.events import encode_json
from kata_cli.service import openapi, rpc
from kata_cli.service.documents import Create, Send
from kata_cli.service.live_events import TYPES
from kata_cli.service.operations import OPERATIONS, Operation
from kata_cli.service.sessions import Sessions
from service.live_bench import Backend, workplace

DOCUMENT = msgspec.json.decode(openapi.document())
SCHEMAS = DOCUMENT["components"]["schemas"]

# What each operation is asked here, by the session that the test has made.
ASKED: dict[str, dict[str, Any]] = {
    "sessions.create": {"title": "another", "tools": [{"name": "look"}]},
    "sessions.send": {"message": "count 2"},
    "sessions.steer": {"message": "count 2"},
    "sessions.follow_up": {"message": "count 2"},
    "sessions.choose": {"thinking": "low"},
    "sessions.fork": {"title": "aside"},
    "sessions.branch": {"entry": None},
}


def validator(name: str) -> Draft202012Validator:
    """Checks what is to be of a schema of the document."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}})


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from nodes(item)


def asked_of(operation: Operation) -> Any:
    return DOCUMENT["paths"][operation.path][operation.verb.lower()]


def test_it_is_the_document_of_this_version() -> None:
    """The parts that every OpenAPI 3.1 document has are there."""
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"].keys() >= {"title", "version"}
    assert DOCUMENT["security"] == [{"token": []}]
    assert DOCUMENT["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}


def test_every_reference_leads_somewhere() -> None:
    """Each `$ref` is the address of a part of the document."""
    references = {node["$ref"] for node in nodes(DOCUMENT) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        found = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_one(name: str) -> None:
    """Each component is a JSON Schema 2020-12 under a name that OpenAPI allows."""
    assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_in_it(operation: Operation) -> None:
    """REST and the WebSocket have it, with what it takes, gives and may refuse."""
    told = asked_of(operation)
    assert told["operationId"] == operation.name
    answers = told["responses"]
    gives = {"$ref": f"#/components/schemas/{operation.gives.__name__}"}
    assert answers[str(operation.status)]["content"]["application/json"]["schema"] == gives
    assert answers.keys() >= {"400", "401", "404", "409", "413", "415", "421", "429", "503"}
    assert ("requestBody" in told) is (operation.verb == "POST")
    assert [parameter["name"] for parameter in told.get("parameters", [])] == ["id"] * operation.has_session
    method = DOCUMENT["x-websocket"]["methods"][operation.name]
    assert method["result"] == gives
    params = SCHEMAS[method["params"]["$ref"].rpartition("/")[2]]
    assert ("session" in params["required"]) is operation.has_session


def test_no_two_operations_have_one_name() -> None:
    """`operationId` is unique, as the standard asks."""
    names = [verb["operationId"] for path in DOCUMENT["paths"].values() for verb in path.values()]
    assert len(names) == len(set(names))


def test_the_parameters_of_a_path_are_those_in_its_address() -> None:
    """Each `{id}` is declared where it stands, and nowhere else."""
    for path, verbs in DOCUMENT["paths"].items():
        for told in verbs.values():
            declared = {item["name"] for item in told.get("parameters", []) if item["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))


def test_every_event_is_in_it() -> None:
    """`Event` tells the events apart by their type; streams and the WebSocket tell events."""
    event = SCHEMAS["Event"]
    assert event["discriminator"]["mapping"].keys() == TYPES.keys()
    for path, verb in (("stream", "post"), ("events", "get")):
        told = DOCUMENT["paths"]["/api/sessions/{id}/" + path][verb]
        schema = told["responses"]["200"]["content"]["text/event-stream"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Event"}
        assert [item["name"] for item in told["parameters"]] == ["id", "Last-Event-ID"]


def test_the_methods_of_the_connection_are_in_it() -> None:
    """Beside the operations: auth, subscribe, unsubscribe and ping; and all codes."""
    told = DOCUMENT["x-websocket"]
    assert told["methods"].keys() == {*rpc.OF_CONNECTION, *rpc.OF_SESSIONS}
    assert told["closeCodes"].keys() == {"1001", "1009", "1013", "4401"}
    assert told["errors"].keys() == {"-32700", "-32600", "-32601", "-32602", "-32603", "-32000"}


def test_what_is_answered_is_as_it_says(tmp_path: Path) -> None:
    """The answer of every operation, but for the result of a tool, fits its schema."""

    async def main() -> None:
        sessions = Sessions(workplace(tmp_path, Backend(), []))
        try:
            for operation in OPERATIONS:
                if operation.name != "sessions.tool_result":
                    session = await sessions.create(Create())
                    asked = msgspec.convert(ASKED.get(operation.name, {}), operation.takes)
                    answer = await operation.ask(sessions, session.id, asked)
                    validator(operation.gives.__name__).validate(msgspec.json.decode(encode_json(answer)))
                    await sessions.stop(session.id)
        finally:
            await sessions.aclose()

    asyncio.run(main())


def test_what_a_turn_tells_is_as_it_says(tmp_path: Path) -> None:
    """The events of a turn, with a tool call that is aborted, are events."""

    async def main() -> list[str]:
        sessions = Sessions(workplace(tmp_path, Backend(), []))
        try:
            session = (await sessions.create(Create())).id
            types = []
            for message in ("count 2", "tool"):
                async for batch in await sessions.stream(session, Send(message=message), None):
                    for logged in batch:
                        validator("Event").validate(msgspec.json.decode(logged.data))
                        types.append(logged.type)
                    if types[-1] == "tool":
                        await sessions.abort(session)
            return types
        finally:
            await sessions.aclose()

    assert {"session", "message", "delta", "tool", "done", "error"} <= set(asyncio.run(main()))


@pytest.mark.parametrize("kind", [Create, Send])
def test_what_is_refused_does_not_fit_either(kind: type[Any]) -> None:
    """The schema of a request allows no more than the service takes."""
    sound = {"message": "hello"} if kind is Send else {}
    assert validator(kind.__name__).is_valid(sound)
    assert not validator(kind.__name__).is_valid({**sound, "surprise": 1})
