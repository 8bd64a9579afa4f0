"""One line of a batch: as the run that it asks for, and as the result line that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.app.batch_source import BatchLine, Entry
from kata_cli.app.options import RunOptions
from kata_cli.app.prepare import Find, Prepared, prepare
from kata_cli.app.recall import Record
from kata_cli.config.resolve import Resolved
from kata_cli.config.setting import Value
from kata_cli.config.settings import Settings
from kata_cli.core.errors import Failure, KataError
from kata_cli.output.machine import ResultDocument, refusal_document
from kata_cli.workflows import catalog

MOST_WORKFLOWS = 64  # that are kept read


class ResultLine(ResultDocument, kw_only=True):
    """A line that `kata batch` prints for one of its own: the result of its run (`kata.result/v1`).

    `line` is its number in the file, from 1; `id` is null where the line could not be read.
    """

    id: str | None = None
    line: int = 0


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What all lines of a batch have in common. `options` are those of a run without a goal.

    `workflows` finds a workflow as it was read first.
    """

    options: RunOptions
    resolved: Resolved
    env: Mapping[str, str]
    cwd: Path
    workflows: Find


def open_work(options: RunOptions, resolved: Resolved, env: Mapping[str, str], cwd: Path) -> Work:
    """What all lines go by; nothing is read yet."""
    workflows = lru_cache(MOST_WORKFLOWS)(catalog.find)
    return Work(options=options, resolved=resolved, env=env, cwd=cwd, workflows=workflows)


def prepared_line(entry: Entry, work: Work) -> Prepared:
    """The run that a line asks for. Raises `KataError`; nothing is made or sent."""
    if isinstance(entry.line, Failure):
        raise KataError.of(entry.line)
    line = entry.line
    options = _options(line, work.options)
    resolved = _resolved(line, entry.number, work.resolved)
    return prepare(
        options, resolved, Record(), work.env, work.cwd, say=lambda told: None, find=work.workflows
    )


def result_line(entry: Entry, document: bytes) -> ResultLine:
    """The result document of a line's run, with its id."""
    result = msgspec.json.decode(document, type=ResultLine)
    return msgspec.structs.replace(result, id=_id(entry), line=entry.number)


def refused_line(entry: Entry, failure: Failure, resolved: Resolved) -> ResultLine:
    """The result of a line for which there was no run."""
    document = refusal_document(failure, resolved.settings.runtime_mode, resolved.mode_source)
    return ResultLine(id=_id(entry), line=entry.number, **msgspec.structs.asdict(document))


def _id(entry: Entry) -> str | None:
    return entry.line.id if isinstance(entry.line, BatchLine) else None


def _options(line: BatchLine, options: RunOptions) -> RunOptions:
    """The command line as if it had named what the line names; `@file` stays with what was typed there."""
    typed: dict[str, Any] = options.flags.get("vars") or {}
    kept = {name: value for name, value in typed.items() if name not in line.vars}
    return msgspec.structs.replace(
        options,
        goal=line.goal,
        files=(*options.files, *line.files),
        output=line.output,
        scenario=None,  # the service that all lines share goes by it
        flags={**options.flags, "vars": kept},
        batch_id=line.id,
    )


def _resolved(line: BatchLine, number: int, resolved: Resolved) -> Resolved:
    origins = dict(resolved.settings.origins)
    given: dict[str, Any] = {"workflow": line.workflow} if line.workflow is not None else {}
    if line.vars:
        given["vars"] = {**resolved.settings.vars, **line.vars}
    origins |= {name: Value(value, "flag", f"line {number}") for name, value in given.items()}
    return msgspec.structs.replace(resolved, settings=Settings(origins))
