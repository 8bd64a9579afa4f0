"""The options that commands share. Those that are settings take flag, metavar and help from the one table."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kata_cli.config.settings import SETTINGS

GOAL = "Goal and context"
CHOICE = "Choice"
RESULT = "Result"
LIMITS = "Limits"
VIEW = "View"
MOCK = "Mock and Pi"


def setting(name: str, panel: str) -> Any:
    """The option of a setting."""
    declared = SETTINGS[name]
    return typer.Option(
        *declared.flags,
        help=declared.help,
        metavar=declared.metavar if declared.kind != "bool" else None,
        rich_help_panel=panel,
        show_default=False,
    )


def option(*names: str, help: str, panel: str = "Options", metavar: str | None = None) -> Any:
    """An option that is no setting."""
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)


Mode = Annotated[str | None, setting("runtime_mode", CHOICE)]
Provider = Annotated[str | None, setting("provider", CHOICE)]
Model = Annotated[str | None, setting("model", CHOICE)]
Thinking = Annotated[str | None, setting("thinking", CHOICE)]
Temperature = Annotated[str | None, setting("temperature", CHOICE)]
MaxTokens = Annotated[str | None, setting("max_tokens", CHOICE)]
Fallback = Annotated[list[str] | None, setting("fallback", CHOICE)]
Workflow = Annotated[str | None, setting("workflow", CHOICE)]
Var = Annotated[list[str] | None, setting("vars", CHOICE)]
Jobs = Annotated[str | None, setting("jobs", RESULT)]
Timeout = Annotated[str | None, setting("timeout", LIMITS)]
IdleTimeout = Annotated[str | None, setting("idle_timeout", LIMITS)]
Color = Annotated[str | None, setting("color", VIEW)]
Home = Annotated[str | None, setting("home", CHOICE)]
NoContext = Annotated[bool, setting("context_enabled", GOAL)]
Tools = Annotated[str | None, setting("tools", MOCK)]
AllowAgent = Annotated[bool, setting("allow_agent", MOCK)]
Strict = Annotated[bool, setting("strict", RESULT)]

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
