"""`kata sessions export`, `stats`, `rm`, `prune`: looking back at runs, and cleaning up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o
from kata_cli.cli.sessions import All, Force, Run, Since, age_s
from kata_cli.cli.sessions_output import deliver
from kata_cli.core.errors import KataError

if TYPE_CHECKING:
    from kata_cli.app.session_keep import Removal, RemovedSession
    from kata_cli.app.session_stats import ConversationSums, Stats, Sums

Runs = Annotated[
    list[str],
    typer.Argument(
        help="Runs or sessions: ids or unique parts of one.",
        metavar="RUN...",
        show_default=False,
        autocompletion=complete.history,
    ),
]
Output = Annotated[str | None, o.option("-o", "--output", help="Write to FILE.", metavar="FILE")]
Format = Annotated[
    str, o.option("--format", help="A report, one document, or all files.", metavar="md|json|zip")
]
OlderThan = Annotated[
    str | None, o.option("--older-than", help="What has been quiet for D, such as 30d.", metavar="D")
]
Keep = Annotated[int | None, o.option("--keep", help="Never the newest N.", metavar="N")]
Status = Annotated[
    str | None,
    o.option("--status", help="Only runs that ended like this.", metavar="STATE", completer=complete.states),
]
Yes = Annotated[bool, o.option("-y", "--yes", help="Delete what is listed.")]


def export(
    run: Run = "last", format: Format = "md", output: Output = None, force: Force = False, home: o.Home = None
) -> None:
    """A run as a report, as one JSON document, or as a zip of its files; keys are taken out."""
    from kata_cli.app.options import Common
    from kata_cli.app.session_evidence import read_evidence
    from kata_cli.app.session_export import check_format, exported
    from kata_cli.output.console import is_terminal

    check_format(format)
    if format == "zip" and output in (None, "-") and is_terminal(1):
        raise KataError(
            "usage", "a zip is not for a terminal", f"kata sessions export {run} --format zip -o run.zip"
        )
    common = Common(flags={"home": home})
    evidence = read_evidence(common, run, shell.redactor())
    shell.warn(evidence.warnings)
    deliver(common, exported(evidence, format, shell.redactor()), output, is_forced=force)


def stats(since: Since = None, every: All = False, as_json: o.Json = False, home: o.Home = None) -> None:
    """Runs, time, tokens and cost of this project, by state, workflow, mode, model and day."""
    import time

    from kata_cli.app.options import Common
    from kata_cli.app.session_stats import read_stats

    common = Common(flags={"home": home})
    told = read_stats(common, since_s=age_s("--since", since), is_all=every, now_s=time.time())
    shell.warn(told.warnings)
    if as_json:
        shell.put_json(told)
    else:
        shell.put(_stats(told))


def rm(runs: Runs, as_json: o.Json = False, home: o.Home = None) -> None:
    """Delete runs, or sessions with the runs made in them; never one that is at work."""
    from kata_cli.app.options import Common
    from kata_cli.app.session_keep import remove

    _tell(remove(Common(flags={"home": home}), runs), as_json=as_json)


def prune(
    older_than: OlderThan = None,
    keep: Keep = None,
    status: Status = None,
    every: All = False,
    yes: Yes = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """List old runs and sessions of agents with their size; delete them with --yes."""
    import time

    from kata_cli.app.options import Common
    from kata_cli.app.session_keep import Choice, prune

    choice = Choice(older_than_s=age_s("--older-than", older_than), keep=keep, status=status)
    common = Common(flags={"home": home})
    removal = prune(common, choice, is_all=every, is_confirmed=yes, now_s=time.time())
    _tell(removal, as_json=as_json)
    if (removal.runs or removal.conversations) and not yes:
        shell.say("nothing was deleted; --yes deletes what is listed")


def _tell(removal: Removal, *, as_json: bool) -> None:
    from kata_cli.output.figures import plural, size

    taken = sum(run.bytes for run in removal.runs)
    taken += sum(conversation.session.bytes for conversation in removal.conversations)
    shell.warn(removal.warnings)
    if as_json:
        shell.put_json(removal)
        return
    for run in removal.runs:
        done = "deleted" if run.is_deleted else "old"
        facts = f"{run.run_id}  {run.status:<11}  {run.updated_at}  {size(run.bytes):>7}"
        shell.put(f"{done:<7}  {facts}  {run.title}\n")
    for conversation in removal.conversations:
        shell.put(_conversation(conversation))
    for session_id in removal.sessions:
        shell.put(f"deleted  {session_id}\n")
    sessions = [plural(len(removal.conversations), "session")] if removal.conversations else []
    shell.say(", ".join([plural(len(removal.runs), "run"), *sessions, size(taken)]))


def _conversation(removed: RemovedSession) -> str:
    from kata_cli.core.text import one_line
    from kata_cli.output.figures import plural, size

    row = removed.session
    facts = f"{row.session_id}  {plural(row.messages, 'message'):<11}  {row.updated_at}  {size(row.bytes):>7}"
    return f"{'deleted' if removed.is_deleted else 'old':<7}  {facts}  {one_line(row.title, 64)}\n"


def _stats(stats: Stats) -> str:
    groups = {
        "state": stats.by_status,
        "workflow": stats.by_workflow,
        "mode": stats.by_mode,
        "model": stats.by_model,
        "day": stats.by_day,
    }
    told = [_sums("", stats.total)]
    for name, sums in groups.items():
        told += [_sums(name, each) for each in sums]
    if stats.conversations.sessions:
        told.append(_conversations(stats.conversations))
    return "".join(f"{line}\n" for line in told)


def _conversations(sums: ConversationSums) -> str:
    from kata_cli.output.figures import count, dollars, plural

    parts = [f"{'agents':<8}  {'':<24}  {plural(sums.sessions, 'session'):>9}"]
    parts += [f"{count(sums.tokens):>6} tokens", plural(sums.messages, "message"), dollars(sums.cost_usd)]
    return "  ".join(part for part in parts if part)


def _sums(group: str, sums: Sums) -> str:
    from kata_cli.output.figures import count, dollars, plural, seconds

    cost = dollars(sums.cost_usd)
    if cost and sums.priced_runs < sums.runs:
        cost += f" in {sums.priced_runs} of them"
    parts = [
        f"{group:<8}  {sums.name:<24}  {plural(sums.runs, 'run'):>9}",
        f"{count(sums.tokens):>6} tokens",
        "" if sums.median_s is None else f"median {seconds(sums.median_s)}",
        "" if sums.p95_s is None else f"p95 {seconds(sums.p95_s)}",
        cost,
    ]
    return "  ".join(part for part in parts if part)
