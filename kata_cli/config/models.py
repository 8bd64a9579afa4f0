"""Models that the user adds to Pi: what one must be, and the file they are kept in, which kata owns whole.

An entry of the file that cannot be used is left out and named; it never costs the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kata_cli.config.endpoints import BUILTINS, check_url
from kata_cli.config.trust import check_owner
from kata_cli.core import toml
from kata_cli.core.messages import THINKING_LEVELS, ModelRef
from kata_cli.core.text import one_line

# Those of Pi's wire formats that take any address and a plain key (its documentation of models.json).
APIS = ("openai-completions", "openai-responses", "anthropic-messages", "google-generative-ai")
MAX_TOKENS = 10**9
MAX_COST_USD = 10**6

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID = re.compile(r"[!-~]{1,200}")
# Capitals alone: most keys hold a lower-case letter, and none may end up in this file.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")


class CustomModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model. `key_env` names the variable with its key, costs are US dollars per million tokens.

    `thinking` holds its levels; none means that it does not think.
    """

    provider: str
    id: str
    base_url: str
    api: str
    key_env: str = ""
    name: str = ""
    context_window: int | None = None
    max_output_tokens: int | None = None
    thinking: tuple[str, ...] = ()
    input_cost: float | None = None
    output_cost: float | None = None

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.provider, self.id)


class ModelsFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: models that can be used, a warning for each other entry, and all as written."""

    models: list[CustomModel]
    warnings: list[str]
    entries: list[Any]


def check_model(model: CustomModel, *, allows_http: bool) -> None:
    """Raises `ValueError` with the field and what was expected; the value itself is not repeated."""
    for field, expected in _faults(model, allows_http=allows_http):
        raise ValueError(field, expected)


def check_key(model: CustomModel, others: list[CustomModel]) -> None:
    """Pi knows one key per provider. Raises `ValueError` like `check_model`."""
    for other in others:
        if other.provider == model.provider and other.key_env != model.key_env:
            held = f"is {other.key_env}" if other.key_env else "is not set"
            raise ValueError("key_env", f"expected the same for all models of {model.provider}: it {held}")


def read_models(path: Path, *, allows_http: bool) -> ModelsFile:
    """The stored models, the first of two that are alike. A missing file holds none.

    Raises `KataError`: io when it cannot be read, config when it is no TOML with `[[models]]` or not private.
    """
    file = toml.read(path)
    check_owner(file)  # it says where keys are sent
    entries = file.table.get("models", [])
    if not isinstance(entries, list) or set(file.table) - {"models"}:
        raise file.error("", "expected nothing but [[models]]", "kata models add makes them")
    models: list[CustomModel] = []
    warnings = []
    for index, entry in enumerate(entries):
        try:
            models.append(_model(entry, models, allows_http=allows_http))
        except (ValueError, msgspec.ValidationError) as error:
            warnings.append(_warning(file, index, entry, error))
    return ModelsFile(models=models, warnings=warnings, entries=entries)


def encode_with(stored: ModelsFile, model: CustomModel) -> bytes:
    """The file with a model added, or in the place of the one it replaces; other entries stay as they are."""
    import tomli_w

    written = msgspec.to_builtins(model)
    entries = [written if _is_of(entry, model.ref) else entry for entry in stored.entries]
    if written not in entries:
        entries.append(written)
    return tomli_w.dumps({"models": entries}, multiline_strings=False).encode()


def _model(entry: Any, earlier: list[CustomModel], *, allows_http: bool) -> CustomModel:
    model = msgspec.convert(entry, CustomModel)
    check_model(model, allows_http=allows_http)
    if any(model.ref == other.ref for other in earlier):
        raise ValueError("id", "expected each model once")
    check_key(model, earlier)
    return model


def _warning(file: toml.File, index: int, entry: Any, error: Exception) -> str:
    """`path:line: models[1].api (local/m): expected …; the model is left out`."""
    if isinstance(error, msgspec.ValidationError):
        field, expected = "", one_line(str(error), 200)
    else:
        field, expected = error.args
    key = f"models[{index}].{field}" if field else f"models[{index}]"
    names = [entry.get(name) for name in ("provider", "id")] if isinstance(entry, dict) else []
    shown = one_line("/".join(str(name) for name in names), 80)
    return f"{file.source(key)} ({shown}): {expected}; the model is left out"


def _is_of(entry: Any, ref: ModelRef) -> bool:
    return isinstance(entry, dict) and (entry.get("provider"), entry.get("id")) == (ref.provider, ref.id)


def _faults(model: CustomModel, *, allows_http: bool) -> Iterator[tuple[str, str]]:
    if not _PROVIDER.fullmatch(model.provider):
        yield "provider", "expected a name of a-z, 0-9, and . _ - inside"
    if model.provider in BUILTINS:
        # Its key would go to the new address.
        yield "provider", f"expected a name of your own, {model.provider} is built in"
    if not _ID.fullmatch(model.id):
        yield "id", "expected up to 200 visible ASCII characters"
    try:
        check_url(model.base_url, allows_http=allows_http)
    except ValueError as error:
        yield "base_url", str(error)
    if model.api not in APIS:
        yield "api", f"expected one of {', '.join(APIS)}"
    if model.key_env and not _VARIABLE.fullmatch(model.key_env):
        yield "key_env", "expected the name of a variable, in capitals, never the key itself"
    if len(model.name) > 200 or not model.name.isprintable():
        yield "name", "expected up to 200 printable characters"
    yield from _wrong_figures(model)


def _wrong_figures(model: CustomModel) -> Iterator[tuple[str, str]]:
    for field in ("context_window", "max_output_tokens"):
        tokens = getattr(model, field)
        if tokens is not None and not 0 < tokens <= MAX_TOKENS:
            yield field, f"expected a number of tokens from 1 to {MAX_TOKENS}"
    if not set(model.thinking) <= set(THINKING_LEVELS):
        yield "thinking", f"expected levels out of {', '.join(THINKING_LEVELS)}"
    for field in ("input_cost", "output_cost"):
        cost = getattr(model, field)
        if cost is not None and not 0 <= cost <= MAX_COST_USD:
            yield field, f"expected US dollars per million tokens from 0 to {MAX_COST_USD}"
