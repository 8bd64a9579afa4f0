"""The options that commands share. Those that are settings take flag, metavar and help from the one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kata_cli.cli import complete
from kata_cli.config.settings import SETTINGS
from kata_cli.core.errors import KataError

if TYPE_CHECKING:
    from kata_cli.app.options import Common

GOAL = "Goal and context"
CHOICE = "Choice"
RESULT = "Result"
HISTORY = "History"
LIMITS = "Limits"
VIEW = "View"
MOCK = "Mock and Pi"

_NAMED = {
    "provider": complete.providers,
    "model": complete.models,
    "fallback": complete.models,
    "workflow": complete.workflows,
}
_LISTED = re.compile(r"[a-z]+(?:\|[a-z]+)+")


def setting(name: str, panel: str) -> Any:
    """The option of a setting."""
    declared = SETTINGS[name]
    is_off_switch = declared.kind == "bool" and declared.default
    return typer.Option(
        # A slash alone in front makes a flag that can only say no.
        *(f" /{flag}" if is_off_switch else flag for flag in declared.flags),
        help=declared.help,
        metavar=declared.metavar if declared.kind != "bool" else None,
        rich_help_panel=panel,
        show_default=False,
        autocompletion=complete.choices(declared.choices) if declared.choices else _NAMED.get(name),
    )


def option(
    *names: str,
    help: str,
    panel: str = "Options",
    metavar: str | None = None,
    completer: complete.Completer | None = None,
) -> Any:
    """An option that is no setting. A metavar like `text|json` lists the values that it can have."""
    if metavar is not None and _LISTED.fullmatch(metavar):
        completer = complete.choices(metavar.split("|"))
    return typer.Option(
        *names,
        help=help,
        metavar=metavar,
        rich_help_panel=panel,
        show_default=False,
        autocompletion=completer,
    )


def common(given: Mapping[str, Any]) -> Common:
    """What every command takes, out of the parameters of one, which are named like settings and fields."""
    from kata_cli.app.options import Common

    flags = {name: value for name, value in given.items() if name in SETTINGS}
    fields = {name: value for name, value in given.items() if name in Common.__struct_fields__}
    return Common(**fields, flags=flags)


def output_format(format: str | None, as_json: bool) -> str:
    """What `--format` and `--json` ask for together. Raises `KataError` usage."""
    from kata_cli.app.options import FORMATS

    if as_json and format not in (None, "json"):
        raise KataError("usage", f"--json and --format {format} exclude each other")
    chosen = "json" if as_json else format or "text"
    if chosen not in FORMATS:
        raise KataError("usage", f"--format: expected one of {', '.join(FORMATS)}, got {chosen!r}")
    return chosen


Mode = Annotated[str | None, setting("runtime_mode", CHOICE)]
Provider = Annotated[str | None, setting("provider", CHOICE)]
Model = Annotated[str | None, setting("model", CHOICE)]
Thinking = Annotated[str | None, setting("thinking", CHOICE)]
Temperature = Annotated[str | None, setting("temperature", CHOICE)]
MaxTokens = Annotated[str | None, setting("max_tokens", CHOICE)]
Fallback = Annotated[list[str] | None, setting("fallback", CHOICE)]
AuthMode = Annotated[str | None, setting("auth_mode", CHOICE)]
NoKeyFallback = Annotated[bool | None, setting("key_fallback", CHOICE)]
Workflow = Annotated[str | None, setting("workflow", CHOICE)]
Var = Annotated[list[str] | None, setting("vars", CHOICE)]
Jobs = Annotated[str | None, setting("jobs", RESULT)]
Timeout = Annotated[str | None, setting("timeout", LIMITS)]
IdleTimeout = Annotated[str | None, setting("idle_timeout", LIMITS)]
MaxCost = Annotated[str | None, setting("max_cost", LIMITS)]
TokenBudget = Annotated[str | None, setting("token_budget", LIMITS)]
MaxTasks = Annotated[str | None, setting("max_tasks", LIMITS)]
Otel = Annotated[str | None, setting("otel", RESULT)]
Color = Annotated[str | None, setting("color", VIEW)]
Home = Annotated[str | None, setting("home", CHOICE)]
NoContext = Annotated[bool | None, setting("context_enabled", GOAL)]
Tools = Annotated[str | None, setting("tools", MOCK)]
Service = Annotated[list[str] | None, setting("services", MOCK)]
TokenFile = Annotated[list[str] | None, setting("service_token_file", MOCK)]
AllowAgent = Annotated[bool | None, setting("allow_agent", MOCK)]
Strict = Annotated[bool | None, setting("strict", RESULT)]

Profile = Annotated[
    str | None, option("--profile", help="Use [profiles.NAME] of your config.", panel=CHOICE, metavar="NAME")
]
Isolated = Annotated[
    bool, option("--isolated", help="Ignore the project's and your own config file.", panel=CHOICE)
]
TrustProject = Annotated[
    bool, option("--trust-project", help="Let this project's kata.toml set everything.", panel=CHOICE)
]
ApiKeyFile = Annotated[
    str | None,
    option("--api-key-file", help="Read the provider's key from this file.", panel=CHOICE, metavar="FILE"),
]
Debug = Annotated[bool, option("--debug", help="Show the traceback of a bug.", panel=VIEW)]
Json = Annotated[bool, option("--json", help="Print one JSON document.")]
