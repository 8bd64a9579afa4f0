"""How help is laid out, and how a group without a command runs its first one."""

from __future__ import annotations

from typing import Any

import msgspec
import typer
from typer.core import TyperCommand, TyperGroup

from kata_cli.core.errors import KataError

HELP_NAMES = ["-h", "--help"]
CONTEXT = {"help_option_names": HELP_NAMES, "max_content_width": 110}


class KataCommand(TyperCommand):
    """A command whose help lists its options in panels, in the order of their declaration."""

    def invoke(self, ctx: Any) -> Any:
        """A usage failure without a hint of its own gets the help of the command that was typed."""
        try:
            return super().invoke(ctx)
        except KataError as error:
            if error.failure.code == "usage" and not error.failure.remediation:
                hint = f"{ctx.command_path} --help"
                error.failure = msgspec.structs.replace(error.failure, remediation=hint)
            raise

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
                panel = getattr(param, "rich_help_panel", None) or "Options"
                # The framework shows a flag that can only say no as " / --no-x".
                panels.setdefault(panel, []).append((row[0].removeprefix(" / "), row[1]))
        options = panels.pop("Options", [])
        for title, rows in [("Arguments", arguments), *panels.items(), ("Options", options)]:
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class FirstCommandGroup(TyperGroup):
    """A group that runs its first command when it is called empty or with an option first."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The sentences whole: the framework would cut them at 45 characters."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(100)) for name, each in self.commands.items()])

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
