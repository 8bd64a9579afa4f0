"""`kata run`: one orchestration run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kata_cli.cli import options as o
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
    no_context: o.NoContext = False,
    stdin: Stdin = False,
    no_stdin: NoStdin = False,
    system: System = None,
    workflow: o.Workflow = None,
    var: o.Var = None,
    mode: o.Mode = None,
    provider: o.Provider = None,
    model: o.Model = None,
    thinking: o.Thinking = None,
    temperature: o.Temperature = None,
    max_tokens: o.MaxTokens = None,
    fallback: o.Fallback = None,
    api_key_file: o.ApiKeyFile = None,
    home: o.Home = None,
    profile: o.Profile = None,
    isolated: o.Isolated = False,
    trust_project: o.TrustProject = False,
    output: Output = None,
    format: Format = None,
    as_json: AsJson = False,
    force: Force = False,
    dry_run: DryRun = False,
    jobs: o.Jobs = None,
    strict: o.Strict = False,
    timeout: o.Timeout = None,
    idle_timeout: o.IdleTimeout = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: o.Color = None,
    debug: o.Debug = False,
    scenario: Scenario = None,
    tools: o.Tools = None,
    allow_agent: o.AllowAgent = False,
) -> int:
    """Turn a goal into a spec draft: read the context, delegate, synthesize, check, write."""
    from kata_cli.app.options import RunOptions
    from kata_cli.cli.running import start

    flags = {
        "runtime_mode": mode,
        "provider": provider,
        "model": model,
        "thinking": thinking,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "fallback": tuple(fallback or ()),
        "workflow": workflow,
        "vars": _pairs(var or []),
        "jobs": jobs,
        "timeout": timeout,
        "idle_timeout": idle_timeout,
        "home": home,
        "color": color,
        "context_enabled": False if no_context else None,
        "strict": True if strict else None,
        "tools": tools,
        "allow_agent": True if allow_agent else None,
    }
    if dry_run and output is not None:
        raise KataError(
            "usage", "--dry-run writes no file", "leave out -o, and redirect stdout if you want it"
        )
    return start(
        RunOptions(
            goal=goal,
            goal_file=goal_file,
            files=tuple(files or ()),
            context_dir=context_dir,
            reads_stdin=_stdin(stdin, no_stdin),
            system=system,
            flags=flags,
            profile=profile,
            is_isolated=isolated,
            trusts_project=trust_project,
            api_key_file=api_key_file,
            output=output,
            format=_format(format, as_json),
            is_forced=force,
            is_dry_run=dry_run,
            is_quiet=quiet,
            is_verbose=verbose,
            is_debug=debug,
            scenario=scenario,
        )
    )


def _pairs(texts: list[str]) -> dict[str, Any]:
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


def _format(format: str | None, as_json: bool) -> str:
    from kata_cli.app.options import FORMATS

    if as_json and format not in (None, "json"):
        raise KataError("usage", f"--json and --format {format} exclude each other", "kata run --help")
    chosen = "json" if as_json else format or "text"
    if chosen not in FORMATS:
        raise KataError(
            "usage", f"--format: expected one of {', '.join(FORMATS)}, got {chosen!r}", "kata run --help"
        )
    return chosen
