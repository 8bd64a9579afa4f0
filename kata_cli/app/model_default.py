"""The model of a run in pi mode when nobody named one: decided once, from what Pi itself lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from kata_cli.app.prepare import Prepared
from kata_cli.config.resolve import Resolved
from kata_cli.config.setting import Value
from kata_cli.config.settings import Settings
from kata_cli.core.errors import KataError
from kata_cli.core.messages import ModelRef
from kata_cli.core.redact import Redactor
from kata_cli.core.text import near

if TYPE_CHECKING:
    from kata_cli.app.model_listing import Asking, Listed

LIST = "kata models list --mode pi --refresh"
NO_KEY_HINT = "export ANTHROPIC_API_KEY=…, set pi.agent_dir to use Pi's own login, or kata models add --help"


async def with_model(prepared: Prepared, env: Mapping[str, str], redactor: Redactor) -> Prepared:
    """The run with a model: in pi mode, and where none is set, the default among those that Pi lists.

    At most one Pi is started for it, none while its list is kept. A model of the user's own that Pi cannot
    use is refused, unless nothing is going to be asked. Raises `KataError` like `pi_models`.
    """
    resolved = prepared.resolved
    settings = resolved.settings
    if settings.runtime_mode != "pi" or prepared.record.exchanges is not None:
        return prepared
    if settings.model is not None:
        if not prepared.options.is_dry_run and resolved.starts_agents:
            _check_own(resolved, env)
        return prepared
    from kata_cli.app.model_listing import Asking

    key_file = prepared.options.api_key_file
    asking = Asking(resolved=resolved, env=env, redactor=redactor, api_key_file=key_file)
    model = default_of(asking, await pi_models(asking))
    text = model.id if settings.provider else str(model)
    chosen = {**settings.origins, "model": Value(text, "default", "what Pi lists")}
    resolved = msgspec.structs.replace(resolved, settings=Settings(chosen))
    return msgspec.structs.replace(prepared, resolved=resolved)


async def pi_models(asking: Asking, *, is_refreshed: bool = False) -> Listed:
    """What Pi lists, which is at least one model.

    Raises `KataError`: missing_auth where there is no key, before Pi is asked, provider_unavailable where Pi
    lists nothing, and what `ask_models` raises.
    """
    from kata_cli.app.model_listing import ask_models, key_sources
    from kata_cli.app.pi_models import pi_models_of

    settings = asking.resolved.settings
    has_login = settings.pi_agent_dir is not None or not asking.resolved.starts_agents
    if not (has_login or key_sources(asking) or pi_models_of(asking.resolved, asking.env).document):
        raise KataError("missing_auth", "there is no key that Pi could use", NO_KEY_HINT)
    listed = await ask_models(asking, is_refreshed=is_refreshed)
    if not listed.models:
        of_whom = f" of {settings.provider}" if settings.provider else ""
        told = f"Pi lists no model{of_whom} with the keys there are"
        raise KataError("provider_unavailable", told, f"{LIST}, or kata run --mode native")
    return listed


def default_of(asking: Asking, listed: Listed) -> ModelRef:
    """The model of a run that names none. Raises `KataError` model_not_found for one not listed."""
    if listed.default is not None:
        return listed.default
    model = asking.resolved.settings.model or ""
    names = [f"{info.provider}/{info.id}" for info in listed.models]
    raise KataError("model_not_found", f"Pi does not list {model}", near(model, names) or LIST)


def _check_own(resolved: Resolved, env: Mapping[str, str]) -> None:
    from kata_cli.app.pi_models import pi_models_of

    settings = resolved.settings
    named = f"{settings.provider}/{settings.model}" if settings.provider else settings.model
    for model, failure in pi_models_of(resolved, env).left_out:
        if str(model.ref) == named:
            raise KataError(failure.code, f"{named} cannot be used: {failure.message}", failure.hint)
