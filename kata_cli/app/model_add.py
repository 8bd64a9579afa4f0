"""`kata models add`: a model of the user's own is judged by Pi first, and only then kept."""

from __future__ import annotations

import msgspec

from kata_cli.app.agents import pi_options
from kata_cli.app.model_listing import Asking
from kata_cli.app.models import asking_of
from kata_cli.app.options import Common
from kata_cli.app.pi_models import check_provider, document, users_providers
from kata_cli.app.probe import hear
from kata_cli.config.models import CustomModel, ModelsFile, check_key, check_model, encode_with, read_models
from kata_cli.core import loop
from kata_cli.core.errors import KataError
from kata_cli.core.messages import ModelInfo
from kata_cli.core.ports import Timeouts
from kata_cli.core.redact import Redactor
from kata_cli.core.text import one_line
from kata_cli.pi import binary, home
from kata_cli.pi.options import PiOptions
from kata_cli.providers.pi import PiProvider
from kata_cli.store.atomic import make_dirs, write_file
from kata_cli.store.locking import locked

CHECK_S = 20.0
COMPLAINT = "errors loading models.json:"  # all that Pi says of it, and it ends with status 0
# Pi lists a model only if it has a key; it asks nobody whether the key is right, so no real one is given.
STAND_IN_KEY = "not-a-key"


class Added(msgspec.Struct, kw_only=True):
    """What became of it (`kata.model-added/v1`). `is_key_set` says whether the key's variable is set here."""

    schema: str = "kata.model-added/v1"
    model: ModelInfo
    path: str
    is_replaced: bool
    is_written: bool
    is_key_set: bool
    warnings: list[str]


def parse_target(name: str) -> tuple[str, str]:
    """Provider and id of `pi/PROVIDER/ID`. Raises `KataError` usage."""
    runtime, _, rest = name.partition("/")
    provider, _, model_id = rest.partition("/")
    if runtime != "pi":
        told = f"not a model of Pi: {name!r}; other providers list their models themselves"
        raise KataError("usage", told, "define a server as [providers.NAME] in your config.toml")
    if not provider or not model_id:
        raise KataError("usage", f"not a model of Pi: {name!r}", "write it as pi/PROVIDER/ID")
    return provider, model_id


def add_model(
    options: Common, redactor: Redactor, model: CustomModel, *, is_forced: bool, is_dry_run: bool
) -> Added:
    """Check a model by its shape, then by Pi twice, and store it. A refusal changes nothing.

    Raises `KataError`: usage for its shape or one that is there, `invalid_request` or `model_not_found` for
    what Pi says, `agent_unavailable` without Pi.
    """
    asking = asking_of(options, redactor)
    path = asking.resolved.paths.models_file
    stored = _admitting(asking, model, is_forced=is_forced)
    listed = _check_with_pi(asking, model, stored)
    if not is_dry_run:
        make_dirs(path.parent)
        with locked(path.parent):
            # Somebody else may have added one while Pi was asked.
            stored = _admitting(asking, model, is_forced=is_forced)
            write_file(path, encode_with(stored, model))
    return Added(
        model=listed,
        path=str(path),
        is_replaced=_is_there(model, stored),
        is_written=not is_dry_run,
        is_key_set=not model.key_env or bool(asking.env.get(model.key_env, "").strip()),
        warnings=asking.resolved.warnings,
    )


def _admitting(asking: Asking, model: CustomModel, *, is_forced: bool) -> ModelsFile:
    """What is stored, if the model may join it. Raises `KataError` usage."""
    allows_http = asking.resolved.settings.allow_http
    stored = read_models(asking.resolved.paths.models_file, allows_http=allows_http)
    try:
        check_model(model, allows_http=allows_http)
        check_key(model, [other for other in stored.models if other.ref != model.ref])
    except ValueError as error:
        field, expected = error.args
        name = field.upper() if field in ("provider", "id") else f"--{field.replace('_', '-')}"
        raise KataError("usage", f"{name}: {expected}", "kata models add --help") from None
    if _is_there(model, stored) and not is_forced:
        raise KataError("usage", f"{model.ref} is there already", "--force to replace it")
    return stored


def _is_there(model: CustomModel, stored: ModelsFile) -> bool:
    return any(other.ref == model.ref for other in stored.models)


def _check_with_pi(asking: Asking, model: CustomModel, stored: ModelsFile) -> ModelInfo:
    """The model as Pi reports it when it is one of the stored ones."""
    users = users_providers(asking.resolved.settings.pi_agent_dir)
    check_provider(model, users)
    others = [other for other in stored.models if other.ref != model.ref]
    models = [*(other for other in others if other.provider not in (users or {})), model]
    keys = {each.provider: {each.key_env: STAND_IN_KEY} for each in models if each.key_env}
    written = document(models, users)
    pi = pi_options(asking.resolved, asking.env, asking.redactor, keys=keys, models=written)
    _check_loading(pi, model)
    listed = loop.run(_listed(pi))
    found = next((info for info in listed if (info.provider, info.id) == (model.provider, model.id)), None)
    if found is None:
        told = f"Pi does not list {model.ref} when it is given to it"
        raise KataError("model_not_found", told, "kata doctor, then kata models add --help")
    return found


def _check_loading(options: PiOptions, model: CustomModel) -> None:
    """`pi --list-models` tells what is wrong with the file; over RPC it would only be empty."""
    path = binary.find(options.binary, options.environ.get("PATH", ""), options.cwd)
    place = home.make(options.agent_dir, options.models)
    keys = {name: value for key in options.keys.values() for name, value in key.items()}
    argv = [str(path), "--list-models", "-ne", "-ns", "-np"]
    try:
        # In an empty directory: old versions run what they find in a project.
        status, said = hear(argv, home.child_environment(options, keys, place), CHECK_S, place)
    except OSError as error:
        told = f"cannot start {path}: {error.strerror}"
        raise KataError("agent_unavailable", told, binary.INSTALL) from None
    finally:
        home.remove(place)
    _, complaint, reason = said.partition(COMPLAINT)
    if complaint:
        reason = one_line(reason.partition("File:")[0], 300)
        raise KataError("invalid_request", f"Pi refuses {model.ref}: {reason}", "kata models add --help")
    if status != 0:
        ended = f"did not end within {CHECK_S:g} s" if status is None else f"ended with status {status}"
        told = f"{path} --list-models {ended}: {one_line(options.redact(said), 300) or 'nothing said'}"
        raise KataError("agent_unavailable", told, "kata doctor")


async def _listed(options: PiOptions) -> list[ModelInfo]:
    provider = PiProvider(options, Timeouts())
    try:
        return await provider.models()
    finally:
        await provider.aclose()
