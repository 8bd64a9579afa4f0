"""`kata sessions`: past and running work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kata_cli.cli import options as o
from kata_cli.cli import shell
from kata_cli.cli.groups import CONTEXT, KataCommand, group
from kata_cli.core.errors import KataError

if TYPE_CHECKING:
    from kata_cli.app.sessions import RunDetail, RunRow

app = group("sessions", "List and show past and running work.")

Run = Annotated[
    str, typer.Argument(help="A run or session: last, an id, or a unique part of one.", show_default=False)
]
Limit = Annotated[int, o.option("--limit", help="Most rows (default 20).", metavar="N")]
Offset = Annotated[int, o.option("--offset", help="Leave out this many rows first.", metavar="N")]
Status = Annotated[str | None, o.option("--status", help="Only runs in this state.", metavar="STATE")]
All = Annotated[bool, o.option("--all", help="Runs of every project.")]
TaskId = Annotated[str | None, o.option("--task", help="With --request or --reply: the task.", metavar="ID")]
Request = Annotated[bool, o.option("--request", help="Print what was sent to the model.")]
Reply = Annotated[bool, o.option("--reply", help="Print what the model answered.")]


@app.command("list", cls=KataCommand, context_settings=CONTEXT)
def list_(
    limit: Limit = 20,
    offset: Offset = 0,
    status: Status = None,
    every: All = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Runs of this project, newest first."""
    from kata_cli.app.options import Common
    from kata_cli.app.sessions import list_runs

    if limit < 1 or offset < 0:
        raise KataError("usage", "--limit is at least 1, --offset at least 0", "kata sessions list --help")
    listed = list_runs(Common(flags={"home": home}), limit=limit, offset=offset, status=status, is_all=every)
    for warning in listed.warnings:
        shell.say(f"warning: {warning}")
    if as_json:
        shell.put_json(listed)
        return
    for row in listed.runs:
        shell.put(_row(row))
    if not listed.runs:
        shell.say("no runs" if every else "no runs of this project; --all lists those of every project")


@app.command(cls=KataCommand, context_settings=CONTEXT)
def show(
    run: Run = "last",
    task: TaskId = None,
    request: Request = False,
    reply: Reply = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """One run: its life, tasks, timings, tokens, cost and errors."""
    from kata_cli.app.options import Common
    from kata_cli.app.sessions import read_exchange, show_run
    from kata_cli.core.text import neutral

    common = Common(flags={"home": home})
    if task is not None and not (request or reply):
        raise KataError("usage", "--task needs --request or --reply", "kata sessions show --help")
    if request or reply:
        if task is None or (request and reply):
            raise KataError("usage", "--request or --reply needs --task ID", "kata sessions show --help")
        shell.put(neutral(read_exchange(common, run, task, "request" if request else "reply")) + "\n")
        return
    detail = show_run(common, run)
    if as_json:
        shell.put_json(detail.record)
    else:
        shell.put(_detail(detail))


def _row(row: RunRow) -> str:
    from kata_cli.output.figures import count, dollars, seconds

    parts = [row.run_id, f"{row.status:<11}", f"{row.workflow:<8}", f"{row.runtime_mode:<6}"]
    parts.append(f"{seconds(row.duration_s) if row.duration_s is not None else '':>10}")
    parts.append(f"{count(row.tokens):>6} tokens")
    parts.append(dollars(row.cost_usd))
    return "  ".join(part for part in parts if part) + f"  {row.title}\n"


def _detail(detail: RunDetail) -> str:
    from kata_cli.core.text import neutral, one_line
    from kata_cli.output import lines
    from kata_cli.output.figures import count, dollars, seconds

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
    told += ["tasks"] + [f"  {lines.task_line(task)}" for task in record.tasks]
    told += [f"finding    {f.rule} {f.severity}: {one_line(f.message, 200)}" for f in record.findings]
    told += [f"warning    {one_line(warning, 300)}" for warning in record.warnings]
    return neutral("\n".join(told)) + "\n"
