"""`kata sessions`: past and running work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o
from kata_cli.cli.groups import CONTEXT, KataCommand, group
from kata_cli.core.errors import KataError

if TYPE_CHECKING:
    from kata_cli.app.options import Common
    from kata_cli.app.sessions import RunDetail

MAX_ROWS = 1_000_000_000  # more than any store holds, and well within what SQLite can count

app = group("sessions", "Find, show, continue, export and clean up past and running work.")

Run = Annotated[
    str,
    typer.Argument(
        help="A run or session: last, an id, or a unique part of one.",
        show_default=False,
        autocompletion=complete.history,
    ),
]
Limit = Annotated[int, o.option("--limit", help="Most rows of a kind (default 20).", metavar="N")]
Offset = Annotated[int, o.option("--offset", help="Leave out this many rows of a kind first.", metavar="N")]
Status = Annotated[
    str | None,
    o.option("--status", help="Only runs in this state.", metavar="STATE", completer=complete.states),
]
Since = Annotated[
    str | None, o.option("--since", help="Only what began in the last D, such as 7d.", metavar="D")
]
Session = Annotated[
    str | None,
    o.option(
        "--session",
        help="Only this session: id, part of one, or name.",
        metavar="S",
        completer=complete.sessions,
    ),
]
Workflow = Annotated[
    str | None,
    o.option(
        "-w",
        "--workflow",
        help="Only runs of this workflow.",
        metavar="NAME",
        completer=complete.workflows,
    ),
]
All = Annotated[bool, o.option("--all", help="Those of every project.")]
TaskId = Annotated[str | None, o.option("--task", help="With --request or --reply: the task.", metavar="ID")]
Request = Annotated[bool, o.option("--request", help="Print what was sent to the model.")]
Reply = Annotated[bool, o.option("--reply", help="Print what the model answered.")]
Html = Annotated[
    str | None, o.option("--html", help="Write one self-contained page to FILE.", metavar="FILE")
]
Force = Annotated[bool, o.option("--force", help="Replace FILE even if kata did not write it.")]
Events = Annotated[bool, o.option("--events", help="Print the stored events as JSON Lines.")]
SinceSeq = Annotated[
    int | None, o.option("--since-seq", help="With --events: only those after number N.", metavar="N")
]


@app.command("list", cls=KataCommand, context_settings=CONTEXT)
def list_(
    status: Status = None,
    since: Since = None,
    session: Session = None,
    workflow: Workflow = None,
    every: All = False,
    limit: Limit = 20,
    offset: Offset = 0,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Runs of this project, and sessions of agents: newest first."""
    import time

    from kata_cli.app.options import Common
    from kata_cli.app.session_list import Choice, list_runs
    from kata_cli.cli.session_rows import in_order
    from kata_cli.output.console import columns, is_terminal

    check_page(limit, offset)
    choice = Choice(
        status=status, since_s=age_s("--since", since), session=session, workflow=workflow, is_all=every
    )
    common = Common(flags={"home": home})
    listed = list_runs(common, choice, limit=limit, offset=offset, now_s=time.time())
    shell.warn(listed.warnings)
    if as_json:
        shell.put_json(listed)
        return
    width = columns(1) if is_terminal(1) else None
    rows = in_order(listed, width)
    for row in rows:
        shell.put(row)
    tell_rest(limit, offset, has_more=listed.has_more)
    if not rows:
        shell.say("no runs" if every else "no such runs of this project; --all lists those of every project")


@app.command(cls=KataCommand, context_settings=CONTEXT)
def show(
    run: Run = "last",
    task: TaskId = None,
    request: Request = False,
    reply: Reply = False,
    html: Html = None,
    force: Force = False,
    events: Events = False,
    since_seq: SinceSeq = None,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """One run: its life, tasks, timings, tokens, cost and errors, or the conversation of an agent."""
    from kata_cli.app.options import Common
    from kata_cli.app.sessions import read_exchange
    from kata_cli.cli.sessions_output import put_events, put_page
    from kata_cli.core.text import neutral

    common = Common(flags={"home": home})
    _check_view(task, [request, reply, html is not None, events, as_json], has_cursor=since_seq is not None)
    if task is not None:
        shell.put(neutral(read_exchange(common, run, task, "request" if request else "reply")) + "\n")
    elif html is not None:
        put_page(common, run, html, is_forced=force)
    elif events:
        put_events(common, run, since_seq)
    else:
        _put_past(common, run, as_json=as_json)


def _put_past(common: Common, name: str, *, as_json: bool) -> None:
    """A run, or else the session without runs that a name means."""
    from kata_cli.app.sessions import damage, show_run
    from kata_cli.cli.sessions_output import put_conversation

    try:
        detail = show_run(common, name)
    except KataError as unknown:
        if unknown.failure.code != "usage" or not put_conversation(common, name, as_json=as_json):
            raise
        return
    shell.warn(damage(detail))
    if as_json:
        shell.put_json(detail.record)
    else:
        shell.put(_detail(detail))


def _check_view(task: str | None, views: list[bool], *, has_cursor: bool) -> None:
    """`views`: --request, --reply, --html, --events, --json. Raises `KataError` usage."""
    request, reply, _, events, _ = views
    hint = "kata sessions show --help"
    if task is not None and not (request or reply):
        raise KataError("usage", "--task needs --request or --reply", hint)
    if (request or reply) and (task is None or (request and reply)):
        raise KataError("usage", "--request or --reply needs --task ID", hint)
    if has_cursor and not events:
        raise KataError("usage", "--since-seq needs --events", hint)
    if sum(views) > 1:
        raise KataError("usage", "--request, --reply, --html, --events and --json exclude each other", hint)


def check_page(limit: int, offset: int) -> None:
    """Refuse what is no page. Raises `KataError` usage."""
    if not (1 <= limit <= MAX_ROWS and 0 <= offset <= MAX_ROWS):
        raise KataError(
            "usage",
            f"--limit is at least 1, --offset at least 0, and both at most {MAX_ROWS}",
        )


def age_s(flag: str, text: str | None) -> float | None:
    """The duration after a flag in seconds. Raises `KataError` usage."""
    from kata_cli.core.duration import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise KataError("usage", f"{flag}: {error}", f"{flag} 7d") from None


def tell_rest(limit: int, offset: int, *, has_more: bool) -> None:
    """Say how the next page is asked for."""
    if has_more:
        shell.say(f"there are more: --offset {offset + limit}")


def _detail(detail: RunDetail) -> str:
    from kata_cli.core.text import neutral, one_line
    from kata_cli.output.console import columns
    from kata_cli.output.figures import count, dollars, seconds
    from kata_cli.output.timeline import timeline

    record = detail.record
    told = [
        f"run        {record.run_id}",
        f"session    {record.session_id}",
        f"goal       {one_line(record.goal, 300)}",
        f"workflow   {record.workflow}",
        f"mode       {record.runtime_mode} ({record.mode_source})  {record.model}",
        f"life       {' -> '.join(f'{step.state} {step.at}' for step in record.timeline)}",
        f"exit       {'' if record.exit_code is None else record.exit_code}",
        f"time       {'' if record.duration_s is None else seconds(record.duration_s)}",
        f"tokens     {count(record.usage.total)}  {dollars(record.usage.cost_usd)}".rstrip(),
        f"directory  {detail.directory}",
    ]
    if record.context is not None:
        left_out = ", ".join(f"{number} {reason}" for reason, number in record.context.left_out.items())
        told.append(
            f"context    {len(record.context.files)} of {record.context.seen} files, "
            f"{count(record.context.tokens)} tokens" + (f" (left out: {left_out})" if left_out else "")
        )
    if record.error is not None:
        told.append(f"error      {record.error.code}: {one_line(record.error.message, 300)}")
    told += timeline(record, columns(1))
    told += [f"finding    {f.rule} {f.severity}: {one_line(f.message, 200)}" for f in record.findings]
    told += [f"warning    {one_line(warning, 300)}" for warning in record.warnings]
    return neutral("\n".join(told)) + "\n"
