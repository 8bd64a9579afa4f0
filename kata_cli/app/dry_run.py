"""`--dry-run`: what a run would send, and roughly what it would cost, without sending anything."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kata_cli.app.model_default import with_model
from kata_cli.app.opening import open_providers
from kata_cli.app.options import RunOptions
from kata_cli.app.plan import choose_models, context_query, make_plan
from kata_cli.app.prepare import Prepared
from kata_cli.app.workflows import draw
from kata_cli.context.gather import gather
from kata_cli.core import loop
from kata_cli.core.events import ContextGathered
from kata_cli.core.messages import ModelRef, Request, Usage, estimate_tokens
from kata_cli.core.redact import Redactor
from kata_cli.core.text import neutral
from kata_cli.engine.delegate import build_request
from kata_cli.engine.plan import Plan
from kata_cli.output.figures import count, dollars, plural
from kata_cli.output.lines import key_phrase
from kata_cli.output.machine import encode
from kata_cli.providers.choice import Choice
from kata_cli.providers.service import ProviderService
from kata_cli.workflows.model import Task

ANSWER_TOKENS = 1_500


class TaskPreview(msgspec.Struct, kw_only=True):
    """One task: its exact request when it needs no other, else the template of its prompt."""

    id: str
    role: str
    needs: list[str]
    model: str
    request: Request | None
    template: str | None
    input_tokens: int


class DryRun(msgspec.Struct, kw_only=True):
    """What a run would do (`kata.dry-run/v1`). Tokens and cost are estimates; an unknown price gives None."""

    schema: str = "kata.dry-run/v1"
    runtime_mode: str
    mode_source: str
    model: str
    key_source: str
    host: str
    context_files: list[str]
    context_tokens: int
    tasks: list[TaskPreview]
    input_tokens: int
    output_tokens: int
    cost_usd: float | None = None


def show_dry_run(prepared: Prepared, env: Mapping[str, str], redactor: Redactor) -> str:
    """The dry run in the format that was asked for. Needs no key. Raises `KataError`."""
    prepared = loop.run(with_model(prepared, env, redactor))
    service = open_providers(prepared, env, redactor)
    main, models = choose_models(prepared, service, needs_key=False)
    recorded = prepared.record.run.context if prepared.record.run else None
    context = recorded or gather(context_query(prepared), redactor.text)
    plan = make_plan(prepared, models, context.text, redactor.text)
    previews = [_preview(task, plan) for task in plan.workflow.tasks]
    told = _dry_run(prepared, main, context, previews, _cost_usd(service, models, previews))
    told = msgspec.convert(redactor.value(msgspec.to_builtins(told)), DryRun)
    return encode(told).decode() if _wants_json(prepared.options) else _text(told, plan)


def _wants_json(options: RunOptions) -> bool:
    return options.format != "text"


def _preview(task: Task, plan: Plan) -> TaskPreview:
    request = None if task.needs else build_request(task, plan, {})
    prompt = task.prompt if request is None else request.prompt
    # Where answers of other tasks come in, each is taken for an answer of usual length.
    tokens = estimate_tokens(prompt) + ANSWER_TOKENS * len(task.needs)
    if request is None and "{{context}}" in task.prompt.replace(" ", ""):
        tokens += estimate_tokens(plan.context)
    return TaskPreview(
        id=task.id,
        role=task.role,
        needs=task.needs,
        model=str(plan.models[task.id]),
        request=request,
        template=None if request is not None else task.prompt.strip(),
        input_tokens=tokens,
    )


def _cost_usd(
    service: ProviderService, models: dict[str, ModelRef], tasks: list[TaskPreview]
) -> float | None:
    """What the requests would cost, None where a price is not known."""
    costs = [
        service.priced(models[task.id], Usage(input=task.input_tokens, output=ANSWER_TOKENS)).cost_usd
        for task in tasks
    ]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _dry_run(
    prepared: Prepared,
    main: Choice,
    context: ContextGathered,
    tasks: list[TaskPreview],
    cost_usd: float | None,
) -> DryRun:
    return DryRun(
        runtime_mode=prepared.resolved.settings.runtime_mode,
        mode_source=prepared.resolved.mode_source,
        model=str(main.model),
        key_source=main.key_source,
        host=main.host,
        context_files=list(dict.fromkeys(file.path for file in context.files)),
        context_tokens=context.tokens,
        tasks=tasks,
        input_tokens=sum(task.input_tokens for task in tasks),
        output_tokens=ANSWER_TOKENS * len(tasks),
        cost_usd=cost_usd,
    )


def _text(told: DryRun, plan: Plan) -> str:
    files = plural(len(told.context_files), "file")
    parts = [
        f"{told.runtime_mode} {told.model} · {key_phrase(told.key_source)}"
        + (f" · {told.host}" if told.host else ""),
        f"context {files}, {count(told.context_tokens)} tokens",
        *(f"  {path}" for path in told.context_files),
        "",
        draw(plan.workflow, "terminal").rstrip(),
        "",
    ]
    for task in told.tasks:
        parts.append(f"--- {task.id} [{task.role}] {task.model}, about {count(task.input_tokens)} tokens")
        parts.append(task.request.prompt if task.request is not None else task.template or "")
        parts.append("")
    parts.append(
        f"estimate: {plural(len(told.tasks), 'request')}, about {count(told.input_tokens)} tokens in and "
        f"{count(told.output_tokens)} out{_about(told.cost_usd)}; nothing was sent"
    )
    return neutral("\n".join(parts)) + "\n"


def _about(cost_usd: float | None) -> str:
    return "" if cost_usd is None else f", about {dollars(cost_usd)}"
