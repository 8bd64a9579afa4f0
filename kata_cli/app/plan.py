"""The plan of a run: its workflow with models, variables, limits and context bound to it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import msgspec

from kata_cli.app.prepare import Prepared
from kata_cli.context.query import ContextQuery, Limits
from kata_cli.core.clock import derived_suffix, run_id, timed_suffix
from kata_cli.core.duration import parse_duration
from kata_cli.core.messages import ModelRef
from kata_cli.engine.plan import Plan
from kata_cli.providers.choice import Choice
from kata_cli.providers.service import ProviderService
from kata_cli.spec.document import Document

SLUG_CHARS = 48


def choose_models(
    prepared: Prepared, service: ProviderService, *, needs_key: bool
) -> tuple[Choice, dict[str, ModelRef]]:
    """The run's own model and that of every task. Raises `KataError` when one cannot be used, or paid for.

    A task's bare model id belongs to the run's provider; one with a slash names its own. A fallback needs no
    key yet: if it has none when its turn comes, that attempt is recorded as failed.
    """
    settings = prepared.resolved.settings
    spare = [service.choose(None, fallback, needs_key=False).model for fallback in settings.fallback]
    main = service.choose(settings.provider, settings.model, needs_key=needs_key)
    models = _task_models(prepared, service, main, needs_key=needs_key)
    for model in dict.fromkeys([*models.values(), *spare]):
        service.check_priced(model)
    return main, models


def _task_models(
    prepared: Prepared, service: ProviderService, main: Choice, *, needs_key: bool
) -> dict[str, ModelRef]:
    recorded = prepared.record.run
    if recorded is not None and recorded.models and str(main.model) == recorded.started.model:
        return recorded.models
    models = {}
    for task in prepared.found.workflow.tasks:
        fields = prepared.found.workflow.fields_of(task)
        provider, model = fields["provider"], fields["model"]
        if provider is None and model is not None and "/" not in model:
            provider = main.model.provider
        is_own = provider is not None or model is not None
        models[task.id] = service.choose(provider, model, needs_key=needs_key).model if is_own else main.model
    return models


def make_plan(
    prepared: Prepared, models: dict[str, ModelRef], context: str, redact: Callable[[str], str]
) -> Plan:
    """Everything the engine needs. A secret that was typed into the goal is not sent either."""
    settings, workflow = prepared.resolved.settings, prepared.found.workflow
    timeouts = {task.id: workflow.fields_of(task)["timeout"] for task in workflow.tasks}
    return Plan(
        workflow=workflow,
        goal=redact(prepared.inputs.goal),
        context=context,
        vars={name: redact(value) for name, value in prepared.vars.items()},
        models=models,
        system=redact(prepared.system),
        thinking=settings.thinking,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        timeouts={name: parse_duration(str(value)) for name, value in timeouts.items() if value is not None},
        jobs=settings.jobs,
        spec_id=_slug(redact(prepared.inputs.goal)),
        runtime_mode=settings.runtime_mode,
        max_tasks=settings.max_tasks,
        earlier=redact(prepared.past.earlier),
        previous=_redacted(prepared.past.previous, redact),
    )


def context_query(prepared: Prepared) -> ContextQuery:
    """What the run wants to know of the files around it."""
    settings, options = prepared.resolved.settings, prepared.options
    root = _root(prepared) if settings.context_enabled else None
    limits = Limits(
        max_tokens=settings.context_max_tokens,
        max_named_tokens=settings.context_max_named_tokens,
        max_files=settings.context_max_files,
        max_file_bytes=settings.context_max_file_bytes,
        exclude=settings.context_exclude + _own_files(prepared, root),
    )
    return ContextQuery(
        goal=" ".join([prepared.inputs.goal, *prepared.vars.values()]),
        cwd=prepared.cwd,
        root=root,
        files=options.files,
        stdin_text=prepared.inputs.stdin_text,
        limits=limits,
        cache_dir=prepared.resolved.paths.cache / "context",
    )


def new_run_id(prepared: Prepared, main: Choice) -> str:
    """A fresh id; where time is fixed, one that follows from the inputs alone."""
    if prepared.epoch_s is None:
        now_s = prepared.clock.time()
        return run_id(now_s, timed_suffix(now_s))
    inputs = [
        prepared.inputs.goal,
        prepared.inputs.stdin_text,
        prepared.found.text,
        prepared.vars,
        prepared.system,
        prepared.options.files,
        str(main.model),
        [prepared.options.resumes, prepared.options.replays],
        [prepared.past.session_id, prepared.past.name, prepared.past.earlier],
        msgspec.to_builtins(prepared.past.previous),
        {
            name: str(value.value)
            for name, value in prepared.resolved.settings.origins.items()
            if name != "home"
        },
    ]
    inputs += [prepared.options.batch_id] if prepared.options.batch_id else []
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).digest()
    return run_id(prepared.epoch_s, derived_suffix(digest))


def _redacted(draft: Document | None, redact: Callable[[str], str]) -> Document | None:
    """A hand-edited draft may hold a secret, like any other text that is typed."""
    if draft is None:
        return None
    return msgspec.json.decode(redact(msgspec.json.encode(draft).decode()), type=Document)


def _root(prepared: Prepared) -> Path | None:
    """`--context DIR`, or the repository around the working directory; outside one nothing is walked."""
    if prepared.options.context_dir is not None:
        return (prepared.cwd / prepared.options.context_dir).resolve()
    root = prepared.resolved.project_root
    return root if (root / ".git").exists() else None


def _own_files(prepared: Prepared, root: Path | None) -> tuple[str, ...]:
    """Globs of what kata itself reads or writes: it must not become context, or no run could be repeated."""
    options = prepared.options
    names = [prepared.output.path if prepared.output else None, options.revises, options.replays]
    paths = [(prepared.cwd / name).resolve() for name in names if name is not None]
    inside = [path.relative_to(root) for path in paths if root is not None and path.is_relative_to(root)]
    return tuple(re.sub(r"([*?\[])", r"[\1]", str(path)) for path in inside)


def _slug(goal: str) -> str:
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", goal).lower())
    slug = "-".join(words)[:SLUG_CHARS]
    return (slug.rpartition("-")[0] if len("-".join(words)) > SLUG_CHARS and "-" in slug else slug) or "spec"
