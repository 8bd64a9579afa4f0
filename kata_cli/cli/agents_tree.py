"""`kata agents tree`, `fork`, `compact` and `choose`: live sessions as trees, and what holds for them."""

from __future__ import annotations

from typing import Annotated

from kata_cli.cli import complete, shell
from kata_cli.cli import options as o
from kata_cli.cli.agents import Services, Session, Title, TokenFiles, asking, put_session
from kata_cli.core.errors import KataError
from kata_cli.core.messages import THINKING_LEVELS

NewModel = Annotated[
    str | None, o.option("--model", help="The model from now on.", metavar="MODEL", completer=complete.models)
]
NewLevel = Annotated[
    str | None,
    o.option(
        "--thinking",
        help="How long it thinks from now on.",
        metavar="LEVEL",
        completer=complete.choices(THINKING_LEVELS),
    ),
]
NewTitle = Annotated[str | None, o.option("--title", help="The title from now on.", metavar="TEXT")]
At = Annotated[
    str | None, o.option("--at", help="The entry to leave at (default: the head).", metavar="ENTRY")
]


def tree(
    session: Session = "last",
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """A session with all its branches."""
    given = dict(locals())
    from kata_cli.app.agents_calls import read_tree
    from kata_cli.cli.agents_rows import tree_lines

    found = read_tree(asking(given), session)
    if as_json:
        shell.put_json(found)
    else:
        shell.put("".join(f"{line}\n" for line in tree_lines(found)))


def fork(
    session: Session = "last",
    at: At = None,
    title: Title = "",
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Begin a new session from a place in another; prints its id."""
    given = dict(locals())
    from kata_cli.app.agents_calls import Fork, fork

    made = fork(asking(given), session, Fork(entry=at, title=title))
    if as_json:
        shell.put_json(made)
    else:
        shell.put(f"{made.id}\n")


def compact(
    session: Session = "last",
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Have a summary take the place of what was said before."""
    given = dict(locals())
    from kata_cli.app.agents_watch import compact
    from kata_cli.output.figures import count

    done = compact(asking(given), session)
    if as_json:
        shell.put_json(done)
    elif done.tokens_before is None or done.tokens_after is None:
        shell.say(f"{done.session_id}: nothing to compact")
    else:
        sizes = f"{count(done.tokens_before)} -> {count(done.tokens_after)} tokens"
        shell.put(f"{done.session_id}  {done.entry}  {sizes}\n")


def choose(
    session: Session,
    model_name: NewModel = None,
    level: NewLevel = None,
    title: NewTitle = None,
    services: Services = None,
    service_token_file: TokenFiles = None,
    as_json: o.Json = False,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    home: o.Home = None,
) -> None:
    """Another model, level of thinking or title, from the next request on."""
    given = dict(locals())
    from kata_cli.app.agents_calls import Choose, choose

    if (model_name, level, title) == (None, None, None):
        raise KataError("usage", "nothing is chosen: give --model, --thinking or --title")
    chosen = Choose(model=model_name, thinking=level, title=title)
    put_session(choose(asking(given), session, chosen), as_json=as_json)
