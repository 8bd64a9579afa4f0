"""`kata agents send`, `steer`, `follow-up`, `answer` and `watch`: a conversation with a live session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kata_cli.cli import options as o
from kata_cli.cli import shell
from kata_cli.cli.agents import Services, Session, TokenFiles, asking, put_session

if TYPE_CHECKING:
    from kata_cli.app.agents_calls import Accepted
    from kata_cli.app.agents_services import Asking
    from kata_cli.app.agents_view import View

Message = Annotated[
    str | None,
    typer.Argument(
        metavar="[MESSAGE|-]", help="What to say; - or nothing reads it from stdin.", show_default=False
    ),
]
CallId = Annotated[str, typer.Argument(metavar="CALL", help="The id of the tool call.", show_default=False)]
Output = Annotated[
    str | None,
    typer.Argument(
        metavar="[OUTPUT|-]", help="What came of it; - or nothing reads it from stdin.", show_default=False
    ),
]
IsError = Annotated[bool, o.option("--error", help="The call failed; OUTPUT says why.")]
Files = Annotated[
    list[str] | None,
    o.option(
        "-f",
        "--file",
        help="Send this file of the session's directory along; repeatable.",
        metavar="FILE",
    ),
]
NoWait = Annotated[bool, o.option("--no-wait", help="Do not wait for the answer.")]
Format = Annotated[
    str | None,
    o.option("--format", help="What stdout carries (default text).", metavar="text|json|jsonl"),
]
Quiet = Annotated[bool, o.option("-q", "--quiet", help="Show errors only on stderr.")]


def send(
    session: Session,
    message: Message = None,
    files: Files = None,
    is_not_awaited: NoWait = False,
    format: Format = None,
    as_json: o.Json = False,
    is_quiet: Quiet = False,
    services: Services = None,
    service_token_file: TokenFiles = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> int:
    """Send a message, and print the answer once it is whole; Ctrl-C aborts the turn."""
    given = dict(locals())
    from kata_cli.app import agents_turn
    from kata_cli.app.agents_calls import Send, read_message, send_only

    chosen = o.output_format(format, as_json)
    asked = asking(given)
    wish = Send(message=read_message(asked, message), files=tuple(files or ()))
    if is_not_awaited:
        _put_accepted(send_only(asked, session, wish), as_json=chosen != "text")
        return 0
    view = _view(asked, is_jsonl=chosen == "jsonl", is_quiet=is_quiet)
    turn, failure = agents_turn.send(asked, session, wish, view)
    if chosen == "json":
        shell.put_json(turn)
    elif chosen == "text" and turn.text is not None:
        shell.put(f"{turn.text.strip()}\n")
    return shell.ended(failure, as_json=chosen != "text", runtime_mode=turn.runtime_mode)


def steer(
    session: Session,
    message: Message = None,
    as_json: o.Json = False,
    services: Services = None,
    service_token_file: TokenFiles = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Say something to the turn under way; without one it is a message like any other."""
    given = dict(locals())
    from kata_cli.app.agents_calls import read_message, steer

    asked = asking(given)
    _put_accepted(steer(asked, session, read_message(asked, message)), as_json=as_json)


def follow_up(
    session: Session,
    message: Message = None,
    as_json: o.Json = False,
    services: Services = None,
    service_token_file: TokenFiles = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Say something once the turn under way is over."""
    given = dict(locals())
    from kata_cli.app.agents_calls import follow_up, read_message

    asked = asking(given)
    _put_accepted(follow_up(asked, session, read_message(asked, message)), as_json=as_json)


def answer(
    session: Session,
    call_id: CallId,
    output: Output = None,
    is_error: IsError = False,
    as_json: o.Json = False,
    services: Services = None,
    service_token_file: TokenFiles = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Give the result of a tool call that the session waits for."""
    given = dict(locals())
    from kata_cli.app.agents_calls import ToolResult, answer_call, read_message

    asked = asking(given)
    result = ToolResult(call_id=call_id, output=read_message(asked, output), is_error=is_error)
    put_session(answer_call(asked, session, result), as_json=as_json)


def watch(
    session: Session = "last",
    services: Services = None,
    service_token_file: TokenFiles = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Print the events of a session as JSON lines, until it is closed or you stop."""
    given = dict(locals())
    from kata_cli.app.agents_watch import watch

    asked = asking(given)
    watch(asked, session, _view(asked, is_jsonl=True, is_quiet=True))


def _view(asked: Asking, *, is_jsonl: bool, is_quiet: bool) -> View:
    from kata_cli.app.agents_view import View

    return View(shell.stdout, asked.say, asked.redactor, is_jsonl=is_jsonl, is_quiet=is_quiet)


def _put_accepted(accepted: Accepted, *, as_json: bool) -> None:
    if as_json:
        shell.put_json(accepted)
    else:
        shell.put(f"{accepted.session_id}  {accepted.delivery}\n")
