"""What a run looks like at any moment: the fold of its events, with the allowed transitions.

`RunRecord.apply` is the only place that turns events into states; the journal's views, the screen and the
result document all read this record.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from kata_cli.core.clock import parse_stamp
from kata_cli.core.errors import ErrorDocument, document
from kata_cli.core.events import (
    AttemptFailed,
    AttemptStarted,
    ContextGathered,
    DraftCreated,
    FindingReported,
    PlanCreated,
    Recorded,
    ResultInfo,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
    UsageReported,
)
from kata_cli.core.messages import Usage

RunState = Literal["queued", "running", "completed", "failed", "interrupted"]
TaskState = Literal["queued", "delegating", "delegated", "running", "completed", "failed", "skipped"]

RUN_EDGES: dict[str, frozenset[str]] = {
    "queued": frozenset({"running", "interrupted"}),
    "running": frozenset({"completed", "failed", "interrupted"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "interrupted": frozenset(),
}
TASK_EDGES: dict[str, frozenset[str]] = {
    "queued": frozenset({"delegating", "failed", "skipped", "completed"}),
    "delegating": frozenset({"delegated", "failed"}),
    "delegated": frozenset({"running", "failed"}),
    "running": frozenset({"completed", "failed"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
}


class Step(msgspec.Struct, frozen=True):
    """One entry of a timeline."""

    state: str
    at: str


class TaskRecord(msgspec.Struct, kw_only=True):
    """One task of a run. `thinking` is the level that was in force, as far as it is known.

    `duration_s` is monotonic time; `error` is set when it failed.
    """

    id: str
    role: str = ""
    needs: list[str] = []
    status: TaskState = "queued"
    model: str = ""
    thinking: str = ""
    attempts: int = 0
    usage: Usage = Usage()
    duration_s: float | None = None
    skipped_for: str | None = None
    error: ErrorDocument | None = None
    timeline: list[Step] = []

    def move(self, state: TaskState, at: str) -> str | None:
        """Enter a state. Returns why not, if the move is refused; repeating a state changes nothing."""
        refusal = _refusal(TASK_EDGES, self.status, state, f"task {self.id}")
        if refusal is None and (state != self.status or not self.timeline):
            self.status = state
            self.timeline.append(Step(state, at))
        return refusal


class ContextSummary(msgspec.Struct, kw_only=True):
    """The figures of `context.gathered`, without the text."""

    root: str = ""
    files: list[str] = []
    tokens: int = 0
    seen: int = 0
    left_out: dict[str, int] = {}
    redactions: int = 0
    diagnostics: list[str] = []


class Finding(msgspec.Struct, kw_only=True):
    """A lint finding of the draft."""

    rule: str
    severity: str
    message: str
    line: int = 0
    fix: str = ""


class RunRecord(msgspec.Struct, kw_only=True, dict=True):
    """One run (`kata.run/v1`), rebuilt from its journal at any time."""

    schema: str = "kata.run/v1"
    run_id: str = ""
    session_id: str = ""
    status: RunState = "queued"
    exit_code: int | None = None
    goal: str = ""
    workflow: str = ""
    runtime_mode: str = ""
    mode_source: str = ""
    model: str = ""
    key_source: str = ""
    host: str = ""
    project: str = ""
    kata_version: str = ""
    created_at: str = ""
    updated_at: str = ""
    completed_at: str | None = None
    interrupted_at: str | None = None
    duration_s: float | None = None
    timeline: list[Step] = []
    context: ContextSummary | None = None
    tasks: list[TaskRecord] = []
    usage: Usage = Usage()
    findings: list[Finding] = []
    warnings: list[str] = []
    result: ResultInfo | None = None
    error: ErrorDocument | None = None
    last_seq: int = -1

    def task(self, task_id: str) -> TaskRecord:
        """The record of a task, made when the plan did not name it."""
        task = self._tasks_by_id.get(task_id)
        if task is None:
            task = self._tasks_by_id[task_id] = TaskRecord(id=task_id)
            self.tasks.append(task)
        return task

    @cached_property
    def _tasks_by_id(self) -> dict[str, TaskRecord]:
        return {task.id: task for task in self.tasks}

    def move(self, state: RunState, at: str) -> str | None:
        """Enter a state; repeating one only moves `updated_at`. Returns why, if the move is refused."""
        refusal = _refusal(RUN_EDGES, self.status, state, "run")
        if refusal is not None:
            return refusal
        self.updated_at = at
        if state != self.status or not self.timeline:
            self.status = state
            self.timeline.append(Step(state, at))
        if state in ("completed", "failed"):
            self.completed_at = at
        if state == "interrupted":
            self.interrupted_at = at
        if state == "completed":
            self.error = None
        return None

    def apply(self, recorded: Recorded) -> str | None:
        """Fold one stored event in. Returns the reason when a transition in it is refused."""
        if not recorded.is_stored:
            return None
        self.last_seq = max(self.last_seq, recorded.seq)
        self.updated_at = recorded.ts
        return self._fold(recorded)

    def _fold(self, recorded: Recorded) -> str | None:
        match recorded.event:
            case RunStarted() as event:
                return self._start(recorded, event)
            case ContextGathered() as event:
                self._note_context(event)
            case DraftCreated():
                self.findings = []
            case FindingReported() as event:
                self.findings.append(
                    Finding(
                        rule=event.rule,
                        severity=event.severity,
                        message=event.message,
                        line=event.line,
                        fix=event.fix,
                    )
                )
            case RunFinished() as event:
                return self._finish(recorded, event)
            case _:
                return self._fold_task(recorded)
        return None

    def _fold_task(self, recorded: Recorded) -> str | None:
        at = recorded.ts
        match recorded.event:
            case PlanCreated(tasks=tasks):
                for planned in tasks:
                    task = self.task(planned.id)
                    task.role, task.needs, task.model = planned.role, planned.needs, planned.model
                    task.move("queued", at)
                return self.move("running", at)
            case TaskStarted(task=name):
                return self.task(name).move("delegating", at)
            case AttemptStarted(task=name, attempt=attempt, model=model):
                return self._note_attempt(self.task(name), attempt, model, at)
            case AttemptFailed(task=name, attempt=attempt):
                self.task(name).attempts = attempt
            case UsageReported(task=name) as event:
                self._note_usage(self.task(name), event)
            case TaskFinished() as event:
                return self._end_task(event, at)
        return None

    @staticmethod
    def _note_attempt(task: TaskRecord, attempt: int, model: str, at: str) -> str | None:
        task.attempts, task.model = attempt, model
        if task.status == "running":
            return None
        return task.move("delegated", at) or task.move("running", at)

    def _note_usage(self, task: TaskRecord, event: UsageReported) -> None:
        self.usage = self.usage + event.usage
        task.usage = task.usage + event.usage
        task.thinking = event.thinking or task.thinking

    def _start(self, recorded: Recorded, event: RunStarted) -> str | None:
        self.run_id = recorded.run_id
        self.created_at = recorded.ts
        for name in (
            "session_id",
            "goal",
            "workflow",
            "runtime_mode",
            "mode_source",
            "model",
            "key_source",
            "host",
            "project",
            "kata_version",
        ):
            setattr(self, name, getattr(event, name))
        self.warnings = list(event.warnings)
        return self.move("queued", recorded.ts)

    def _note_context(self, event: ContextGathered) -> None:
        self.context = ContextSummary(
            root=event.root,
            files=list(dict.fromkeys(file.path for file in event.files)),
            tokens=event.tokens,
            seen=event.seen,
            left_out=event.left_out,
            redactions=event.redactions,
            diagnostics=event.diagnostics,
        )

    def _end_task(self, event: TaskFinished, at: str) -> str | None:
        task = self.task(event.task)
        refusal = task.move(event.status, at)
        if refusal is None:
            task.duration_s = event.duration_s
            task.skipped_for = event.skipped_for or None
            task.error = document(event.failure, self.runtime_mode) if event.failure else None
        return refusal

    def _finish(self, recorded: Recorded, event: RunFinished) -> str | None:
        if event.status != "interrupted" and self.status == "queued":
            self.move("running", recorded.ts)
        refusal = self.move(event.status, recorded.ts)
        if refusal is not None:
            return refusal
        self._end_open_tasks(event, recorded.ts)
        self.exit_code = event.exit_code
        self.duration_s = event.duration_s
        self.result = event.result
        self.warnings += event.warnings
        self.error = document(event.failure, self.runtime_mode) if event.failure else None
        return None

    def _end_open_tasks(self, event: RunFinished, at: str) -> None:
        """A task that nobody could end - its process died, or the engine broke - failed with the run."""
        for task in self.tasks:
            if task.status in ("delegating", "delegated", "running"):
                task.move("failed", at)
                task.error = document(event.failure, self.runtime_mode) if event.failure else None


def elapsed_s(record: RunRecord) -> float:
    """Seconds a run took, or has taken up to its last event."""
    if record.duration_s is not None:
        return record.duration_s
    if not record.created_at:
        return 0.0
    return max(0.0, parse_stamp(record.updated_at) - parse_stamp(record.created_at))


def _refusal(edges: dict[str, frozenset[str]], now: str, wanted: str, what: str) -> str | None:
    if wanted == now or wanted in edges[now]:
        return None
    allowed = ", ".join(sorted(edges[now])) or "nothing: it is final"
    return f"{what} cannot go from {now} to {wanted} (allowed: {allowed})"
