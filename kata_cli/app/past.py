"""What a run goes on from: the session that it joins, and the draft that it revises."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kata_cli.app.history import Turn, earlier_text, turns
from kata_cli.app.inputs import MAX_DRAFT_BYTES, text_file
from kata_cli.app.options import RunOptions
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import KataError
from kata_cli.core.events import RunStarted
from kata_cli.spec.blocks import SpecSyntaxError
from kata_cli.spec.document import Document
from kata_cli.spec.parse import parse
from kata_cli.store.runs import RunStore
from kata_cli.store.session_index import open_sessions
from kata_cli.store.session_names import check_name
from kata_cli.store.sessions import SessionStore
from kata_cli.workflows.model import Workflow

MAX_EARLIER_TOKENS = 8_000


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What came before a run. `session_id` is empty where the run begins a session, which `name` may name.

    `earlier` is fenced text of the session; `previous` is the draft that is revised, `file_text` the text of
    the `--revise` file as it was read.
    """

    session_id: str = ""
    name: str = ""
    earlier: str = ""
    previous: Document | None = None
    file_text: str | None = None
    warnings: list[str] = []


def read_past(options: RunOptions, resolved: Resolved, workflow: Workflow) -> Past:
    """Find what a run goes on from. Raises `KataError`: usage, or io for a file."""
    session_id, name = _session(options, resolved)
    past, warnings = _turns(resolved, session_id)
    file_text: str | None = None
    previous: Document | None
    if options.revises is not None:
        file_text, previous = _draft(Path(options.revises), workflow)
    else:
        previous = past[-1].document if past and workflow.result.kind == "spec" else None
        # The draft itself is shown as what is to be revised: once is enough.
        past = past[:-1] if previous is not None else past
    return Past(
        session_id=session_id,
        name=name,
        earlier=earlier_text(past, MAX_EARLIER_TOKENS),
        previous=previous,
        file_text=file_text,
        warnings=warnings,
    )


def past_of(started: RunStarted, resolved: Resolved, warnings: list[str]) -> Past:
    """What a recorded run went on from; it is gone on from in the same session, if that is still there."""
    is_there = open_sessions(resolved.paths.state).has(started.session_id)
    previous = started.previous
    return Past(
        session_id=started.session_id if is_there else "",
        earlier=started.earlier,
        previous=msgspec.convert(previous, Document) if previous is not None else None,
        warnings=warnings,
    )


def _session(options: RunOptions, resolved: Resolved) -> tuple[str, str]:
    """The session that is joined, or none and the name of the one that begins."""
    if options.continues and options.session is not None:
        raise KataError("usage", "--continue and --session exclude each other", "kata run --help")
    if not options.continues and options.session is None:
        return "", ""
    store, project = open_sessions(resolved.paths.state), str(resolved.project_root)
    if options.continues:
        return store.resolve("last", project=project), ""
    return _joined_or_begun(store, options.session or "", project)


def _joined_or_begun(store: SessionStore, text: str, project: str) -> tuple[str, str]:
    """`--session`: what names no session yet is the name of a new one, unless it has the form of an id."""
    try:
        return store.resolve(text, project=project), ""
    except KataError as error:
        if error.failure.code != "usage" or not text or text == "last" or text.startswith("s-"):
            raise
        return "", check_name(text)


def _turns(resolved: Resolved, session_id: str) -> tuple[list[Turn], list[str]]:
    if not session_id:
        return [], []
    return turns(open_sessions(resolved.paths.state).read(session_id), RunStore(resolved.paths.state))


def _draft(path: Path, workflow: Workflow) -> tuple[str, Document]:
    if workflow.result.kind != "spec":
        raise KataError(
            "usage", f"--revise: workflow {workflow.name} writes no draft", "-w spec, or leave --revise out"
        )
    text = text_file(path, "draft", MAX_DRAFT_BYTES)
    try:
        return text, parse(text)
    except SpecSyntaxError as error:
        raise KataError("usage", f"--revise: {path}: {error}", f"kata spec lint {path}") from None
