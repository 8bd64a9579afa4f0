"""The root group: commands in panels, each loaded when it is asked for."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand, TyperGroup

from kata_cli.cli.commands import COMMANDS, PANELS
from kata_cli.core.errors import KataError
from kata_cli.core.text import near


class RootGroup(TyperGroup):
    """The root: commands in panels, in the order of `PANELS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.commands[cmd_name] = COMMANDS[cmd_name]()
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in COMMANDS:
            raise KataError("usage", f"no such command {args[0]!r}", near(args[0], COMMANDS) or "kata --help")
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, panel in PANELS.items():
            with formatter.section(title):
                formatter.write_dl([(load.__name__, inspect.getdoc(load) or "") for load in panel])
        TyperCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]
