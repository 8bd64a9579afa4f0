"""What `kata agents` asks of one session: a request each, and the answer as the service gives it."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import msgspec

from kata_cli.app import stdin
from kata_cli.app.agents_services import SESSIONS, Asking, Found, open_services
from kata_cli.app.inputs import text_file
from kata_cli.core import loop
from kata_cli.core.errors import KataError
from kata_cli.core.messages import Tool
from kata_cli.service.documents import Accepted as Accepted
from kata_cli.service.documents import Asked, Nothing, Say
from kata_cli.service.documents import Choose as Choose
from kata_cli.service.documents import Create as Create
from kata_cli.service.documents import Fork as Fork
from kata_cli.service.documents import History as History
from kata_cli.service.documents import LiveSession as LiveSession
from kata_cli.service.documents import Send as Send
from kata_cli.service.documents import Told as Told
from kata_cli.service.documents import ToolResult as ToolResult
from kata_cli.service.documents import Tree as Tree
from kata_cli.service.documents import TreePlace as TreePlace

T = TypeVar("T")

STDIN_FD = 0
MAX_MESSAGE_BYTES = 1_000_000  # the service takes requests of 1 MiB
MAX_TOOLS_BYTES = 1_048_576


class Opened(msgspec.Struct, frozen=True):
    """A new session, and the service that has it."""

    url: str
    session: LiveSession


def open_session(asking: Asking, asked: Create) -> Opened:
    """A new session in the service that has the most room. Raises `KataError`."""
    return loop.run(_open(asking, asked))


def send_only(asking: Asking, session: str, asked: Send) -> Accepted:
    """Begin a turn, and do not wait for its answer. Raises `KataError`."""
    return _post(asking, session, "send", asked, Accepted)


def steer(asking: Asking, session: str, message: str) -> Accepted:
    """Say something to the turn under way. Raises `KataError`."""
    return _post(asking, session, "steer", Say(message=message), Accepted)


def follow_up(asking: Asking, session: str, message: str) -> Accepted:
    """Say something once the turn under way is over. Raises `KataError`."""
    return _post(asking, session, "follow-up", Say(message=message), Accepted)


def answer_call(asking: Asking, session: str, result: ToolResult) -> LiveSession:
    """Give the result of a tool call that the session waits for. Raises `KataError`."""
    return _post(asking, session, "tool-result", result, LiveSession)


def abort(asking: Asking, session: str) -> LiveSession:
    """End the turn under way, if there is one. Raises `KataError`."""
    return _post(asking, session, "abort", Nothing(), LiveSession)


def stop(asking: Asking, session: str) -> LiveSession:
    """Close a session; it stays on disk. Raises `KataError`."""
    return _post(asking, session, "stop", Nothing(), LiveSession)


def choose(asking: Asking, session: str, chosen: Choose) -> LiveSession:
    """Another model, level of thinking or title. Raises `KataError`."""
    return _post(asking, session, "choose", chosen, LiveSession)


def fork(asking: Asking, session: str, asked: Fork) -> LiveSession:
    """A new session that leaves another one. Raises `KataError`."""
    return _post(asking, session, "fork", asked, LiveSession)


def read_history(asking: Asking, session: str) -> History:
    """The conversation up to the head. Raises `KataError`."""
    return loop.run(_get(asking, session, "history", History))


def read_tree(asking: Asking, session: str) -> Tree:
    """A session with all its branches. Raises `KataError`."""
    return loop.run(_get(asking, session, "tree", Tree))


def read_message(asking: Asking, text: str | None) -> str:
    """The text of an argument; of stdin where it is `-`, or not there and stdin is no terminal.

    Raises `KataError`: usage when there is none, io for what is no text.
    """
    if text not in (None, "-"):
        return text or ""
    hint = "give the text as an argument, or pipe it"
    if text is None and stdin.source_of(STDIN_FD) in ("terminal", "none"):
        raise KataError("usage", "there is no message", hint)
    wait_s = asking.resolved.settings.stdin_wait
    stdin.await_first_byte(STDIN_FD, wait_s=wait_s, say=asking.say, notice="waiting for stdin", hint=hint)
    return stdin.read_text(STDIN_FD, wait_s=None, say=asking.say, max_bytes=MAX_MESSAGE_BYTES)


def read_tools(file: str) -> tuple[Tool, ...]:
    """The tools of a client, from a JSON file. Raises `KataError`: io, usage for what is no list of tools."""
    text = text_file(Path(file), "file of tools", MAX_TOOLS_BYTES)
    try:
        return msgspec.json.decode(text, type=tuple[Tool, ...])
    except msgspec.MsgspecError as error:
        hint = 'such as [{"name": "lookup", "description": "…", "parameters": {"type": "object"}}]'
        raise KataError("usage", f"{file} is no list of tools: {error}", hint) from None


async def _open(asking: Asking, asked: Create) -> Opened:
    async with aclosing(open_services(asking)) as services:
        client = await services.roomiest()
        return Opened(client.url, await client.post(f"{SESSIONS}/create", asked, LiveSession))


def _post(asking: Asking, session: str, action: str, asked: Asked, kind: type[T]) -> T:
    return loop.run(_posted(asking, session, action, asked, kind))


async def _posted(asking: Asking, session: str, action: str, asked: Asked, kind: type[T]) -> T:
    async with aclosing(open_services(asking)) as services:
        found: Found = await services.find(session)
        return await found.client.post(found.path(action), asked, kind)


async def _get(asking: Asking, session: str, action: str, kind: type[T]) -> T:
    async with aclosing(open_services(asking)) as services:
        found = await services.find(session)
        return await found.client.get(found.path(action), kind)
