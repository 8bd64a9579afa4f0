"""`kata models`: what providers themselves report, and models of your own for Pi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o
from kata_cli.cli.groups import CONTEXT, KataCommand, group
from kata_cli.core.messages import THINKING_LEVELS

if TYPE_CHECKING:
    from kata_cli.app.model_add import Added
    from kata_cli.app.models import ModelRow

MODEL = "The model"

app = group("models", "List the models of a provider, show one, or add one of your own to Pi.")

Pattern = Annotated[
    str | None,
    typer.Argument(metavar="[PATTERN]", help="Only those with this in id or name.", show_default=False),
]
Level = Annotated[
    str | None,
    o.option(
        "--thinking",
        help="Only models with this thinking level.",
        metavar="LEVEL",
        completer=complete.choices(THINKING_LEVELS),
    ),
]
Refresh = Annotated[bool, o.option("--refresh", help="Ask the provider even if a list is cached.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="The model as provider/id; with --provider the id alone.",
        autocompletion=complete.models,
    ),
]
Target = Annotated[
    str, typer.Argument(metavar="pi/PROVIDER/ID", help="The model, at a provider that you name.")
]


def _model(name: str, help: str, metavar: str) -> Any:
    return o.option(name, help=help, panel=MODEL, metavar=metavar)


BaseUrl = Annotated[str, _model("--base-url", "Address of its server, such as http://host:port/v1.", "URL")]
Api = Annotated[
    str,
    _model(
        "--api",
        "What the server speaks: openai-completions (default), openai-responses, anthropic-messages or "
        "google-generative-ai.",
        "API",
    ),
]
KeyEnv = Annotated[
    str | None, _model("--key-env", "NAME of the variable that holds its key, never the key.", "NAME")
]
Name = Annotated[str | None, _model("--name", "A name for people.", "TEXT")]
ContextWindow = Annotated[int | None, _model("--context-window", "Tokens that it can read.", "N")]
MaxOutput = Annotated[int | None, _model("--max-output-tokens", "Tokens of its longest answer.", "N")]
Levels = Annotated[
    str | None, _model("--thinking", "Its thinking levels, with commas between; none if left out.", "LEVELS")
]
InputCost = Annotated[float | None, _model("--input-cost", "US dollars per million tokens read.", "USD")]
OutputCost = Annotated[float | None, _model("--output-cost", "US dollars per million tokens written.", "USD")]
Force = Annotated[bool, o.option("--force", help="Replace the model if you have added it before.")]
DryRun = Annotated[bool, o.option("-n", "--dry-run", help="Check it, with Pi too, but store nothing.")]


@app.command("list", cls=KataCommand, context_settings=CONTEXT)
def list_(
    pattern: Pattern = None,
    level: Level = None,
    refresh: Refresh = False,
    as_json: o.Json = False,
    runtime_mode: o.Mode = None,
    provider: o.Provider = None,
    api_key_file: o.ApiKeyFile = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
) -> None:
    """The models as the provider reports them, kept for a day."""
    options = o.common(locals())
    from kata_cli.app.models import Filter, list_models

    wanted = Filter(pattern=pattern or "", thinking=level)
    listing = list_models(options, shell.redactor(), wanted, is_refreshed=refresh)
    for warning in listing.warnings:
        shell.say(f"warning: {warning}")
    if as_json:
        shell.put_json(listing)
        return
    width = max((len(str(row.ref)) for row in listing.models), default=0)
    for row in listing.models:
        shell.put(_row(row, width))
    if not listing.models:
        shell.say("no model is like that" if pattern or level else f"{listing.provider} lists no model")
    _say_age(listing.age_s, is_cached=listing.is_cached)


@app.command(cls=KataCommand, context_settings=CONTEXT)
def show(
    model_name: Model,
    refresh: Refresh = False,
    as_json: o.Json = False,
    runtime_mode: o.Mode = None,
    provider: o.Provider = None,
    api_key_file: o.ApiKeyFile = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
) -> None:
    """What the provider says of one model: its limits and thinking levels."""
    options = o.common(locals())
    from kata_cli.app.models import show_model

    shown = show_model(options, shell.redactor(), model_name, is_refreshed=refresh)
    if as_json:
        shell.put_json(shown)
        return
    for label, value in _facts(shown.model).items():
        shell.put(f"{label:<16}{value}\n")
    _say_age(shown.age_s, is_cached=shown.is_cached)


@app.command(cls=KataCommand, context_settings=CONTEXT)
def add(
    target: Target,
    base_url: BaseUrl,
    api: Api = "openai-completions",
    key_env: KeyEnv = None,
    name: Name = None,
    context_window: ContextWindow = None,
    max_output_tokens: MaxOutput = None,
    levels: Levels = None,
    input_cost: InputCost = None,
    output_cost: OutputCost = None,
    is_forced: Force = False,
    is_dry_run: DryRun = False,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
) -> None:
    """Add a model of your own to Pi, once Pi itself has accepted it; your Pi directory is left alone."""
    given = dict(locals())
    from kata_cli.app.model_add import add_model, parse_target
    from kata_cli.config.models import CustomModel

    provider, model_id = parse_target(target)
    fields = {key: value for key, value in given.items() if key in CustomModel.__struct_fields__}
    model = CustomModel(
        provider=provider,
        id=model_id,
        thinking=tuple(levels.replace(",", " ").split()) if levels else (),
        **{key: value for key, value in fields.items() if value is not None},
    )
    options = o.common({**given, "runtime_mode": "pi"})
    added = add_model(options, shell.redactor(), model, is_forced=is_forced, is_dry_run=is_dry_run)
    for warning in added.warnings:
        shell.say(f"warning: {warning}")
    if as_json:
        shell.put_json(added)
    else:
        shell.put(_told(added, key_env))


def _row(row: ModelRow, width: int) -> str:
    from kata_cli.core.text import one_line
    from kata_cli.output.figures import count

    parts = [
        one_line(row.name, 60) if row.name != row.id else "",
        f"{count(row.context_window)} context" if row.context_window else "",
        f"thinking {' '.join(row.thinking)}" if row.thinking else "",
        "default" if row.is_default else "",
        f"unavailable: {row.reason}" if not row.is_available else "",
    ]
    told = "  ".join(part for part in parts if part)
    return f"{one_line(str(row.ref), 120):<{width}}  {told}".rstrip() + "\n"


def _facts(row: ModelRow) -> dict[str, str]:
    """What is known, by label."""
    from kata_cli.core.text import one_line

    facts = {
        "model": str(row.ref),
        "name": row.name if row.name != row.id else "",
        "runtime mode": row.runtime_mode,
        "available": "yes" if row.is_available else f"no: {row.reason}",
        "default": "yes" if row.is_default else "no",
        "context window": f"{row.context_window} tokens" if row.context_window else "",
        "max output": f"{row.max_output_tokens} tokens" if row.max_output_tokens else "",
        "thinking": " ".join(row.thinking or ()),
        "created": row.created or "",
    }
    return {label: one_line(value, 200) for label, value in facts.items() if value}


def _told(added: Added, key_env: str | None) -> str:
    ref = f"{added.model.provider}/{added.model.id}"
    what = "replaced" if added.is_replaced else "added"
    done = f"{what} {ref} in {added.path}" if added.is_written else f"Pi accepts {ref}; nothing was written"
    needed = "" if added.is_key_set else f"; set {key_env} before you use it"
    return f"{done}{needed}\n"


def _say_age(age_s: float, *, is_cached: bool) -> None:
    from kata_cli.output.figures import ago

    if is_cached:
        shell.say(f"cached {ago(age_s)}; --refresh asks the provider")
