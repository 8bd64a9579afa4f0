"""The documents that are written in parts, as one type each; only their schemas are made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

import msgspec

from kata_cli.core.events import VERSION, ContentDelta, Event, StoredEvent
from kata_cli.core.session import KnownEntry, SessionHeader
from kata_cli.spec.document import Document

Count = Annotated[int, msgspec.Meta(ge=0)]
After = Annotated[int, msgspec.Meta(ge=-1)]  # -1: before the first stored event


def _line(kind: type[Event]) -> type[msgspec.Struct]:
    """An event as `core.events.Recorded.line` writes it: with its place in the run."""
    place: tuple[str, Any] = ("after", After) if kind is ContentDelta else ("seq", Count)
    fields = [("v", Literal[VERSION]), place, ("ts", str), ("run_id", str)]
    return msgspec.defstruct(
        kind.__name__,
        fields,
        bases=(kind,),
        namespace={"__doc__": kind.__doc__},
        tag=kind.__struct_config__.tag,
        kw_only=True,
    )


EventLine: Any = Union[tuple(map(_line, (*StoredEvent.__args__, ContentDelta)))]  # noqa: UP007

SessionLine = SessionHeader | KnownEntry


class SpecRun(msgspec.Struct, kw_only=True):
    """The run that made a draft; without id and time where nothing may depend on them (mock mode)."""

    id: str | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET
    workflow: str


class Generator(msgspec.Struct, kw_only=True):
    """The program and the model that made a draft."""

    name: str
    version: str
    model: str


class InputFile(msgspec.Struct, kw_only=True):
    """A file that the models saw, with the hash of what was read."""

    path: str
    sha256: str


class SpecFile(Document, frozen=True, kw_only=True):
    """A draft (`kata.spec/v1`); the file beside it says where it comes from, the result of a run does not."""

    run: SpecRun | msgspec.UnsetType = msgspec.UNSET
    generator: Generator | msgspec.UnsetType = msgspec.UNSET
    inputs: list[InputFile] | msgspec.UnsetType = msgspec.UNSET
    hashes: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
