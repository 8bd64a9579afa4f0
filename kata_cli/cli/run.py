"""`kata run`: one orchestration run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kata_cli.cli import complete
from kata_cli.cli import options as o
from kata_cli.config.settings import SETTINGS
from kata_cli.core.errors import KataError

Goal = Annotated[
    str | None, typer.Argument(help="What you want, in words; - reads it from stdin.", show_default=False)
]
GoalFile = Annotated[
    str | None, o.option("--goal-file", help="Read the goal from this file.", panel=o.GOAL, metavar="FILE")
]
Files = Annotated[
    list[str] | None,
    o.option(
        "-f",
        "--file",
        help="Show this file to the models; repeatable, globs quoted.",
        panel=o.GOAL,
        metavar="PATH|GLOB",
    ),
]
ContextDir = Annotated[
    str | None, o.option("--context", help="Read this directory as context.", panel=o.GOAL, metavar="DIR")
]
Stdin = Annotated[
    bool, o.option("--stdin", help="Read stdin as context, however long it takes.", panel=o.GOAL)
]
NoStdin = Annotated[bool, o.option("--no-stdin", help="Do not read stdin.", panel=o.GOAL)]
System = Annotated[
    str | None,
    o.option(
        "-s",
        "--system",
        help="Put this before every system prompt; @FILE reads it.",
        panel=o.GOAL,
        metavar="TEXT|@FILE",
    ),
]
Output = Annotated[
    str | None,
    o.option("-o", "--output", help="Write the result to this file.", panel=o.RESULT, metavar="FILE"),
]
Format = Annotated[
    str | None,
    o.option(
        "--format", help="What stdout carries (default text).", panel=o.RESULT, metavar="text|json|jsonl"
    ),
]
AsJson = Annotated[bool, o.option("--json", help="The same as --format json.", panel=o.RESULT)]
Force = Annotated[bool, o.option("--force", help="Replace an -o file that was edited.", panel=o.RESULT)]
DryRun = Annotated[
    bool, o.option("-n", "--dry-run", help="Show graph, requests and estimate; send nothing.", panel=o.RESULT)
]
Continue = Annotated[
    bool, o.option("-c", "--continue", help="Go on from this project's last session.", panel=o.HISTORY)
]
Session = Annotated[
    str | None,
    o.option(
        "--session",
        help="Go on from this session; a new name begins one.",
        panel=o.HISTORY,
        metavar="ID|NAME",
        completer=complete.sessions,
    ),
]
Revise = Annotated[
    str | None,
    o.option(
        "--revise", help="Write the next revision of this draft, ids kept.", panel=o.HISTORY, metavar="FILE"
    ),
]
Resume = Annotated[
    str | None,
    o.option(
        "--resume",
        help="Go on with a run that did not finish.",
        panel=o.HISTORY,
        metavar="RUN",
        completer=complete.runs,
    ),
]
AcceptChanges = Annotated[
    bool,
    o.option("--accept-changes", help="Resume although files have changed since.", panel=o.HISTORY),
]
Replay = Annotated[
    str | None,
    o.option(
        "--replay",
        help="Answer every request from a record, offline.",
        panel=o.HISTORY,
        metavar="RUN|FILE",
        completer=complete.runs,
    ),
]
Ephemeral = Annotated[
    bool, o.option("--ephemeral", help="Keep nothing of the run but its result.", panel=o.HISTORY)
]
Quiet = Annotated[bool, o.option("-q", "--quiet", help="Show errors only on stderr.", panel=o.VIEW)]
Verbose = Annotated[bool, o.option("-v", "--verbose", help="Show diagnostics too.", panel=o.VIEW)]
Scenario = Annotated[
    str | None,
    o.option("--scenario", help="Script the mock provider's pace and faults.", panel=o.MOCK, metavar="FILE"),
]


def run(
    goal: Goal = None,
    goal_file: GoalFile = None,
    files: Files = None,
    context_dir: ContextDir = None,
    context_enabled: o.NoContext = None,
    stdin: Stdin = False,
    no_stdin: NoStdin = False,
    system: System = None,
    workflow: o.Workflow = None,
    vars: o.Var = None,
    runtime_mode: o.Mode = None,
    provider: o.Provider = None,
    model: o.Model = None,
    thinking: o.Thinking = None,
    temperature: o.Temperature = None,
    max_tokens: o.MaxTokens = None,
    fallback: o.Fallback = None,
    api_key_file: o.ApiKeyFile = None,
    auth_mode: o.AuthMode = None,
    key_fallback: o.NoKeyFallback = None,
    home: o.Home = None,
    profile: o.Profile = None,
    is_isolated: o.Isolated = False,
    trusts_project: o.TrustProject = False,
    output: Output = None,
    format: Format = None,
    as_json: AsJson = False,
    is_forced: Force = False,
    is_dry_run: DryRun = False,
    jobs: o.Jobs = None,
    otel: o.Otel = None,
    strict: o.Strict = None,
    continues: Continue = False,
    session: Session = None,
    revises: Revise = None,
    resumes: Resume = None,
    accepts_changes: AcceptChanges = False,
    replays: Replay = None,
    is_ephemeral: Ephemeral = False,
    timeout: o.Timeout = None,
    idle_timeout: o.IdleTimeout = None,
    max_cost: o.MaxCost = None,
    token_budget: o.TokenBudget = None,
    max_tasks: o.MaxTasks = None,
    is_quiet: Quiet = False,
    is_verbose: Verbose = False,
    color: o.Color = None,
    is_debug: o.Debug = False,
    scenario: Scenario = None,
    tools: o.Tools = None,
    allow_agent: o.AllowAgent = None,
    services: o.Service = None,
    service_token_file: o.TokenFile = None,
) -> int:
    """Turn a goal into a spec draft: read the context, delegate, synthesize, check, write."""
    given = dict(locals())
    from kata_cli.app.options import RunOptions
    from kata_cli.cli.running import start

    if is_dry_run and output is not None:
        raise KataError(
            "usage", "--dry-run writes no file", "leave out -o, and redirect stdout if you want it"
        )
    flags = {name: value for name, value in given.items() if name in SETTINGS}
    fields = {name: value for name, value in given.items() if name in RunOptions.__struct_fields__}
    fields |= {
        "flags": flags | {"vars": pairs(vars or []), "fallback": tuple(fallback or ())},
        "files": tuple(files or ()),
        "reads_stdin": _stdin(stdin, no_stdin),
        "format": o.output_format(format, as_json),
    }
    return start(RunOptions(**fields))


def pairs(texts: list[str]) -> dict[str, Any]:
    """The variables of `--var`. Raises `KataError` usage."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise KataError("usage", f"--var: expected name=value, got {text!r}", "--var area=storage")
        pairs[name.strip()] = value
    return pairs


def _stdin(wants: bool, refuses: bool) -> bool | None:
    if wants and refuses:
        raise KataError("usage", "--stdin and --no-stdin exclude each other", "kata run --help")
    return True if wants else False if refuses else None
