"""Calls of the caller's tools in an answer, which arrive in pieces; what a vendor is told of a tool."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import count
from typing import Any

import msgspec

from kata_cli.core.errors import KataError
from kata_cli.core.messages import Message, Tool, ToolCall

MAX_CALLS = 128
MAX_ARGUMENTS_CHARS = 16 * 1024 * 1024


class _Begun(msgspec.Struct):
    id: str = ""
    name: str = ""
    initial: str = ""
    pieces: list[str] = msgspec.field(default_factory=list)

    @property
    def arguments(self) -> str:
        """For a tool without parameters some vendors send no arguments at all."""
        return "".join(self.pieces) or self.initial or "{}"


class ToolCalls:
    """The calls of one answer in the order in which they begin; `taken` are the ids of earlier ones.

    A `key` tells the calls of one answer apart. Raises `KataError` invalid_output when there are more than
    128 calls, or more than 16 Mi characters of arguments.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._begun: list[_Begun] = []
        self._open: dict[Hashable, _Begun] = {}
        self._arguments_chars = 0

    def begin(self, key: Hashable, call_id: str | None, name: str | None, initial: str = "") -> None:
        """A call, or more about one; `initial` holds if no piece of its arguments follows."""
        begun = self._open.get(key)
        # Some servers give every call the same key (https://github.com/ollama/ollama/issues/15457).
        if begun is None or (call_id and begun.id and call_id != begun.id):
            if len(self._begun) == MAX_CALLS:
                raise KataError("invalid_output", f"more than {MAX_CALLS} tool calls in one answer")
            begun = self._open[key] = _Begun()
            self._begun.append(begun)
        begun.id = begun.id or call_id or ""
        begun.name = begun.name or name or ""
        begun.initial = begun.initial or initial

    def add(self, key: Hashable, piece: str) -> None:
        """A piece of the arguments of a call that has begun; of any other it is left out."""
        begun = self._open.get(key)
        if begun is not None and piece:
            self._hold(len(piece))
            begun.pieces.append(piece)

    def replace(self, key: Hashable, arguments: str | None) -> None:
        """The arguments as a whole, in place of their pieces."""
        begun = self._open.get(key)
        if begun is not None and arguments:
            self._hold(len(arguments) - sum(map(len, begun.pieces)))
            begun.pieces = [arguments]

    def finished(self) -> tuple[ToolCall, ...]:
        """The calls, each with an id that the conversation does not have yet: vendors refuse a double."""
        taken, calls = set(self._taken), []
        for begun in self._begun:
            call_id = begun.id if begun.id and begun.id not in taken else _free_id(taken)
            taken.add(call_id)
            calls.append(ToolCall(id=call_id, name=begun.name, arguments=begun.arguments))
        return tuple(calls)

    def _hold(self, chars: int) -> None:
        self._arguments_chars += chars
        if self._arguments_chars > MAX_ARGUMENTS_CHARS:
            raise KataError("invalid_output", "more than 16 Mi characters of tool arguments in one answer")


def earlier_ids(messages: Iterable[Message]) -> list[str]:
    """The ids of all calls in a conversation."""
    return [call.id for message in messages for call in message.calls]


def parameters_of(tool: Tool) -> dict[str, Any]:
    """The schema of a tool's arguments; vendors insist on an object that names its properties."""
    return {"type": "object", "properties": {}, **tool.parameters}


def _free_id(taken: set[str]) -> str:
    return next(call_id for number in count(len(taken) + 1) if (call_id := f"call_{number}") not in taken)
