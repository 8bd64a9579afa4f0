"""`kata agents`: live agent sessions of services, as their client sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o
from kata_cli.cli.groups import CONTEXT, KataCommand, group
from kata_cli.core.messages import THINKING_LEVELS

if TYPE_CHECKING:
    from kata_cli.app.agents_calls import LiveSession
    from kata_cli.app.agents_services import Asking

SERVICE = "Service"

app = group("agents", "Open live agent sessions of kata serve, talk to them, and steer them.")

Services = Annotated[list[str] | None, o.setting("services", SERVICE)]
TokenFiles = Annotated[list[str] | None, o.setting("service_token_file", SERVICE)]
Session = Annotated[
    str,
    typer.Argument(
        metavar="SESSION",
        help="A live session: last, a title, an id, or a unique part of one.",
        show_default=False,
        autocompletion=complete.sessions,
    ),
]
Title = Annotated[str, o.option("--title", help="A title for people.", metavar="TEXT")]
ModelName = Annotated[
    str,
    o.option(
        "--model", help="Its model (default: the service's).", metavar="MODEL", completer=complete.models
    ),
]
Level = Annotated[
    str,
    o.option(
        "--thinking",
        help="How long its model thinks before it answers.",
        metavar="LEVEL",
        completer=complete.choices(THINKING_LEVELS),
    ),
]
Directory = Annotated[
    str,
    o.option("--directory", help="Where it works, below the service's workspace.", metavar="DIR"),
]
ToolsFile = Annotated[
    str | None,
    o.option("--tools", help="JSON list of tools that you answer yourself.", metavar="FILE"),
]


def asking(given: Mapping[str, Any]) -> Asking:
    """A command on live sessions, out of its parameters. Raises `KataError`."""
    from kata_cli.app.agents_services import asked_by

    return asked_by(o.common(given), shell.redactor(), shell.say)


@app.command("list", cls=KataCommand, context_settings=CONTEXT)
def list_(
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> int:
    """The services as they answer now, and their sessions."""
    given = dict(locals())
    from kata_cli.app.agents_list import list_agents
    from kata_cli.cli.agents_rows import service_row, session_row

    listed = list_agents(asking(given))
    if as_json:
        shell.put_json(listed.agents)
    else:
        for service in listed.agents.services:
            shell.put(f"{service_row(service)}\n")
            shell.put("".join(f"  {session_row(session)}\n" for session in service.sessions or []))
            shell.warn(service.warnings)
    return shell.ended(listed.failure, as_json=as_json)


@app.command("open", cls=KataCommand, context_settings=CONTEXT)
def open_(
    title: Title = "",
    model_name: ModelName = "",
    level: Level = "",
    directory: Directory = "",
    tools_file: ToolsFile = None,
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Begin a session, of several services in the least loaded one; prints its id."""
    given = dict(locals())
    from kata_cli.app.agents_calls import Create, open_session, read_tools

    create = Create(
        title=title,
        model=model_name,
        thinking=level,
        directory=directory,
        tools=read_tools(tools_file) if tools_file else (),
    )
    opened = open_session(asking(given), create)
    if as_json:
        shell.put_json(opened.session)
    else:
        shell.put(f"{opened.session.id}\n")
        shell.say(f"{opened.session.runtime_mode} {opened.session.model} · {opened.url}")


def show(
    session: Session = "last",
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """The conversation of a session so far."""
    given = dict(locals())
    from kata_cli.app.agents_calls import read_history
    from kata_cli.cli.agents_rows import transcript

    history = read_history(asking(given), session)
    if as_json:
        shell.put_json(history)
    else:
        shell.put(transcript(history.messages, history.partial))


def abort(
    session: Session,
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """End the turn under way, if there is one; the session stays open."""
    given = dict(locals())
    from kata_cli.app.agents_calls import abort

    put_session(abort(asking(given), session), as_json=as_json)


def stop(
    session: Session,
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Close a session; it stays on disk, and the next message opens it again."""
    given = dict(locals())
    from kata_cli.app.agents_calls import stop

    put_session(stop(asking(given), session), as_json=as_json)


def put_session(session: LiveSession, *, as_json: bool) -> None:
    """A session as it stands after a command."""
    from kata_cli.cli.agents_rows import session_row

    if as_json:
        shell.put_json(session)
    else:
        shell.put(f"{session_row(session)}\n")
