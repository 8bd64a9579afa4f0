"""`kata sessions tree`, `fork`, `compact`, `rename`, `stop`: sessions as trees, and runs that shall end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o
from kata_cli.cli.sessions import Run

if TYPE_CHECKING:
    from kata_cli.app.session_tree import Fork, SessionTree, TreeEntry

Session = Annotated[
    str,
    typer.Argument(
        help="A session: last, a name, an id, or a unique part of one.",
        show_default=False,
        autocompletion=complete.sessions,
    ),
]
NewName = Annotated[str, typer.Argument(help="The new name.", metavar="NAME", show_default=False)]
At = Annotated[
    str | None, o.option("--at", help="The entry to leave at (default: the head).", metavar="ENTRY")
]
Name = Annotated[str, o.option("--name", help="A name for the new session.", metavar="NAME")]
Force = Annotated[bool, o.option("--force", help="Kill the process if it does not stop in 5 s.")]


def tree(session: Session = "last", as_json: o.Json = False, home: o.Home = None) -> None:
    """A session as a tree of runs, with its branches and forks."""
    from kata_cli.app.options import Common
    from kata_cli.app.session_tree import read_tree
    from kata_cli.output.branches import Row, draw

    found = read_tree(Common(flags={"home": home}), session)
    for warning in found.warnings:
        shell.say(f"warning: {warning}")
    if as_json:
        shell.put_json(found)
        return
    rows = [
        Row(id=entry.id, parent=entry.parent, text=_row(entry), notes=_notes(entry.forks))
        for entry in found.entries
    ]
    shell.put("".join(f"{line}\n" for line in [_title(found), *_notes(found.forks), *draw(rows)]))


def fork(
    session: Session = "last", at: At = None, name: Name = "", as_json: o.Json = False, home: o.Home = None
) -> None:
    """Begin a new session from a place in another; prints its id."""
    import time

    from kata_cli.app.options import Common
    from kata_cli.app.session_tree import fork_session

    made = fork_session(Common(flags={"home": home}), session, at=at, name=name, now_s=time.time())
    if as_json:
        shell.put_json(made)
        return
    shell.put(f"{made.session_id}\n")
    shell.say(f"go on in it: kata run --session {made.session_id}")


def compact(
    session: Session = "last",
    as_json: o.Json = False,
    mode: o.Mode = None,
    provider: o.Provider = None,
    model: o.Model = None,
    thinking: o.Thinking = None,
    temperature: o.Temperature = None,
    max_tokens: o.MaxTokens = None,
    fallback: o.Fallback = None,
    allow_agent: o.AllowAgent = None,
    api_key_file: o.ApiKeyFile = None,
    profile: o.Profile = None,
    isolated: o.Isolated = False,
    trust_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Let a model summarize a session for the runs to come."""
    from kata_cli.app.options import Common
    from kata_cli.app.session_compact import compact_session
    from kata_cli.output.figures import count

    common = Common(
        flags={
            "runtime_mode": mode,
            "provider": provider,
            "model": model,
            "thinking": thinking,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "fallback": tuple(fallback or ()),
            "allow_agent": allow_agent,
            "home": home,
        },
        profile=profile,
        is_isolated=isolated,
        trusts_project=trust_project,
        api_key_file=api_key_file,
    )
    done = compact_session(common, session, shell.redactor())
    for warning in done.warnings:
        shell.say(f"warning: {warning}")
    if as_json:
        shell.put_json(done)
    elif done.entry is None:
        shell.say(f"{done.session_id}: nothing to compact")
    else:
        sizes = f"{count(done.entry.tokens_before)} -> {count(done.entry.tokens_after)} tokens"
        shell.put(f"{done.session_id}  {done.entry.id}  {sizes}  {done.entry.model}\n")


def rename(session: Session, name: NewName, as_json: o.Json = False, home: o.Home = None) -> None:
    """Give a session a name, by which --session finds it."""
    import time

    from kata_cli.app.options import Common
    from kata_cli.app.session_tree import rename_session

    renamed = rename_session(Common(flags={"home": home}), session, name, now_s=time.time())
    if as_json:
        shell.put_json(renamed)
    else:
        shell.put(f"{renamed.session_id}  {renamed.name}\n")


def stop(run: Run, force: Force = False, as_json: o.Json = False, home: o.Home = None) -> None:
    """End the process that works on a run."""
    from kata_cli.app.options import Common
    from kata_cli.app.session_stop import stop_run

    stopped = stop_run(Common(flags={"home": home}), run, is_forced=force)
    if as_json:
        shell.put_json(stopped)
    elif stopped.pid is None:
        shell.put(f"{stopped.run_id}  {stopped.status}  it was not running\n")
    else:
        how = "killed" if stopped.is_killed else "stopped"
        shell.put(f"{stopped.run_id}  {stopped.status}  {how} process {stopped.pid}\n")


def _title(found: SessionTree) -> str:
    from kata_cli.core.text import one_line

    parts = [found.session_id, one_line(found.name, 64), one_line(found.project, 200)]
    if found.forked_from is not None:
        parts.append(
            f"forked from {found.forked_from.session} at {found.forked_from.entry or 'its beginning'}"
        )
    return "  ".join(part for part in parts if part)


def _row(entry: TreeEntry) -> str:
    from kata_cli.core.text import one_line
    from kata_cli.output.figures import count

    parts = [entry.id, entry.type, one_line(entry.run_id or "", 64), entry.status or ""]
    if entry.tokens_before is not None and entry.tokens_after is not None:
        parts.append(f"{count(entry.tokens_before)} -> {count(entry.tokens_after)} tokens")
    parts += [one_line(entry.title, 100), "<- head" if entry.is_head else ""]
    return "  ".join(part for part in parts if part)


def _notes(forks: list[Fork]) -> list[str]:
    from kata_cli.core.text import one_line

    return [f"> {fork.session_id}  {one_line(fork.name, 64)}".rstrip() for fork in forks]
