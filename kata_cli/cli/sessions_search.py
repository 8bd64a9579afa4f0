"""`kata sessions search`: past work by its words."""

from __future__ import annotations

from typing import Annotated

import typer

from kata_cli.cli import options as o
from kata_cli.cli import shell
from kata_cli.cli.sessions import All, Limit, Offset, check_page, tell_rest

Query = Annotated[
    str,
    typer.Argument(
        help='Words that must all occur; "a phrase", begin* for a prefix.',
        metavar="QUERY",
        show_default=False,
    ),
]


def search(
    query: Query,
    every: All = False,
    limit: Limit = 20,
    offset: Offset = 0,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Runs whose goal, draft or answers, and sessions of agents whose messages have these words."""
    from kata_cli.app.options import Common
    from kata_cli.app.session_list import search_runs

    check_page(limit, offset)
    found = search_runs(Common(flags={"home": home}), query, limit=limit, offset=offset, is_all=every)
    shell.warn(found.warnings)
    if as_json:
        shell.put_json(found)
        return
    for hit in found.hits:
        shell.put(_hit(hit.run.run_id, hit.run.status, hit.run.title, hit.snippet))
    for said in found.sessions:
        shell.put(_hit(said.session.session_id, said.session.status, said.session.title, said.snippet))
    tell_rest(limit, offset, has_more=found.has_more)
    if not (found.hits or found.sessions):
        shell.say("nothing found" if every else "nothing found in this project; --all searches every project")


def _hit(found: str, status: str, title: str, snippet: str) -> str:
    from kata_cli.core.text import one_line

    return f"{found}  {status:<11}  {one_line(title, 64)}\n    {one_line(snippet, 300)}\n"
