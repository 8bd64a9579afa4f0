"""All that a run is going to do, fixed before the first request."""

from __future__ import annotations

import msgspec

from kata_cli.core.messages import ModelRef
from kata_cli.workflows.model import Workflow


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow bound to its inputs.

    `models` gives each task's model by task id; `vars` are the bound variables; `context` is fenced text;
    `system` comes before every task's own system prompt. Times are in seconds.
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
