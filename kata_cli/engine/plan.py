"""All that a run is going to do, fixed before the first request."""

from __future__ import annotations

import msgspec

from kata_cli.core.messages import ModelRef
from kata_cli.spec.document import Document
from kata_cli.workflows.model import Workflow


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow bound to its inputs.

    `models` gives each task's model by task id; `vars` are the bound variables; `context` is fenced text;
    `system` comes before every task's own system prompt. `earlier` is fenced text of what the session holds
    so far and comes before every task's prompt; `previous` is the draft that is revised. Times are seconds.
    `inserted` are ids of tasks by that of the plan task which brought them, at most `max_tasks` each, and
    `parts` their texts by their ids.
    """

    workflow: Workflow
    goal: str
    context: str = ""
    vars: dict[str, str] = {}
    models: dict[str, ModelRef]
    system: str = ""
    thinking: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeouts: dict[str, float] = {}
    jobs: int = 8
    spec_id: str = ""
    runtime_mode: str = "native"
    max_tasks: int = 20
    parts: dict[str, str] = {}
    inserted: dict[str, list[str]] = {}
    earlier: str = ""
    previous: Document | None = None
