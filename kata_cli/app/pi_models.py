"""The user's own models on their way to Pi: which of them can be used here, in the form Pi reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.config import keys
from kata_cli.config.models import CustomModel, read_models
from kata_cli.config.resolve import Resolved
from kata_cli.core.errors import Failure, KataError
from kata_cli.pi import models as pi_models

NO_KEY = "none needed"  # Pi takes no model without one


class PiModels(msgspec.Struct, frozen=True, kw_only=True):
    """`document` is the models.json of every child, empty where the user's own Pi directory decides.

    `keys` holds the variables with the keys of each provider, `left_out` why a stored model is not offered
    to Pi, `warnings` what is wrong with the file of stored models.
    """

    document: bytes = b""
    keys: dict[str, dict[str, str]] = {}
    left_out: list[tuple[CustomModel, Failure]] = []
    warnings: list[str] = []


def pi_models_of(resolved: Resolved, env: Mapping[str, str]) -> PiModels:
    """What Pi is told of the stored models. Raises `KataError` io or config for a file that is no TOML."""
    settings = resolved.settings
    stored = read_models(resolved.paths.models_file, allows_http=settings.allow_http)
    users = users_providers(settings.pi_agent_dir)
    usable, left_out, found = [], [], {}
    for model in stored.models:
        try:
            check_provider(model, users)
            found[model.provider] = _key(model, env)
        except KataError as error:
            left_out.append((model, error.failure))
        else:
            usable.append(model)
    return PiModels(
        document=document(usable, users),
        keys={name: key for name, key in found.items() if key},
        left_out=left_out,
        warnings=stored.warnings,
    )


def users_providers(agent_dir: str | None) -> dict[str, Any] | None:
    """The providers in the models.json of the user's own Pi directory; None if it cannot be read."""
    if agent_dir is None:
        return {}
    try:
        return pi_models.read_providers(Path(agent_dir, pi_models.NAME).read_bytes())
    except FileNotFoundError:
        return {}
    except OSError:
        return None


def check_provider(model: CustomModel, users: Mapping[str, Any] | None) -> None:
    """The user's own Pi directory goes first. Raises `KataError` config where it stands in the way."""
    if users is None:
        raise KataError("config", "the models.json of pi.agent_dir cannot be read", "mend it, or unset that")
    if model.provider in users:
        told = f"the models.json of pi.agent_dir has a provider {model.provider} too"
        raise KataError("config", told, "add the model there, or choose another name for its provider")


def document(models: list[CustomModel], users: Mapping[str, Any] | None) -> bytes:
    """The models.json with these models besides the user's own; empty where there is nothing to add."""
    return pi_models.write_providers({**users, **_providers(models)}) if models and users is not None else b""


def _key(model: CustomModel, env: Mapping[str, str]) -> dict[str, str]:
    if not model.key_env:
        return {}
    secret = keys.clean(env.get(model.key_env, ""), model.key_env)
    if not secret:
        raise KataError("missing_auth", f"{model.key_env} is not set", f"export {model.key_env}=…")
    return {model.key_env: secret}


def _providers(models: list[CustomModel]) -> dict[str, Any]:
    providers: dict[str, Any] = {}
    for model in models:
        key = pi_models.key_reference(model.key_env) if model.key_env else NO_KEY
        shared = {"baseUrl": model.base_url, "apiKey": key, "models": []}
        providers.setdefault(model.provider, shared)["models"].append(_definition(model))
    return providers


def _definition(model: CustomModel) -> dict[str, Any]:
    given = {
        "name": model.name or None,
        "contextWindow": model.context_window,
        "maxTokens": model.max_output_tokens,
        "thinkingLevelMap": pi_models.level_map(model.thinking) or None,
        # Pi would say `developer` to a model that thinks, which few servers but OpenAI's own understand.
        "compat": {"supportsDeveloperRole": False} if model.api == "openai-completions" else None,
        "cost": _cost(model),
    }
    return {
        "id": model.id,
        "api": model.api,
        "baseUrl": model.base_url,
        "reasoning": bool(set(model.thinking) - {"off"}),
        **{name: value for name, value in given.items() if value is not None},
    }


def _cost(model: CustomModel) -> dict[str, float] | None:
    if model.input_cost is None and model.output_cost is None:
        return None
    cost = {"input": model.input_cost or 0.0, "output": model.output_cost or 0.0}
    return {**cost, "cacheRead": 0.0, "cacheWrite": 0.0}
