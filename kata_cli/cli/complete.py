"""What completes the value of an argument or option. Whatever goes wrong, a shell is offered nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import typer

Completer = Callable[[typer.Context, str], list[str]]


def names(kind: str) -> Completer:
    """Completes names of a kind that `app.completions` knows, from local data."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            from kata_cli.app.completions import offered

            return offered(kind, incomplete, ctx.params)
        except Exception:  # between two keystrokes there is no place for an error
            return []

    return complete


def choices(words: Sequence[str]) -> Completer:
    """Completes one of a few fixed words."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


runs = names("runs")
sessions = names("sessions")
history = names("history")
models = names("models")
workflows = names("workflows")
providers = names("providers")
schemas = names("schemas")
states = names("states")
