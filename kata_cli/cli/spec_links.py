"""`kata spec trace` and `kata spec diff`: how a draft hangs together, and how it differs from another."""

from __future__ import annotations

from typing import Annotated

import typer

from kata_cli.cli import options as o
from kata_cli.cli import shell

Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Spec files; - is stdin.", show_default=False)
]
Tests = Annotated[
    list[str] | None,
    o.option("--tests", help="Look for cited ids in these tests; repeatable, quoted.", metavar="GLOB"),
]
Old = Annotated[str, typer.Argument(metavar="A", help="The older spec file; - is stdin.", show_default=False)]
New = Annotated[str, typer.Argument(metavar="B", help="The newer one; - is stdin.", show_default=False)]


def trace(files: Files, tests: Tests = None, as_json: o.Json = False) -> int:
    """Show what accepts, builds, checks and tests each requirement; exit 10 for a gap."""
    from kata_cli.app.spec_trace import as_text, trace_files

    report, failure = trace_files(files, tests or (), shell.say)
    for warning in report.warnings:
        shell.say(f"warning: {warning}")
    _put(report if as_json else as_text(report))
    return shell.ended(failure, as_json=as_json)


def diff(old: Old, new: New, as_json: o.Json = False) -> int:
    """Show by id what differs between two spec files; exit 10 if anything does."""
    from kata_cli.app.spec_diff import as_text, diff_files

    report, failure = diff_files(old, new, shell.say)
    _put(report if as_json else as_text(report))
    return shell.ended(failure, as_json=as_json)


def _put(result: object) -> None:
    shell.redactor()  # a draft may hold what looks like a key
    if isinstance(result, str):
        shell.put(result)
    else:
        shell.put_json(result)
