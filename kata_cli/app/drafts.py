"""The files of a draft, from the run's events alone, so that they can be written again at any time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from kata_cli import __version__
from kata_cli.core.events import ContextGathered, Event, Recorded, RunStarted
from kata_cli.output.figures import plural
from kata_cli.output.machine import ResultBody
from kata_cli.spec.document import Document, headline
from kata_cli.spec.render import render, spec_json


def draft_files(stored: list[Recorded], document: dict[str, Any]) -> dict[str, bytes]:
    """`spec.md` and `spec.json`. In mock mode nothing in them depends on time or chance."""
    draft = msgspec.convert(document, Document)
    start = stored[0]
    started = start.event
    assert isinstance(started, RunStarted)
    is_mock = started.runtime_mode == "mock"
    provenance = spec_json(
        draft,
        run={
            "id": None if is_mock else start.run_id,
            "created_at": None if is_mock else start.ts,
            "workflow": started.workflow,
        },
        generator={"name": "kata", "version": __version__, "model": started.model},
        inputs=_inputs(entry.event for entry in stored),
        hashes={"goal": _sha256(started.goal), "workflow": _sha256(started.workflow_source)},
    )
    return {"spec.md": render(draft).encode(), "spec.json": provenance}


def told(body: ResultBody) -> str:
    """What the result is, in few words, for the last line of a run."""
    if body.document is None:
        return f"{body.kind}, {plural(len(body.text.splitlines()), 'line')}"
    return f"draft {headline(msgspec.convert(body.document, Document))}"


def _inputs(events: Iterable[Event]) -> list[dict[str, str]]:
    """Every file that the models saw, once, with the hash of what was read."""
    for event in events:
        if isinstance(event, ContextGathered):
            hashes = {file.path: file.sha256 for file in event.files}
            return [{"path": path, "sha256": digest} for path, digest in hashes.items()]
    return []


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
