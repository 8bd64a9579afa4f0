"""The commands of the root: what help says of each, and how it is loaded once it is asked for.

Options are costly to build, so a command line builds those of one command alone, and help none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_command, get_group

from kata_cli.cli.groups import CONTEXT, KataCommand

if TYPE_CHECKING:
    from typer.core import TyperCommand, TyperGroup

Function = Callable[..., Any]


def run() -> TyperCommand:
    """Turn a goal into a spec draft: read the context, delegate, synthesize, check, write."""
    from kata_cli.cli.run import run

    return _command("run", run)


def batch() -> TyperCommand:
    """Do many runs: one line of JSON asks for each, one line of JSON tells what came of it."""
    from kata_cli.cli.batch import batch

    return _command("batch", batch)


def models() -> TyperGroup:
    """List the models of a provider, show one, or add one of your own to Pi."""
    from kata_cli.cli.models import app

    return _group(app)


def auth() -> TyperGroup:
    """Show which credential would be used, and why; store or drop one."""
    from kata_cli.cli.auth import app

    return _group(app)


def sessions() -> TyperGroup:
    """Find, show, continue, export and clean up past and running work."""
    from kata_cli.cli import sessions_keep as keep
    from kata_cli.cli import sessions_tree as tree
    from kata_cli.cli.sessions import app
    from kata_cli.cli.sessions_search import search

    branching = (tree.tree, tree.fork, tree.compact, tree.rename, tree.stop)
    return _group(app, search, *branching, keep.export, keep.stats, keep.rm, keep.prune)


def spec() -> TyperGroup:
    """Check, format, trace and compare spec files, without a model."""
    from kata_cli.cli.spec import app
    from kata_cli.cli.spec_links import diff, trace

    return _group(app, trace, diff)


def workflows() -> TyperGroup:
    """List, show and check workflow files."""
    from kata_cli.cli.workflows import app

    return _group(app)


def serve() -> TyperCommand:
    """Serve live agent sessions over REST, SSE and WebSocket, with a panel for the browser."""
    from kata_cli.cli.serve import serve

    return _command("serve", serve)


def agents() -> TyperGroup:
    """Open live agent sessions of kata serve, talk to them, and steer them."""
    from kata_cli.cli import agents_talk as talk
    from kata_cli.cli import agents_tree as tree
    from kata_cli.cli.agents import abort, app, show, stop

    said = (talk.send, talk.steer, talk.follow_up, talk.answer, abort, stop)
    return _group(app, *said, tree.tree, tree.fork, tree.compact, tree.choose, show, talk.watch)


def config() -> TyperGroup:
    """Show the effective settings."""
    from kata_cli.cli.config import app

    return _group(app)


def doctor() -> TyperCommand:
    """Check programs, settings, keys, models and disk; exit 10 when a run would fail."""
    from kata_cli.cli.doctor import doctor

    return _command("doctor", doctor)


def schema() -> TyperCommand:
    """Print a JSON Schema of a document, or list them."""
    from kata_cli.cli.schema import schema

    return _command("schema", schema)


def completion() -> TyperCommand:
    """Print a completion script; kata itself edits none of your files."""
    from kata_cli.cli.completion import completion

    return _command("completion", completion)


PANELS: dict[str, tuple[Callable[[], TyperCommand | TyperGroup], ...]] = {
    "Work": (run, batch, models, auth, sessions),
    "Specs": (spec, workflows),
    "Live agents": (serve, agents),
    "Setup": (config, doctor, schema, completion),
}
COMMANDS = {load.__name__: load for panel in PANELS.values() for load in panel}


def _command(name: str, function: Function) -> TyperCommand:
    lone = typer.Typer(rich_markup_mode=None, add_completion=False)
    lone.command(name, cls=KataCommand, context_settings=CONTEXT)(function)
    command: Any = get_command(lone)
    return command  # type: ignore[no-any-return]


def _group(app: typer.Typer, *functions: Function) -> TyperGroup:
    """A group with the commands that its own module has, then these."""
    for function in functions:
        app.command(cls=KataCommand, context_settings=CONTEXT)(function)
    return get_group(app)
