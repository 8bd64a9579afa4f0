"""The mock provider's side of a live session: what was asked, what came before, what attached files say."""

from __future__ import annotations

import re

import msgspec

from kata_cli.core.fence import outside
from kata_cli.core.messages import Message, Request
from kata_cli.core.text import one_line
from kata_cli.providers.mock.material import FileSeen, read_material
from kata_cli.providers.mock.reports import counted, listed

MAX_ASKED_CHARS = 300
MAX_FILES = 20
MAX_POINTS = 8
MAX_POINT_CHARS = 160

# Headings and list items of a page, definitions of a program, tables of a configuration.
_POINT = re.compile(
    r"\s*(?:#{1,6} |[-*] |\[[\w.]+\]|(?:async |export |pub |public )*(?:def|class|func|fn|function) )"
)


def answer(request: Request) -> str:
    """An answer to the last thing a user said. The same conversation always gets the same one."""
    said = [message.text for message in request.messages if message.role == "user"]
    asked = [one_line(outside(text), MAX_ASKED_CHARS) for text in said]
    now, before = "".join(said[-1:]), said[:-1]
    parts = [
        f"You asked: {asked[-1] or 'nothing, but files are attached'}" if asked else "You asked nothing.",
        _counted_turns(asked[:-1]),
        _points(_files(request, now)),
        _attached_before(_files(request, "\n\n".join(before))),
    ]
    return "\n\n".join(part for part in parts if part)


def _counted_turns(before: list[str]) -> str:
    if not before:
        return "This is the first turn."
    came = "1 turn came" if len(before) == 1 else f"{len(before)} turns came"
    return f"{came} before this one, the last about: {before[-1] or 'the files attached to it'}"


def _files(request: Request, text: str) -> list[FileSeen]:
    """The files fenced in a text."""
    only = msgspec.structs.replace(request, system="", tools=(), messages=(Message("user", text),))
    return read_material(only).files


def _points(files: list[FileSeen]) -> str:
    """What the files say, file by file, with line numbers."""
    told = [
        f"## `{file.path}`\n\n" + "\n".join(f"- {point}" for point in _points_of(file))
        for file in files[:MAX_FILES]
    ]
    more = len(files) - MAX_FILES
    return "\n\n".join([*told, f"and {counted(more, 'more file')}"] if more > 0 else told)


def _points_of(file: FileSeen) -> list[str]:
    """The lines that stand out, else the first ones."""
    lines = [
        (number, line) for number, line in enumerate(file.text.splitlines(), file.first_line) if line.strip()
    ]
    chosen = [row for row in lines if _POINT.match(row[1])] or lines
    told = [f"line {number}: {one_line(line, MAX_POINT_CHARS)}" for number, line in chosen[:MAX_POINTS]]
    more = len(chosen) - MAX_POINTS
    return [*told, f"and {counted(more, 'more line')}"] if more > 0 else told or ["nothing"]


def _attached_before(files: list[FileSeen]) -> str:
    return f"Attached before: {listed([file.path for file in files])}" if files else ""
