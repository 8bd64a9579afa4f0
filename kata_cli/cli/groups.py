"""How help is laid out, and how a group without a command runs its first one."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

HELP_NAMES = ["-h", "--help"]
CONTEXT = {"help_option_names": HELP_NAMES, "max_content_width": 110}

PANELS = {
    "Work": ("run", "models", "auth", "sessions"),
    "Specs": ("workflows",),
    "Setup": ("config", "doctor", "completion"),
}


class KataCommand(TyperCommand):
    """A command whose help lists its options in panels, in the order of their declaration."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        arguments: list[tuple[str, str]] = []
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            row = param.get_help_record(ctx)
            if row is None:
                continue
            if param.param_type_name == "argument":
                arguments.append(row)
            else:
                panels.setdefault(getattr(param, "rich_help_panel", None) or "Options", []).append(row)
        options = panels.pop("Options", [])
        for title, rows in [("Arguments", arguments), *panels.items(), ("Options", options)]:
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class RootGroup(TyperGroup):
    """The root: commands in panels, in the order of `PANELS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for names in PANELS.values() for name in names]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, names in PANELS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(90)) for name in names])
        TyperCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]


class FirstCommandGroup(TyperGroup):
    """A group that runs its first command when it is called empty or with an option first."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_option = bool(args) and args[0].startswith("-") and args[0] not in HELP_NAMES
        if not ctx.resilient_parsing and (not args or is_option):
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)


def group(name: str, help: str) -> typer.Typer:
    """A group of commands, ready to be added to the root."""
    return typer.Typer(
        name=name,
        help=help,
        cls=FirstCommandGroup,
        context_settings=CONTEXT,
        rich_markup_mode=None,
        add_completion=False,
    )
