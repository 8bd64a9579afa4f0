"""`kata batch`: many runs, from one line of JSON each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kata_cli.cli import options as o
from kata_cli.cli import run, shell
from kata_cli.config.settings import SETTINGS
from kata_cli.core.errors import Exit, KataError

if TYPE_CHECKING:
    from kata_cli.app.batch import Batch
    from kata_cli.app.options import BatchOptions
    from kata_cli.output.board import Board

File = Annotated[
    str, typer.Argument(help="JSON lines, one run each; - reads them from stdin.", metavar="FILE|-")
]
Ordered = Annotated[
    bool, o.option("--ordered", help="Print results in the order of the lines.", panel=o.RESULT)
]
ResumeBatch = Annotated[
    str | None,
    o.option(
        "--resume-batch",
        help="Pass on what completed in this earlier output; go on with the rest.",
        panel=o.HISTORY,
        metavar="FILE",
    ),
]


def batch(
    file: File,
    context_dir: run.ContextDir = None,
    context_enabled: o.NoContext = None,
    system: run.System = None,
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
    is_ordered: Ordered = False,
    is_forced: run.Force = False,
    jobs: o.Jobs = None,
    otel: o.Otel = None,
    strict: o.Strict = None,
    resumes: ResumeBatch = None,
    timeout: o.Timeout = None,
    idle_timeout: o.IdleTimeout = None,
    max_cost: o.MaxCost = None,
    token_budget: o.TokenBudget = None,
    max_tasks: o.MaxTasks = None,
    is_quiet: run.Quiet = False,
    color: o.Color = None,
    is_debug: o.Debug = False,
    scenario: run.Scenario = None,
    tools: o.Tools = None,
    allow_agent: o.AllowAgent = None,
    services: o.Service = None,
    service_token_file: o.TokenFile = None,
) -> int:
    """Do many runs: one line of JSON asks for each, one line of JSON tells what came of it."""
    given = dict(locals())
    from kata_cli.app.options import BatchOptions, RunOptions

    flags = {name: value for name, value in given.items() if name in SETTINGS}
    names = set(RunOptions.__struct_fields__) - {"resumes", "is_quiet"}
    fields = {name: value for name, value in given.items() if name in names}
    fields |= {
        "flags": flags | {"vars": run.pairs(vars or []), "fallback": tuple(fallback or ())},
        "reads_stdin": False,
        "format": "json",
        "is_quiet": True,
    }
    return _start(
        BatchOptions(file=file, run=RunOptions(**fields), is_ordered=is_ordered, resumes=resumes),
        is_quiet=is_quiet,
    )


def _start(options: BatchOptions, *, is_quiet: bool) -> int:
    """Check, run, tell. The exit status. Raises `shell.Refused`, which knows the runtime mode."""
    from kata_cli.app.batch import run_batch
    from kata_cli.app.place import working_directory
    from kata_cli.app.prepare import resolved_settings
    from kata_cli.core import loop

    resolved = resolved_settings(options.run, os.environ, working_directory())
    mode = resolved.settings.runtime_mode
    try:
        opened = _opened(options, resolved, is_quiet=is_quiet)
    except KataError as error:
        raise shell.Refused(error.failure, mode, resolved.mode_source) from error
    failure = loop.run(run_batch(opened), is_virtual=opened.is_fixed)
    for warning in opened.shared.service.warnings:
        shell.say(f"warning: {warning}")
    if failure is None:
        return Exit.OK
    shell.tell(failure, as_json=False, runtime_mode=mode)
    return failure.exit


def _opened(options: BatchOptions, resolved: Any, *, is_quiet: bool) -> Batch:
    from kata_cli.app.batch import Batch
    from kata_cli.app.batch_earlier import read_earlier
    from kata_cli.app.batch_line import open_work
    from kata_cli.app.batch_opening import open_input, open_means
    from kata_cli.app.place import working_directory
    from kata_cli.output.console import Writer

    work = open_work(options.run, resolved, os.environ, working_directory())
    earlier = read_earlier(Path(options.resumes) if options.resumes else None, stdout_fd=1)
    means = open_means(options, work, shell.redactor())
    given = open_input(options.file, work, shell.say)
    if means.is_fixed:
        shell.stdout, shell.stderr = Writer(1, is_inline=True), Writer(2, is_inline=True)
    board = _board(is_quiet=is_quiet)
    if not is_quiet:
        for warning in resolved.warnings:
            shell.say(f"warning: {warning}")
        lines = f"{given.total} lines · " if given.total is not None else ""
        shell.say(f"{lines}{means.headline}")
    return Batch(
        work=work,
        shared=means.shared,
        entries=given.entries,
        earlier=earlier,
        total=given.total,
        stdout=shell.stdout,
        board=board,
        redactor=shell.redactor(),
        clock=means.clock,
        is_fixed=means.is_fixed,
        is_ordered=options.is_ordered,
    )


def _board(*, is_quiet: bool) -> Board:
    from kata_cli.app.prepare import in_ci
    from kata_cli.output.board import Board, LiveBoard, LogBoard
    from kata_cli.output.console import is_terminal

    if is_quiet:
        return Board(shell.stderr)
    is_live = is_terminal(2) and not in_ci(os.environ) and os.environ.get("TERM", "") not in ("dumb", "")
    return LiveBoard(shell.stderr) if is_live else LogBoard(shell.stderr)
