"""The forms for programs: the one result document of `--format json`, and error documents."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kata_cli.core.clock import stamp
from kata_cli.core.errors import ErrorDocument, Failure, document
from kata_cli.core.events import Recorded, RunFinished, encode_json
from kata_cli.core.messages import Usage
from kata_cli.core.records import Finding, RunRecord, TaskRecord

ResultKind = Literal["spec", "text", "json"]


class ResultBody(msgspec.Struct, kw_only=True):
    """The result itself: `text` always, `document` for a spec, `path` where the draft lies."""

    kind: ResultKind
    text: str
    document: dict[str, Any] | None = None
    path: str | None = None


class ResultDocument(msgspec.Struct, kw_only=True):
    """What `kata run --format json` prints, on success and on failure (`kata.result/v1`)."""

    schema: str = "kata.result/v1"
    run_id: str | None = None
    session_id: str | None = None
    status: str = "failed"
    exit_code: int
    runtime_mode: str | None = None
    mode_source: str | None = None
    result: ResultBody | None = None
    findings: list[Finding] = []
    usage: Usage = Usage()
    cost_usd: float | None = None
    tasks: list[TaskRecord] = []
    warnings: list[str] = []
    error: ErrorDocument | None = None


def result_document(record: RunRecord, body: ResultBody | None) -> ResultDocument:
    """The result document of a finished run."""
    return ResultDocument(
        run_id=record.run_id,
        session_id=record.session_id or None,
        status=record.status,
        exit_code=record.exit_code or 0,
        runtime_mode=record.runtime_mode,
        mode_source=record.mode_source,
        result=body,
        findings=record.findings,
        usage=record.usage,
        cost_usd=record.usage.cost_usd,
        tasks=record.tasks,
        warnings=record.warnings,
        error=record.error,
    )


def refusal_document(
    failure: Failure, runtime_mode: str | None = None, mode_source: str | None = None
) -> ResultDocument:
    """The result document of a run that was refused before it existed; its mode, if that was decided."""
    return ResultDocument(
        exit_code=failure.exit,
        runtime_mode=runtime_mode,
        mode_source=mode_source,
        error=document(failure, runtime_mode),
    )


def refusal_line(failure: Failure, epoch_s: float) -> bytes:
    """The one line of `--format jsonl` when there was no run."""
    event = RunFinished(status="failed", exit_code=failure.exit, failure=failure)
    return Recorded(0, stamp(epoch_s), "", event).line()


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON with an LF; DEL and C1 controls escaped, which JSON itself would let through."""
    return encode_json(value) + b"\n"
