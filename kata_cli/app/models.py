"""What `kata models list` and `show` tell: the provider's own list, with what a run would make of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import msgspec

from kata_cli.app.model_listing import Asking, Listed, ask_models
from kata_cli.app.options import Common
from kata_cli.app.place import working_directory
from kata_cli.app.prepare import resolved_settings
from kata_cli.core import loop
from kata_cli.core.clock import parse_stamp
from kata_cli.core.errors import KataError
from kata_cli.core.messages import THINKING_LEVELS, ModelInfo, ModelRef
from kata_cli.core.redact import Redactor
from kata_cli.core.text import near


class ModelRow(ModelInfo, frozen=True, kw_only=True):
    """A model as kata sees it; one of your own that Pi cannot use is not available, for a `reason`."""

    runtime_mode: str
    is_available: bool
    is_default: bool
    reason: str = ""

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.provider, self.id)


class Listing(msgspec.Struct, kw_only=True):
    """A provider's models (`kata.models/v1`); `age_s` in seconds."""

    schema: str = "kata.models/v1"
    provider: str
    runtime_mode: str
    fetched_at: str
    age_s: float
    is_cached: bool
    models: list[ModelRow]
    warnings: list[str]


class Shown(msgspec.Struct, kw_only=True):
    """One model (`kata.model/v1`), and how old the list is that tells of it."""

    schema: str = "kata.model/v1"
    model: ModelRow
    fetched_at: str
    age_s: float
    is_cached: bool


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which models are wanted: `pattern` is a part of `provider/id` or name, in any case."""

    pattern: str = ""
    thinking: str | None = None

    def __post_init__(self) -> None:
        if self.thinking not in (None, *THINKING_LEVELS):
            known = f"choose one of {', '.join(THINKING_LEVELS)}"
            told = f"--thinking: no such level: {self.thinking!r}"
            raise KataError("usage", told, near(str(self.thinking), THINKING_LEVELS) or known)

    def admits(self, row: ModelRow) -> bool:
        if self.thinking is not None and self.thinking not in (row.thinking or ()):
            return False
        return self.pattern.casefold() in f"{row.ref}\n{row.name}".casefold()


def list_models(options: Common, redactor: Redactor, wanted: Filter, *, is_refreshed: bool) -> Listing:
    """The models of the provider that a run would ask, available ones first. Raises `KataError`."""
    asking = asking_of(options, redactor)
    listed = loop.run(ask_models(asking, is_refreshed=is_refreshed))
    return Listing(
        provider=listed.provider,
        runtime_mode=asking.resolved.settings.runtime_mode,
        fetched_at=listed.fetched_at,
        age_s=_age_s(listed),
        is_cached=listed.is_cached,
        models=[row for row in _rows(asking, listed) if wanted.admits(row)],
        warnings=asking.resolved.warnings,
    )


def show_model(options: Common, redactor: Redactor, name: str, *, is_refreshed: bool) -> Shown:
    """One model. Raises `KataError`: usage with the nearest names for one that is not listed."""
    asking = asking_of(options, redactor)
    settings = asking.resolved.settings
    ref = ModelRef(settings.provider, name) if settings.provider else ModelRef.parse(name)
    listed = loop.run(ask_models(asking, ref.provider, is_refreshed=is_refreshed))
    rows = {row.ref: row for row in _rows(asking, listed)}
    if ref not in rows:
        nearest = near(str(ref), map(str, rows)) or _list_command(asking, ref)
        raise KataError("usage", f"{listed.provider} lists no model {ref}", nearest)
    return Shown(
        model=rows[ref],
        fetched_at=listed.fetched_at,
        age_s=_age_s(listed),
        is_cached=listed.is_cached,
    )


def asking_of(options: Common, redactor: Redactor) -> Asking:
    """The command with its settings. Raises `KataError`."""
    env = os.environ
    resolved = resolved_settings(options, env, working_directory())
    return Asking(resolved=resolved, env=env, redactor=redactor, api_key_file=options.api_key_file)


def _rows(asking: Asking, listed: Listed) -> Iterator[ModelRow]:
    """What is listed, then what the user added and Pi cannot use."""
    settings = asking.resolved.settings
    mode = settings.runtime_mode
    for model in listed.models:
        is_default = ModelRef(model.provider, model.id) == listed.default
        yield ModelRow(
            **msgspec.structs.asdict(model), runtime_mode=mode, is_available=True, is_default=is_default
        )
    for custom, failure in sorted(listed.pi.left_out, key=lambda left: str(left[0].ref)):
        if settings.provider not in (None, custom.provider):
            continue
        yield ModelRow(
            provider=custom.provider,
            id=custom.id,
            name=custom.name,
            context_window=custom.context_window,
            max_output_tokens=custom.max_output_tokens,
            thinking=list(custom.thinking),
            runtime_mode=mode,
            is_available=False,
            is_default=False,
            reason=failure.message,
        )


def _list_command(asking: Asking, ref: ModelRef) -> str:
    mode = asking.resolved.settings.runtime_mode
    return "kata models list --mode " + (mode if mode != "native" else f"native --provider {ref.provider}")


def _age_s(listed: Listed) -> float:
    return max(0.0, round(time.time() - parse_stamp(listed.fetched_at), 3))
